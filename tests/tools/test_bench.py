"""Fast and plain ways of the benchmark give the same, at tiny sizes; no time is asserted."""

import json
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest
import torch
from dc2book.benchmarks import TARGETS

from dc2lib.datasets.simulated import simulate
from tools import bench, textbook
from tools.bench import Task, paired


@pytest.fixture(scope="module")
def dataset():
    return simulate(n_cells=1, n_genes=300, seed=0).datasets["S001"]


def test_the_matrix_is_that_of_one_pass_and_one_call_each(dataset, tmp_path):
    records = bench.own_models(tmp_path, dataset, 3)
    ours = bench.transfer(records, tmp_path / "logits", workers=1).to_numpy()
    plain = textbook.column(list(records.values()), dataset.take("test"))
    assert len(set(plain)) == 3
    for column in ours.T:
        np.testing.assert_allclose(column, plain, rtol=0, atol=1e-4)


def test_rows_are_medians_of_pairs_and_a_part_of_the_plain_work_is_scaled(monkeypatch):
    times = iter([1.0, 4.0, 2.0, 6.0, 1.0, 5.0])
    monkeypatch.setattr(bench, "seconds", lambda run: next(times))
    row = paired(Task(None, None, 3, 1), "stage", int, int, work=10, plain_work=5,
                 unit="genes/s", limit=20)
    assert (row["ours"], row["plain"], row["ratio"]) == (10.0, 1.0, 8.0)
    assert (row["ratio_low"], row["ratio_high"]) == pytest.approx((6.0, 10.0))
    assert row["share_of_limit"] == 0.5


@pytest.fixture
def tiny(dataset, tmp_path, monkeypatch):
    """What a stage is given, everything small."""
    sizes = {"MODELS": 2, "GRID_MODELS": 2, "GRID_EPOCHS": 1, "PROCESSES": 1, "SAMPLES": 512,
             "PLAIN_SAMPLES": 512, "KEEP": 5, "LINEAR_EPOCHS": 1}
    for name, size in sizes.items():
        monkeypatch.setattr(bench, name, size)
    distributed = pytest.importorskip("distributed", reason="the extra cluster is not installed")
    monkeypatch.setattr(bench, "product_rate", lambda _: 1.0)
    monkeypatch.setattr(bench, "ProcessPoolExecutor", lambda n, _: ThreadPoolExecutor(n))
    inside = partial(distributed.LocalCluster, processes=False)
    monkeypatch.setattr(distributed, "LocalCluster", inside)
    return Task(dataset, tmp_path, 1, 1)


@pytest.mark.parametrize("measure", bench.STAGES)
def test_a_stage_runs(measure, tiny):
    row = measure(tiny)
    assert row["name"] == measure.__name__ and row["name"] in TARGETS
    assert row["ratio"] > 0


# the full size ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scale")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bench, "HOME", folder)
        patch.setattr(bench, "PART", 1)
        bench.ingest(1, 0, 300)
        first = json.loads((folder / "ingest.json").read_text())["S001"]
        bench.ingest(2, 0, 300)
        assert json.loads((folder / "ingest.json").read_text())["S001"] == first
        yield folder


def test_pieces_say_their_seconds_and_memory(home):
    threads = torch.get_num_threads()
    pieces = {name: bench.run_alone(name, "2", "0", "300")
              for name in ("ingest", "inclusive_epoch", "test_on_rest")}
    torch.set_num_threads(threads)
    assert all(row["seconds"] > 0 and row["peak_mib"] > 50 for row in pieces.values())
    assert pieces["ingest"]["csv_mib"] > pieces["ingest"]["disk_mib"] > 0
    assert pieces["test_on_rest"]["pairs"] == 2


def test_a_run_goes_on_where_it_stopped(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(bench, "SIZES", (2,))
    monkeypatch.setattr(bench, "PART", 1)
    asked = []

    def alone(name, *numbers):
        asked.append(name)
        if name == "linear" and len(asked) < 3:
            raise RuntimeError("killed")
        return {"seconds": 1.0, "peak_mib": 1.0}

    monkeypatch.setattr(bench, "alone", alone)
    with pytest.raises(RuntimeError, match="killed"):
        bench.main(["--full-size"])
    bench.main(["--full-size"])
    assert asked == ["ingest", "linear", "linear", "inclusive_epoch", *["test_on_rest"] * 2]
    rows = json.loads(bench.SCALE.read_text())["rows"]
    assert [(row["piece"], row["part"]) for row in rows][-2:] == [("test_on_rest", 0),
                                                                  ("test_on_rest", 1)]
    bench.main(["--full-size"])
    assert len(asked) == 6
