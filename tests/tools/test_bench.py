"""Fast and plain ways of the benchmark give the same; no time is asserted."""

import json

import numpy as np
import pytest
import torch

from dc2lib.crosscell.transfer import cell_logits
from dc2lib.datasets import open_cell, write_cell
from dc2lib.datasets.simulated import simulate
from dc2lib.signals import to_signal
from tools import bench
from tools.bench import Row, Task, paired


@pytest.fixture(scope="module")
def dataset():
    return simulate(n_cells=1, n_genes=900, seed=0).datasets["S001"]


def test_the_matrix_is_that_of_one_pass_and_one_call_each(dataset, tmp_path):
    records = bench.own_models(tmp_path, dataset, 3)
    ours = bench.transfer(records, tmp_path / "logits", workers=1).to_numpy()
    plain = bench.plain_column(list(records.values()), dataset.take("test"))
    assert len(set(plain)) == 3
    for column in ours.T:
        np.testing.assert_allclose(column, plain, rtol=0, atol=1e-4)


def test_logits_are_those_of_the_modules(dataset, tmp_path):
    write_cell(dataset, tmp_path)
    records = bench.untrained(tmp_path, dataset, 2)
    signal = to_signal(open_cell(dataset.cell, tmp_path).take("test").counts, "log1p")
    logits = cell_logits(records, dataset.cell, tmp_path)
    with torch.inference_mode():
        for record, found in zip(records, logits, strict=True):
            expected = record.load_model()(signal)
            torch.testing.assert_close(torch.from_numpy(found), expected, rtol=1e-5, atol=1e-6)


def test_rows_are_medians_of_pairs_and_a_part_of_the_plain_work_is_scaled(monkeypatch):
    times = iter([1.0, 4.0, 2.0, 6.0, 1.0, 5.0])
    monkeypatch.setattr(bench, "seconds", lambda run: next(times))
    row = paired(Task(None, None, 3, 1), "stage", int, int, work=10, plain_work=5,
                 unit="genes/s", limit=20)
    assert (row.ours, row.plain, row.ratio) == (10.0, 1.0, 8.0)
    assert (row.ratio_low, row.ratio_high) == pytest.approx((6.0, 10.0))
    assert row.share_of_limit == 0.5


def test_a_stage_replaces_all_of_its_own_rows_and_no_others(tmp_path, monkeypatch):
    monkeypatch.setattr(bench, "OUTPUT", tmp_path / "bench.json")
    first = [Row(name, 1.0, 1.0, 1.0, "genes/s", None, 1, 5) for name in ("a", "a:x", "ab")]
    bench.write_rows(first, {"genes": 10})
    bench.write_rows([Row("a", 2.0, 1.0, 2.0, "genes/s", None, 1, 5)], {"genes": 20})
    table = json.loads(bench.OUTPUT.read_text())
    assert {row["name"]: row["ours"] for row in table["rows"]} == {"a": 2.0, "ab": 1.0}
    assert table["about"]["genes"] == 20


@pytest.mark.parametrize("name", ["csv_to_store", "train_one",
                                  "evaluate"])
def test_a_stage_runs_on_few_genes(name, dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(bench, "product_rate", lambda _: 1.0)
    monkeypatch.setattr(bench, "MODELS", 2)
    measure, _ = bench.STAGES[name]
    row = measure(Task(dataset, tmp_path, 1, 1))
    assert row.name == name
    assert row.ratio > 0


def test_an_unknown_stage_is_refused(capsys):
    with pytest.raises(SystemExit):
        bench.main(["absent"])
    assert "no stage absent; there are csv_to_store" in capsys.readouterr().err
