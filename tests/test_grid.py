"""Grids: nothing trained twice, nothing lost, the same result on any engine."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest
from test_linear import planted

import dc2lib.training.grid
from dc2lib.crosscell.transfer import transfer
from dc2lib.datasets import open_cell, write_cell
from dc2lib.errors import DataError
from dc2lib.labels import label
from dc2lib.models.deepchrome import build
from dc2lib.signals import oriented_counts
from dc2lib.training.fit import Recipe, fit, predict_logits
from dc2lib.training.grid import GridError, run_grid, trainings
from dc2lib.training.grid_fits import Fit, fit_path, train_together, training_set

RECIPE = Recipe(transform="log1p", optimizer="adam", learning_rate=0.1, epochs=2, patience=2)


@pytest.fixture
def home(tmp_path):
    strands = np.tile(["+", "-"], 90)
    for number, cell in enumerate(("A", "B")):
        write_cell(replace(planted(cell, seed=number), strand=strands), tmp_path / "store")
    return str(tmp_path / "store")


def fits(home, **changes):
    base = Fit("linear", RECIPE, ("A",), "A", home, labels="numeric")
    return [replace(base, seed=seed, **changes) for seed in (0, 1)]


def test_a_second_run_trains_nothing(home, tmp_path, monkeypatch):
    first = run_grid(fits(home), tmp_path / "fits", progress=False)
    monkeypatch.setattr(dc2lib.training.grid, "train_together", None)
    again = run_grid(fits(home), tmp_path / "fits", progress=False)
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one.test_logits, other.test_logits)
        assert one.history.equals(other.history)


@pytest.mark.parametrize(
    "change",
    [
        {"labels": "lexicographic"},
        {"orientation": "gene"},
        {"recipe": replace(RECIPE, epochs=1)},
        {"train_cells": ("A", "B")},
        {"n_train": 50},
        {"each_gene_once": True},
        {"test_cell": "B"},
        {"seed": 7},
    ],
)
def test_every_parameter_counts(home, change):
    base = fits(home)[0]
    assert fit_path(base) != fit_path(replace(base, **change))


def test_changed_counts_or_labels_retrain(home, tmp_path):
    base, cell = fits(home)[0], open_cell("A", home)
    before = fit_path(base)
    assert fit_path(base) == before
    write_cell(replace(cell, counts=cell.counts + np.uint16(1)), home)
    assert fit_path(base) != before


def test_any_engine_gives_the_same_result(home, tmp_path):
    serial = run_grid(fits(home), tmp_path / "serial", progress=False)
    with ThreadPoolExecutor(2) as pool:
        pooled = run_grid(fits(home), tmp_path / "pool", executor=pool, progress=False)
    processes = run_grid(fits(home), tmp_path / "processes", workers=2, progress=False)
    for one, two, three in zip(serial, pooled, processes, strict=True):
        np.testing.assert_array_equal(one.test_logits, two.test_logits)
        np.testing.assert_array_equal(one.test_logits, three.test_logits)


def test_a_record_holds_the_model_that_made_its_logits(home, tmp_path):
    one = Fit("deepchrome_strided", replace(RECIPE, learning_rate=1e-3), ("A", "B"), "B", home,
              orientation="gene")
    record = run_grid([one], tmp_path, progress=False)[0]
    test = open_cell("B", home).take("test")
    logits = predict_logits(record.load_model(), test.gene_oriented(), transform="log1p")
    np.testing.assert_allclose(logits, record.test_logits, atol=1e-5)
    again = predict_logits(record.load_model(test.counts.shape[1:]), test.gene_oriented(),
                           transform="log1p")
    np.testing.assert_array_equal(again, logits)
    assert record.best_epoch in (0, 1) and record.seconds > 0
    assert 0 <= record.test_auroc(label(test, "numeric")) <= 1


def test_one_failed_fit_does_not_stop_the_others(home, tmp_path):
    good = fits(home)
    bad = replace(good[0], model="no_such_model")
    with pytest.raises(GridError, match="1 of 3 fits failed") as failure:
        run_grid([bad, *good], tmp_path, progress=False)
    assert "no_such_model" in str(failure.value)
    assert list(failure.value.failures) == [bad]
    assert len(list(tmp_path.glob("*.npz"))) == 2


def test_unknown_orientation_is_refused(home):
    with pytest.raises(ValueError, match="genome"):
        replace(fits(home)[0], orientation="sideways")


def test_fits_that_share_their_training_equal_fits_alone(home, tmp_path):
    recipe = replace(RECIPE, epochs=6, patience=1, learning_rate=1e-3)
    base = Fit("deepchrome_average", recipe, ("B", "A"), "A", home, orientation="gene", seed=3)
    shared = [base, replace(base, test_cell="B")]
    assert trainings(shared) == [shared]
    records = run_grid(shared, tmp_path, progress=False)
    train = [open_cell(cell, home).take("train") for cell in base.train_cells]
    counts = np.concatenate([part.gene_oriented() for part in train])
    labels = np.concatenate([label(part) for part in train])
    for one, record in zip(shared, records, strict=True):
        cell = open_cell(one.test_cell, home)
        valid, test = cell.take("valid"), cell.take("test")
        alone = fit(
            build(one.model, seed=3), counts, labels, valid.gene_oriented(), label(valid),
            recipe=recipe, seed=3,
        )
        assert record.history.equals(alone.history) and record.best_epoch == alone.best_epoch
        logits = predict_logits(alone.model, test.gene_oriented(), transform="log1p")
        np.testing.assert_array_equal(record.test_logits, logits)


def test_a_bad_test_cell_does_not_stop_those_that_share_its_training(home, tmp_path):
    bad = open_cell("A", home)
    rpkm_text = np.where(bad.split == "valid", "0.000", bad.rpkm_text)
    write_cell(replace(bad, cell="C", rpkm=rpkm_text.astype(float), rpkm_text=rpkm_text), home)
    base = fits(home)[0]
    with pytest.raises(GridError, match="C validation labels") as failure:
        run_grid([base, replace(base, test_cell="C")], tmp_path, progress=False)
    assert [one.test_cell for one in failure.value.failures] == ["C"]
    assert run_grid([base], tmp_path, progress=False)[0].fit == base


def test_a_worker_that_sees_other_data_trains_nothing(home, tmp_path):
    one = fits(home)[0]
    path = tmp_path / f"{'0' * 32}.npz"
    errors = train_together([one], [path])
    assert isinstance(errors[0], DataError) and "other data" in str(errors[0])
    assert not path.exists()


@pytest.mark.parametrize("orientation", ["genome", "gene"])
def test_pooled_counts_are_the_counts_one_after_the_other(home, orientation):
    one = Fit("linear", RECIPE, ("B", "A"), "A", home, orientation=orientation)
    pooled, labels = training_set(one)
    train = [open_cell(cell, home).take("train") for cell in ("B", "A")]
    whole = np.concatenate([oriented_counts(part, orientation) for part in train])
    assert pooled.shape == whole.shape and len(pooled) == len(whole)
    np.testing.assert_array_equal(pooled[:], whole)
    np.testing.assert_array_equal(pooled[90:130], whole[90:130])
    index = np.array([199, 0, 150, 0, 99, 100])
    np.testing.assert_array_equal(pooled[index], whole[index])
    np.testing.assert_array_equal(labels, np.concatenate([label(part) for part in train]))
    pooled.release()
    np.testing.assert_array_equal(pooled[index], whole[index])


def test_each_gene_once_takes_every_gene_from_one_cell(home):
    one = Fit("linear", RECIPE, ("A", "B"), "A", home, each_gene_once=True)
    pooled, _ = training_set(one)
    train = [open_cell(cell, home).take("train").counts for cell in ("A", "B")]
    assert len(pooled) == len(train[0])
    from_a = pooled[:50]
    rows = [np.flatnonzero((train[0] == gene).all((1, 2)))[0] for gene in from_a]
    others = np.setdiff1d(np.arange(100), rows)
    np.testing.assert_array_equal(from_a, train[0][rows])
    np.testing.assert_array_equal(pooled[50:], train[1][others])
    with pytest.raises(ValueError, match="n_train"):
        replace(one, n_train=5)


def test_a_fit_needs_a_cell_to_train_on(home):
    with pytest.raises(ValueError, match="no cell type"):
        replace(fits(home)[0], train_cells=())


@pytest.fixture(scope="module")
def dask_client():
    distributed = pytest.importorskip("distributed")
    quiet = {"distributed.admin.low-level-log-length": 0}
    with (
        __import__("dask").config.set(quiet),
        closing(
            distributed.LocalCluster(
                n_workers=2, threads_per_worker=1, dashboard_address=":0", silence_logs=50
            )
        ) as cluster,
        closing(distributed.Client(cluster)) as client,
    ):
        yield client


def test_dask_gives_the_same_result(dask_client, home, tmp_path):
    recipe = replace(RECIPE, learning_rate=1e-3)
    base = Fit("deepchrome_average", recipe, ("A", "B"), "A", home, orientation="gene")
    planned = [*fits(home), base, replace(base, test_cell="B")]
    serial = run_grid(planned, tmp_path / "serial", progress=False)
    engine = dask_client.get_executor()
    remote = run_grid(planned, tmp_path / "dask", executor=engine, progress=False)
    for one, other in zip(serial, remote, strict=True):
        np.testing.assert_array_equal(one.test_logits, other.test_logits)
        assert one.history.equals(other.history)


def test_a_record_of_another_fit_is_not_taken(home, tmp_path):
    one, other = run_grid(fits(home), tmp_path / "fits", progress=False)
    content = one.path.read_bytes(), other.path.read_bytes()
    one.path.write_bytes(content[1])
    other.path.write_bytes(content[0])
    with pytest.warns(UserWarning, match="record of another fit"):
        again = run_grid(fits(home), tmp_path / "fits", progress=False)
    for before, after in zip((one, other), again, strict=True):
        np.testing.assert_array_equal(before.test_logits, after.test_logits)


@pytest.mark.parametrize("left", [0, 0.5, 0.99])
def test_a_damaged_record_is_trained_again(home, tmp_path, left):
    one, other = run_grid(fits(home), tmp_path / "fits", progress=False)
    whole = one.path.read_bytes()
    one.path.write_bytes(whole[: int(left * len(whole))])
    with pytest.warns(UserWarning, match=rf"{one.path.name} is damaged"):
        again, kept = run_grid(fits(home), tmp_path / "fits", progress=False)
    np.testing.assert_array_equal(again.test_logits, one.test_logits)
    assert kept.seconds == other.seconds


@pytest.mark.parametrize("other", ["order", "marks", "bins", "unit"])
def test_cell_types_that_differ_are_not_pooled_nor_scored(home, tmp_path, other):
    given = open_cell("A", home)
    counts, marks, unit = np.asarray(given.counts), given.marks, given.unit
    if other == "order":
        counts, marks = counts[:, :, ::-1], marks[::-1]
    elif other == "marks":
        marks = (*marks[:-1], "H3K27ac")
    elif other == "bins":
        counts = np.repeat(counts, 2, axis=1)
    else:
        counts, unit = counts.astype(np.float32), "coverage"
    write_cell(replace(given, cell="C", counts=counts, marks=marks, unit=unit), home)
    own = run_grid([replace(fits(home)[0], test_cell="A")], tmp_path / "fits", progress=False)
    for train, test in ((("A", "C"), "A"), (("A",), "C")):
        one = replace(fits(home)[0], train_cells=train, test_cell=test)
        with pytest.raises(DataError, match=f"(A|C) has the {other.replace('order', 'marks')}"):
            run_grid([one], tmp_path / "fits", progress=False)
    with pytest.raises(DataError, match="has the"):
        transfer({"A": own[0]}, tmp_path, cells=["A", "C"])
