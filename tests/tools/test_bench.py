"""Fast and plain ways of the benchmark give the same; no time is asserted."""

import json
import os
from dataclasses import replace

import numpy as np
import pytest
import torch

from dc2lib.crosscell.transfer import evaluate_all
from dc2lib.datasets import open_cell, write_cell
from dc2lib.datasets.simulated import simulate
from dc2lib.signals import to_signal
from dc2lib.training.fit import TUNED
from dc2lib.training.grid_fits import Fit
from tools.bench import __main__ as bench
from tools.bench import book, cluster, evaluation, gpu
from tools.bench.harness import Row, Task, paired


@pytest.fixture(scope="module")
def dataset():
    return simulate(n_cells=1, n_genes=900, seed=0).datasets["S001"]


def test_the_matrix_is_that_of_one_pass_and_one_call_each(dataset, tmp_path):
    records = evaluation.own_models(tmp_path, dataset, 3)
    ours = evaluation.transfer(records, tmp_path / "logits", workers=1).to_numpy()
    plain = evaluation.plain_column(list(records.values()), dataset.take("test"))
    assert len(set(plain)) == 3
    for column in ours.T:
        np.testing.assert_allclose(column, plain, rtol=0, atol=1e-4)


def test_logits_are_those_of_the_modules(dataset, tmp_path):
    write_cell(dataset, tmp_path)
    records = evaluation.untrained(tmp_path, dataset, 2)
    evaluate_all(records, dataset.cell, tmp_path / "logits.npz")
    signal = to_signal(open_cell(dataset.cell, tmp_path).take("test").counts, "log1p")
    with np.load(tmp_path / "logits.npz") as arrays, torch.inference_mode():
        for record, found in zip(records, arrays["logits"], strict=True):
            expected = record.load_model()(signal)
            torch.testing.assert_close(torch.from_numpy(found), expected, rtol=1e-5, atol=1e-6)


def test_rows_are_medians_of_both_ways(monkeypatch):
    times = iter([9.0, 1.0, 4.0, 2.0, 6.0, 1.0, 5.0])
    monkeypatch.setattr("tools.bench.harness.seconds", lambda run: run() or next(times))
    next(times)
    row = paired(Task(None, None, 3, 2), "stage", int, int, work=10, unit="genes/s", limit=20)
    assert (row.ratio_low, row.ratio_high) == pytest.approx((3.0, 5.0))
    assert replace(row, ratio_low=None, ratio_high=None) == Row(
        "stage", 10.0, 2.0, 4.0, "genes/s", 0.5, 2, 3
    )


def test_a_part_of_the_work_is_scaled_for_the_plain_way(monkeypatch):
    times = iter([1.0, 1.0])
    monkeypatch.setattr("tools.bench.harness.seconds", lambda run: run() or next(times))
    row = paired(Task(None, None, 1, 1), "stage", int, int, work=10, plain_work=2, unit="genes/s")
    assert (row.ours, row.plain, row.ratio) == (10.0, 2.0, 5.0)


def test_named_rows_replace_their_own_only(tmp_path, monkeypatch):
    monkeypatch.setattr(bench, "OUTPUT", tmp_path / "bench.json")
    first = [Row(name, 1.0, 1.0, 1.0, "genes/s", None, 1, 5) for name in ("a", "b")]
    bench.keep(first, {"genes": 10})
    bench.keep([Row("a", 2.0, 1.0, 2.0, "genes/s", None, 1, 5)], {"genes": 20})
    table = json.loads(bench.OUTPUT.read_text())
    assert {row["name"]: row["ours"] for row in table["rows"]} == {"a": 2.0, "b": 1.0}
    assert table["about"]["genes"] == 20
    assert [path.name for path in tmp_path.iterdir()] == ["bench.json"]


def test_a_stage_that_has_fewer_rows_leaves_none_of_its_old_ones(tmp_path, monkeypatch):
    monkeypatch.setattr(bench, "OUTPUT", tmp_path / "bench.json")
    bench.keep([Row(name, 1.0, None, None, "s", None, 1, 1) for name in ("a", "a:x", "ab")],
               {"genes": 10})
    bench.keep([Row("a", 2.0, None, None, "s", None, 1, 1)], {"genes": 10})
    table = json.loads(bench.OUTPUT.read_text())
    assert sorted(row["name"] for row in table["rows"]) == ["a", "ab"]


def test_the_quick_book_is_read_from_what_was_executed(tmp_path, monkeypatch):
    monkeypatch.setattr(book, "EXECUTED", tmp_path)
    assert "absent" in book.book_quick(None)[0].note
    for profile, key, started, duration in (("quick", "old", 1, 9.0), ("quick", "new", 2, 5.0),
                                            ("smoke", "small", 3, 1.0)):
        folder = tmp_path / "data" / key
        folder.mkdir(parents=True)
        run = {"profile": profile, "started": started, "duration": duration}
        (folder / "run.json").write_text(json.dumps(run))
        cells = [{"cell_type": "markdown", "source": ["# The data\n", "## Labels"], "metadata": {}},
                 {"cell_type": "code", "source": ["slow()\n", "x"],
                  "metadata": {"papermill": {"duration": duration - 1}}}]
        (folder / "executed.ipynb").write_text(json.dumps({"cells": cells}))
    total, chapter, cell = book.book_quick(None)
    assert (total.ours, chapter.name, chapter.ours) == (5.0, "book_quick:data", 5.0)
    assert (cell.ours, cell.note.split(";")[0]) == (4.0, "data, Labels: slow()")


def test_a_job_for_a_worker_is_small(tmp_path, dataset):
    home = str(tmp_path)
    write_cell(dataset, home)
    one = Fit("deepchrome_max", TUNED, ("S001",), "S001", home)
    sent, back = cluster.on_the_wire(one, tmp_path)
    assert sent < 2000
    assert back < 100


def test_no_accelerator_is_said(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    rows = gpu.gpu(None)
    assert all(row.ours is None and "not measured" in row.note for row in rows)
    assert all("not measured" in bench.line(row) for row in rows)


def test_every_stage_is_found_once():
    stages = bench.find_stages()
    assert {"csv_to_store", "store_open", "evaluate", "train_one"} <= set(stages)
    assert all(name == stage.name for name, stage in stages.items())


def test_what_a_cluster_leaves_in_the_environment_is_undone(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    monkeypatch.delenv("MALLOC_TRIM_THRESHOLD_", raising=False)
    with pytest.raises(RuntimeError), cluster.environment(**cluster.KEEP_MEMORY):
        assert os.environ["MALLOC_TRIM_THRESHOLD_"] == str(2**30)
        os.environ.update(OMP_NUM_THREADS="1", LEFT="there")
        raise RuntimeError
    assert os.environ["OMP_NUM_THREADS"] == "2"
    assert not {"MALLOC_TRIM_THRESHOLD_", "LEFT"} & set(os.environ)
