import json

import numpy as np
import pandas as pd
import pytest
from dc2book.benchmarks import figures as speed_plots
from dc2book.benchmarks import measurements as speed
from dc2book.benchmarks import report as speed_report

from dc2lib.errors import DataError

ABOUT = {"accelerator": "none", "date": "2026-11-22T12:00:00+00:00", "processor": "Toy", "cores": 2,
         "load": 0.5, "memory_gib": 23.5, "genes": 900}


def row(name, ours, plain=None, **more):
    ratio = None if plain is None else ours / plain
    return {"name": name, "ours": ours, "plain": plain, "ratio": ratio, "unit": "genes/s",
            "share_of_limit": None, "threads": 1, "pairs": 5, "note": "", "work": None} | more


def bench_rows():
    grown = [row(f"growth:csv_to_store:{share}", seconds, work=work, unit="s", note="genes")
             for share, work, seconds in ((0.25, 100, 1.0), (0.5, 200, 2.0), (1, 400, 4.0))]
    return [
        row("csv_to_store", 300.0, 10.0),
        row("train_one", 10_000.0, 8000.0, share_of_limit=0.25),
        row("train_one", 16_000.0, 8000.0, threads=2),
        row("evaluate", 40_000.0, 10_000.0, note="8 models"),
        row("gpu:train", None, note="not measured: no CUDA device on this machine"),
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


def test_the_last_measurement_of_this_machine_comes_first(tmp_path):
    written(tmp_path, speed.KEPT, bench_rows())
    kept = speed.measurement("bench.json", tmp_path)
    assert kept.kept
    assert kept.sentence() == ("kept with the book, 2026-11-22, Toy, 2 cores, 24 GiB, no GPU, load"
                               " by other work 0.5")
    written(tmp_path, speed.BUILT, bench_rows())
    assert not speed.measurement("bench.json", tmp_path).kept


def test_a_part_of_a_measurement_does_not_count(tmp_path):
    written(tmp_path, speed.KEPT, bench_rows())
    written(tmp_path, speed.BUILT, bench_rows()[:2])
    assert speed.measurement("bench.json", tmp_path).kept


def test_no_measurement_and_a_wrong_one_are_said(tmp_path):
    with pytest.raises(DataError, match="run make bench"):
        speed.measurement("bench.json", tmp_path)
    (tmp_path / speed.BUILT).mkdir()
    (tmp_path / speed.BUILT / "bench.json").write_text("{}")
    with pytest.raises(DataError, match="delete it"):
        speed.measurement("bench.json", tmp_path)


def test_stages_stand_beside_their_targets():
    table = speed.stage_table(pd.DataFrame(bench_rows()))
    stages = ["csv_to_store", "train_one", "train_one", "evaluate"]
    assert table["stage"].tolist() == [f"{stage}, genes/s" for stage in stages]
    assert table.iloc[1].tolist() == ["train_one, genes/s", "1", "10,000", "8,000", "1.2",
                                      "1.7", "25%", "5.0"]
    judged = speed.verdicts(pd.DataFrame(bench_rows())).set_index("stage")
    assert judged["met"].to_dict() == {"csv_to_store": True, "train_one": True, "evaluate": True}
    assert judged.loc["train_one", "ratio"] == 2.0


def test_a_ratio_has_the_range_of_its_pairs():
    ranged = [row("evaluate", 31.0, 10.0, ratio_low=2.9, ratio_high=3.2),
              row("probe", 40.0, 10.0, ratio_low=3.5, ratio_high=4.5),
              row("train_one", 16.0, 10.0, ratio_low=1.5, ratio_high=1.8)]
    rows = pd.DataFrame([*ranged, row("train_grid", 30.0, 10.0), row("store_open", 9.0)])
    shown = speed.stage_table(rows).set_index("stage")["ratio"]
    assert shown.tolist() == ["–", "1.6 (1.5–1.8)", "3.0", "3.1 (2.9–3.2)",
                              "4.0 (3.5–4.5)"]
    judged = speed.verdicts(rows).set_index("stage")
    assert judged["met"].to_dict() == {"train_one": False, "train_grid": True, "probe": True,
                                       "evaluate": True}
    assert judged.index[judged["surely"]].tolist() == ["probe"]
    assert speed_report.verdicts_in_words(judged.reset_index()) == (
        "3 of 6 ratios reach their target, 1 of the 2 with a measured range in every pair of runs;"
        " not reached: train_one; not measured: csv_to_store, linear_all_cells"
    )
    ranged = judged.drop("train_grid").reset_index()
    assert "2 of 6 ratios reach their target, 1 of them in every" in (
        speed_report.verdicts_in_words(ranged)
    )
    assert "1 of 6 ratios reaches its target, in every pair of runs;" in (
        speed_report.verdicts_in_words(ranged[ranged["stage"] == "probe"])
    )
    unranged = speed.verdicts(rows.drop(columns=["ratio_low", "ratio_high"]))
    assert "pair of runs" not in speed_report.verdicts_in_words(unranged)
    assert speed_report.misses(rows)["ratio"].tolist()[0] == "1.6 (1.5–1.8)"
    (axis,) = speed_plots.ratios(judged.reset_index()).axes
    (bars,) = [one for one in axis.containers if hasattr(one, "has_xerr")]
    (reach,) = bars.lines[2]
    np.testing.assert_allclose(reach.get_paths()[0].vertices[:, 0], [1.5, 1.8])


def test_the_range_misses_the_median_if_all_pairs_lie_on_one_side():
    rng = np.random.default_rng(0)
    drawn = rng.normal(size=(20_000, 5))
    holds = (drawn.min(axis=1) < 0) & (drawn.max(axis=1) > 0)
    assert holds.mean() == pytest.approx(speed.range_confidence(5), abs=0.01)


def test_growth_is_the_power_of_the_work():
    table = speed.growth(pd.DataFrame(bench_rows()))
    assert table["work"].tolist() == [100, 200, 400]
    np.testing.assert_allclose(table["power"], 1.0)
    assert speed.growth_power([1, 2, 4], [1, 4, 16]) == pytest.approx(2)


def test_parts_are_added_and_a_size_that_lacks_one_is_left_out():
    table = speed.scale_table(pd.DataFrame(scale_rows()))
    pairs = table[table["piece"] == "test_on_rest"].set_index("cells")
    assert pairs["work"].to_dict() == {2: 4, 4: 16}
    assert pairs["seconds"].to_dict() == {2: 2.0, 4: 8.0}
    lacking = speed.scale_table(pd.DataFrame(scale_rows()[:-1]))
    assert lacking[lacking["piece"] == "test_on_rest"]["cells"].tolist() == [2]


def test_what_was_not_measured_at_full_size_is_said():
    table = speed.scale_table(pd.DataFrame(scale_rows()))
    assert speed.scale_powers(table)["test_on_rest"] == pytest.approx(1)
    few = table[(table["piece"] == "ingest") | ((table["piece"] == "linear") & (table.cells == 2))]
    assert speed.scale_words(few) == ("ingest up to 4 cell types, power 1.00; linear up to 2 cell"
                                      " types, one size only; not measured: inclusive_epoch,"
                                      " test_on_rest")
    assert len(speed_plots.full_size(few).axes) == 2


def test_hours_follow_from_rates():
    rows = pd.DataFrame([row("train_one", 1e4), row("evaluate", 1e9)])
    table = speed.grid_hours(rows, gpu_teraflops=4.745).set_index("recipe")
    paper = table.loc["paper"]
    assert paper["gene_passes"] == 5 * table.loc["tuned", "gene_passes"]
    assert paper["hours_2"] == pytest.approx(paper["gene_passes"] / 1e4 / 2 / 3600, rel=1e-3)
    assert paper["hours_gpu"] == pytest.approx(paper["gene_passes"] / 1e6 / 3600, rel=0.2)
    with pytest.raises(DataError, match="train_one"):
        speed.grid_hours(rows.iloc[1:], 1.0)


def test_notes_say_what_was_not_measured():
    notes = speed.notes(pd.DataFrame(bench_rows()))
    assert notes["stage"].tolist() == ["evaluate", "gpu:train"]


def test_the_quick_book_has_chapters_and_cells():
    rows = [row("book_quick", 9.0), row("book_quick:audit", 6.0), row("book_quick:data", 3.0),
            row("book_quick:cell 1", 5.0, note="audit, Scoring: fit(); halved by luck")]
    chapters, cells = speed.book_tables(pd.DataFrame([*bench_rows(), *rows]))
    assert chapters["chapter"].tolist() == ["audit", "data"]
    assert cells.to_numpy().tolist() == [["1", 5.0, "audit, Scoring: fit(); halved by luck"]]
    assert speed.book_tables(pd.DataFrame(bench_rows()))[0].empty


def test_figures_are_drawn_from_their_tables():
    judged = speed.verdicts(pd.DataFrame(bench_rows()))
    (axis,) = speed_plots.ratios(judged).axes
    stages = [text.get_text().split()[0] for text in axis.get_yticklabels()]
    assert stages == judged["stage"].tolist()
    fig = speed_plots.full_size(speed.scale_table(pd.DataFrame(scale_rows())))
    assert len(fig.axes) == 4


def limited_rows():
    return pd.DataFrame([
        row("csv_to_store", 300.0, 20.0, note="reading bounds it"),
        row("train_one", 18_000.0, 9000.0, share_of_limit=0.5),
        row("probe", 18_000.0, 6000.0, share_of_limit=0.5),
        row("train_grid", 10.0, 1.0),
        row("linear_all_cells", 500.0, 1.0),
        row("evaluate", 20.0, 10.0, threads=1), row("evaluate", 40.0, 10.0, threads=2),
        row("store_open", 1000.0, 100.0),
        row("probe_memory", 110.0, 100.0, note="largest process at many; a ratio of 1 is constant"),
    ])


def test_what_is_missed_stands_beside_the_limit():
    table = speed_report.misses(limited_rows()).set_index("stage")
    assert table["asked"].to_dict() == {
        "csv_to_store": "target 25", "train_one": "aim 3.3", "probe": "aim 8",
        "evaluate": "target 3",
    }
    assert table.loc["evaluate", "threads"] == "1"
    assert table.loc["probe", ["ratio", "of limit", "at limit"]].tolist() == ["3.0", "50%", "6.0"]
    assert table.loc["csv_to_store", "what bounds it"] == "reading bounds it"
    assert speed_report.misses_in_words(table.reset_index()) == (
        "Below their target: csv_to_store (threads: 1), evaluate (threads: 1); below a further aim"
        " only: train_one (threads: 1), probe (threads: 1); above what the measured limit allows:"
        " probe (threads: 1)"
    )
    assert speed_report.misses_in_words(table.iloc[:0].reset_index()).startswith("Every target")
    judged = speed.verdicts(limited_rows()).set_index("stage")
    assert judged.loc["train_one", "at_limit"] == pytest.approx(4)
    shown = speed.stage_table(limited_rows()).set_index("stage")["at limit"]
    assert shown[["csv_to_store, genes/s", "train_one, genes/s"]].tolist() == ["–", "4.0"]


def test_targets_that_are_no_ratios():
    assert speed_report.ceilings_in_words(limited_rows()) == (
        "opening a stored split takes 1.00 ms, where at most 5 were asked for (reached); the"
        " probe's memory (largest process at many) grows by a factor of 1.10, where no growth was"
        " asked for (not reached)"
    )
    assert speed_report.ceilings_in_words(pd.DataFrame(bench_rows())) == "neither was measured"


def test_dask_workers_keep_a_share_of_their_rate():
    rows = pd.DataFrame([
        row("grid_dask", 4.0, 5.0, note="1 workers: all; 9 bytes sent"),
        row("grid_dask", 6.0, 5.0, threads=2, note="2 workers (more workers than cores); 9 bytes"),
    ])
    table = speed_report.dask_table(rows)
    assert table["of one worker's rate each"].tolist() == ["100%", "75%"]
    assert table["ms a fit beside one process alone"].tolist() == ["+50", "+133"]
    assert table["on the wire"].tolist() == ["9 bytes sent", "9 bytes"]
    assert speed_report.dask_in_words(table).endswith("100% with 1, 75% with 2 (more than cores)")
    assert "not measured" in speed_report.dask_in_words(speed_report.dask_table(rows.iloc[:0]))


def test_slowest_cells_are_readable():
    cells = pd.DataFrame({"place": ["1"], "seconds": [5.0],
                          "cell": ["audit, Scoring, again: gans = {; halved by luck"]})
    assert speed_report.slowest_cells(cells).iloc[0].tolist() == [
        5.0, "audit", "Scoring, again", "luck"
    ]


def test_growth_and_gpu_in_words():
    assert "faster than the work" in speed_report.growth_in_words({"probe": 1.5})
    assert "power 3.00" in speed_report.growth_in_words({"probe": 3.0, "ingest": 1.0})
    table = speed.scale_table(pd.DataFrame(scale_rows()))
    assert speed_report.scale_growth_in_words(table).startswith("none grows")
    assert speed_report.gpu_in_words(pd.DataFrame(bench_rows())).startswith("nothing was measured")
    rows = pd.DataFrame([row("gpu:train", 10_000.0, 1000.0)])
    assert speed_report.gpu_in_words(rows).startswith("train 10,000 genes/s, 10.0 times as fast")
