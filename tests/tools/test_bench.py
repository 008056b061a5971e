"""Fast and plain ways of the benchmark give the same; no time is asserted."""

import json

import numpy as np
import pytest

from dc2lib.datasets import open_cell, write_cell
from dc2lib.datasets.simulated import simulate
from tools.bench import __main__ as bench
from tools.bench import evaluation
from tools.bench.data import write_csv
from tools.bench.harness import Row, Task, paired


@pytest.fixture(scope="module")
def dataset():
    return simulate(n_cells=1, n_genes=900, seed=0).datasets["S001"]


def test_matrix_column_is_that_of_one_pass_and_one_call_each(dataset, tmp_path):
    write_cell(dataset, tmp_path)
    records = evaluation.untrained(tmp_path, dataset, 3)
    ours = evaluation.matrix_column(records, dataset.cell, tmp_path / "logits.npz")
    plain = evaluation.plain_column(records, dataset.take("test"))
    assert len(set(plain)) == 3
    np.testing.assert_allclose(ours, plain, rtol=0, atol=1e-4)


def test_logits_are_those_of_the_modules(dataset, tmp_path):
    import torch

    from dc2lib.training import predict_logits

    write_cell(dataset, tmp_path)
    records = evaluation.untrained(tmp_path, dataset, 2)
    evaluation.evaluate_all(records, dataset.cell, tmp_path / "logits.npz")
    counts = open_cell(dataset.cell, tmp_path).take("test").counts
    with np.load(tmp_path / "logits.npz") as arrays:
        for record, found in zip(records, arrays["logits"], strict=True):
            expected = predict_logits(record.load_model(), counts, transform="log1p")
            torch.testing.assert_close(
                torch.from_numpy(found), torch.from_numpy(expected), rtol=1e-5, atol=1e-6
            )


def test_rows_are_medians_of_both_ways(monkeypatch):
    times = iter([9.0, 1.0, 4.0, 2.0, 6.0, 1.0, 5.0])
    monkeypatch.setattr("tools.bench.harness.seconds", lambda run: run() or next(times))
    next(times)
    row = paired(Task(None, None, 3, 2), "stage", int, int, work=10, unit="genes/s", limit=20)
    assert row == Row("stage", 10.0, 2.0, 4.0, "genes/s", 0.5, 2, 3)


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


def test_every_stage_is_found_once():
    stages = bench.find_stages()
    assert {"csv_to_store", "store_open", "evaluate", "train_one"} <= set(stages)
    assert all(name == stage.name for name, stage in stages.items())


def test_written_files_are_in_the_released_layout(dataset, tmp_path):
    from dc2lib.datasets import read_csv_folder

    few = dataset.select(np.arange(0, 900, 90))
    write_csv(few, tmp_path / "csv")
    read = read_csv_folder(tmp_path / "csv")
    np.testing.assert_array_equal(read.counts, few.counts)
    assert read.split.tolist() == few.split.tolist()
