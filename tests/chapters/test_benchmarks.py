import json
from dataclasses import replace

import pandas as pd
import pytest
from dc2book import benchmarks
from test_crosscell import CORRELATION

from dc2lib.crosscell import experiments
from dc2lib.errors import DataError
from dc2lib.training.fit import TUNED
from dc2lib.training.grid_fits import Fit

ABOUT = {"accelerator": "none", "date": "2026-11-22T12:00:00+00:00", "processor": "Toy", "cores": 2,
         "load": 0.5, "memory_gib": 23.5, "genes": 900}


def row(name, ours, plain=None, **more):
    ratio = None if plain is None else ours / plain
    return {"name": name, "ours": ours, "plain": plain, "ratio": ratio, "unit": "genes/s",
            "share_of_limit": None, "threads": 1, "pairs": 5, "work": None} | more


def bench_rows():
    grown = [row(f"growth:csv_to_store:{share}", seconds, work=work, unit="s")
             for share, work, seconds in ((0.25, 100, 1.0), (0.5, 200, 2.0), (1, 400, 4.0))]
    return [
        row("csv_to_store", 300.0, 10.0),
        row("train_one", 10_000.0, 8000.0, share_of_limit=0.25),
        row("train_one", 16_000.0, 8000.0, threads=2),
        row("evaluate", 40_000.0, 10_000.0),
        row("gpu:train", None),
        row("side_by_side:copy", 16.0, 10.0),
        row("side_by_side:step", 95.0, 60.0, threads=2, ratio_low=1.5, ratio_high=1.7),
        row("side_by_side:step_products", 130.0, 80.0, threads=2),
        *grown,
    ]


def scale_rows():
    rows = []
    for cells in (2, 4):
        for piece in ("ingest", "linear", "inclusive_epoch"):
            rows.append({"piece": piece, "cells": cells, "part": 0, "seconds": 3.0 * cells,
                         "peak_mib": 400.0 + cells, "disk_mib": 10.0 * cells})
        for part in range(cells // 2):
            rows.append({"piece": "test_on_rest", "cells": cells, "part": part,
                         "seconds": 1.0 * cells, "peak_mib": 500.0, "pairs": 2.0 * cells})
    return rows


def written(root, place, rows, name="bench.json"):
    folder = root / place
    folder.mkdir(parents=True)
    (folder / name).write_text(json.dumps({"about": ABOUT, "rows": rows}))


def test_the_last_measurement_of_this_machine_comes_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    written(tmp_path, benchmarks.KEPT, bench_rows())
    kept = benchmarks.measurement("bench.json")
    assert kept.kept
    assert kept.sentence() == ("kept with the book, 2026-11-22, Toy, 2 cores, 24 GiB, no GPU, load"
                               " by other work 0.5")
    written(tmp_path, benchmarks.BUILT, bench_rows())
    assert not benchmarks.measurement("bench.json").kept


def test_no_measurement_and_a_wrong_one_are_said(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="run make bench"):
        benchmarks.measurement("bench.json")
    (tmp_path / benchmarks.BUILT).mkdir()
    (tmp_path / benchmarks.BUILT / "bench.json").write_text("{}")
    with pytest.raises(DataError, match="delete it"):
        benchmarks.measurement("bench.json")


def test_stages_stand_beside_their_targets():
    table = benchmarks.stage_table(pd.DataFrame(bench_rows()))
    stages = ["csv_to_store", "train_one", "train_one", "evaluate"]
    assert table["stage"].tolist() == [f"{stage}, genes/s" for stage in stages]
    assert table.iloc[1].tolist() == ["train_one, genes/s", "1", "10,000", "8,000", "1.2",
                                      "2.6", "25%", "5.0"]
    reached = benchmarks.reached_ratios(pd.DataFrame(bench_rows())).set_index("stage")
    assert reached["met"].to_dict() == {"csv_to_store": True, "train_one": False, "evaluate": True}
    assert reached.loc["train_one", "ratio"] == 1.25, "with the fewest threads"


def test_a_ratio_has_the_range_of_its_pairs_and_a_limit():
    rows = pd.DataFrame([
        row("evaluate", 31.0, 10.0, ratio_low=2.9, ratio_high=3.2),
        row("probe", 40.0, 10.0, ratio_low=3.5, ratio_high=4.5, share_of_limit=0.5),
        row("train_one", 16.0, 10.0, ratio_low=1.5, ratio_high=1.8),
        row("train_grid", 30.0, 10.0),
        row("csv_to_store", 9.0),
    ])
    shown = benchmarks.stage_table(rows).set_index("stage")["ratio"]
    assert shown.tolist() == ["–", "1.6 (1.5–1.8)", "3.0", "3.1 (2.9–3.2)", "4.0 (3.5–4.5)"]
    reached = benchmarks.reached_ratios(rows)
    assert reached.set_index("stage")["met"].to_dict() == {
        "train_one": False, "train_grid": False, "probe": True, "evaluate": False,
    }
    assert reached.set_index("stage").loc["probe", "at_limit"] == 8
    older = benchmarks.reached_ratios(rows.drop(columns=["ratio_low", "ratio_high"]))
    assert older["low"].isna().all()


def test_two_processes_stand_beside_one():
    parts = benchmarks.side_by_side(pd.DataFrame(bench_rows()))
    assert parts["part"].tolist() == ["step", "step_products", "copy"]
    step = parts.iloc[0]
    assert (step["alone"], step["together"], step["low"]) == (60.0, 95.0, 1.5)
    assert step["estimate"] == pytest.approx(95 / 60)
    assert benchmarks.products_share(parts) == 0.75


def test_growth_is_the_power_of_the_work():
    table = benchmarks.growth(pd.DataFrame(bench_rows()))
    assert table["work"].tolist() == [100, 200, 400]
    (power,) = benchmarks.growth_powers(table)["estimate"]
    assert power == pytest.approx(1)


def test_parts_are_added_and_a_size_that_lacks_one_is_left_out():
    table = benchmarks.scale_table(pd.DataFrame(scale_rows()))
    pairs = table[table["stage"] == "test_on_rest"].set_index("n")
    assert pairs["work"].to_dict() == {2: 4, 4: 16}
    assert pairs["seconds"].to_dict() == {2: 2.0, 4: 8.0}
    lacking = benchmarks.scale_table(pd.DataFrame(scale_rows()[:-1]))
    assert lacking[lacking["stage"] == "test_on_rest"]["n"].tolist() == [2]
    assert benchmarks.rehearsal_table(pd.DataFrame(scale_rows())).empty


def test_a_rehearsal_has_a_table_of_its_own():
    book = {"piece": "make book", "run": "killed", "cells": 56, "genes": 19802, "part": 0,
            "seconds": 60.0, "peak_mib": 10.0, "date": "2026-11-30T08:29:16+00:00"}
    rows = pd.DataFrame([*scale_rows(), book])
    table = benchmarks.rehearsal_table(rows)
    assert table[["n", "processor", "date"]].values.tolist() == [
        [56, "not recorded", "2026-11-30"]]
    assert "make book" not in set(benchmarks.scale_table(rows)["stage"])


def test_hours_follow_from_rates():
    rows = pd.DataFrame([row("train_one", 1e4), row("evaluate", 1e9)])
    measured, estimated = benchmarks.grid_hours(rows, gpu_teraflops=4.745)
    hours = measured.set_index(["recipe", "workers"])["estimate"]
    passes = benchmarks.full_grid(benchmarks.PAPER).gene_passes
    assert passes == 5 * benchmarks.full_grid(benchmarks.TUNED).gene_passes
    assert hours["paper", 2] == pytest.approx(passes / 1e4 / 2 / 3600, rel=1e-3)
    assert hours["paper", 32] == pytest.approx(hours["paper", 2] / 16)
    on_gpu = estimated.set_index("recipe")["estimate"]
    assert on_gpu["paper"] == pytest.approx(passes / 1e6 / 3600, rel=0.2)
    with pytest.raises(DataError, match="train_one"):
        benchmarks.grid_hours(rows.iloc[1:], 1.0)


def test_the_kept_measurements_are_readable():
    bench, scale = (benchmarks.measurement(name) for name in (benchmarks.BENCH, benchmarks.SCALE))
    aims = pd.Series(benchmarks.TARGETS).dropna()
    assert benchmarks.reached_ratios(bench.rows)["stage"].tolist() == aims.index.tolist()
    assert set(benchmarks.scale_table(scale.rows)["stage"]) == set(benchmarks.PIECES)


def test_cost_counts_equal_trainings_once():
    base = Fit("deepchrome_average", TUNED, ("",), "", "nowhere")
    fits = experiments.planned_experiments(base, CORRELATION, experiments=["inclusive_all"])
    whole = benchmarks.grid_cost(fits.values(), 100, 50)
    assert whole == benchmarks.Cost(4, 1, 20 * 400, 20 * 400, 20 * 50 * 4)
    once = [replace(fit, each_gene_once=True) for fit in fits.values()]
    assert benchmarks.grid_cost(once, 100, 50).gene_passes == 20 * 100
    few = [replace(fit, n_train=30) for fit in fits.values()]
    assert benchmarks.grid_cost(few, 100, 50).gene_passes == 20 * 4 * 30
    speed = benchmarks.Speed(passes=2.0, evaluations=8.0)
    assert whole.hours(speed) == pytest.approx((4000 + 500) / 3600)
    assert whole.hours(speed, workers=100) == pytest.approx(4000 / 3600)
