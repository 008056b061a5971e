"""Grids: nothing trained twice, nothing lost, the same result on any engine."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from test_linear import planted

from dc2lib import grid
from dc2lib.datasets import open_cell, write_cell
from dc2lib.grid import Fit, run_grid
from dc2lib.labels import label
from dc2lib.training import Recipe, predict_logits

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
    monkeypatch.setattr(grid, "train_to_file", None)
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
        {"test_cell": "B"},
        {"seed": 7},
    ],
)
def test_every_parameter_counts(home, change):
    base = fits(home)[0]
    assert grid.fit_key(base) != grid.fit_key(replace(base, **change))


def test_changed_counts_or_labels_retrain(home, tmp_path):
    base, cell = fits(home)[0], open_cell("A", home)
    before = grid.fit_key(base)
    assert grid.fit_key(base) == before
    write_cell(replace(cell, counts=cell.counts + np.uint16(1)), home)
    grid._cell_digest.cache_clear()
    assert grid.fit_key(base) != before


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
    assert record.best_epoch in (0, 1) and record.seconds > 0
    assert 0 <= record.test_auroc(label(test, "numeric")) <= 1


def test_gene_orientation_turns_minus_strand_genes_only(home):
    cell = open_cell("A", home)
    turned = grid.signals(cell, "gene")
    np.testing.assert_array_equal(turned[0], cell.counts[0])
    np.testing.assert_array_equal(turned[1], cell.counts[1, ::-1])
    assert grid.signals(cell, "genome") is cell.counts


def test_one_failed_fit_does_not_stop_the_others(home, tmp_path):
    good = fits(home)
    bad = replace(good[0], model="no_such_model")
    with pytest.raises(RuntimeError, match="1 of 3 fits failed") as failure:
        run_grid([bad, *good], tmp_path, progress=False)
    assert "no_such_model" in str(failure.value)
    assert len(list(tmp_path.glob("*.npz"))) == 2


def test_unknown_orientation_is_refused(home):
    with pytest.raises(ValueError, match="genome"):
        replace(fits(home)[0], orientation="sideways")
