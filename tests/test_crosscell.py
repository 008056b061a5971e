"""Cross-cell experiments: training sets, fits and their tables, transfer."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from test_linear import planted

from dc2lib import crosscell
from dc2lib.crosscell import experiments
from dc2lib.crosscell.transfer import transfer
from dc2lib.datasets import open_cell, published, write_cell
from dc2lib.errors import DataError
from dc2lib.labels import label
from dc2lib.training.fit import Recipe, predict_logits
from dc2lib.training.grid import run_grid
from dc2lib.training.grid_fits import Fit

RECIPE = Recipe(transform="log1p", optimizer="adam", learning_rate=0.1, epochs=2, patience=2)
CELLS = ["A", "B", "C", "D"]


def square(values, cells=CELLS):
    return pd.DataFrame(np.asarray(values, dtype=float), index=cells, columns=cells)


CORRELATION = square(
    [[1, 0.8, 0.6, 0.1], [0.8, 1, 0.5, 0.2], [0.6, 0.5, 1, 0.3], [0.1, 0.2, 0.3, 1]]
)


# --- training sets ---


def test_training_sets_by_hand():
    sets = crosscell.training_sets
    assert sets(CORRELATION, "own") == {cell: (cell,) for cell in CELLS}
    assert sets(CORRELATION, "own", inclusive=False) == {}
    assert sets(CORRELATION, "all")["C"] == ("A", "B", "C", "D")
    assert sets(CORRELATION, "all", inclusive=False)["C"] == ("A", "B", "D")
    assert sets(CORRELATION, "highly") == {
        "A": ("A", "B"), "B": ("A", "B"), "C": ("C",), "D": ("D",)
    }
    assert sets(CORRELATION, "highly", inclusive=False) == {"A": ("B",), "B": ("A",)}
    assert sets(CORRELATION, "somewhat", inclusive=False) == {
        "A": ("B", "C"), "B": ("A",), "C": ("A",)
    }


def test_random_sets_have_their_size_and_are_drawn_from_the_seed():
    names = [f"S{i:03d}" for i in range(20)]
    correlation = square(np.eye(20), names)
    inclusive = crosscell.training_sets(correlation, "random", n_random=10, seed=3)
    exclusive = crosscell.training_sets(
        correlation, "random", inclusive=False, n_random=10, seed=3
    )
    for cell in names:
        assert len(set(inclusive[cell])) == len(set(exclusive[cell])) == 10
        assert cell in inclusive[cell] and cell not in exclusive[cell]
        assert len(set(inclusive[cell]) & set(exclusive[cell])) == 9
    assert inclusive == crosscell.training_sets(correlation, "random", n_random=10, seed=3)
    assert inclusive != crosscell.training_sets(correlation, "random", n_random=10, seed=4)
    assert len(crosscell.training_sets(CORRELATION, "random")["A"]) == 4


def test_a_cell_without_correlation_takes_no_part():
    table = CORRELATION.copy()
    table.loc["D"] = table["D"] = np.nan
    assert crosscell.training_sets(table, "all") == dict.fromkeys(("A", "B", "C"), ("A", "B", "C"))


def test_released_training_sets_leave_the_test_cell_out_where_they_say_so():
    sets = published.released_training_sets()
    assert all(cell not in cells for cell, cells in sets["exclusive_all"].items())
    assert all(len(cells) == 54 for cells in sets["exclusive_all"].values())


def test_correlation_of_a_study():
    study = {cell: planted(cell, seed=number) for number, cell in enumerate(CELLS)}
    table = crosscell.expression_table(study).iloc[:100]
    plain = crosscell.study_correlation(study)
    np.testing.assert_allclose(plain, np.corrcoef(table.T), atol=1e-12)
    log = crosscell.study_correlation(study, log=True)
    np.testing.assert_allclose(log, np.corrcoef(np.log1p(table).T), atol=1e-12)
    off = crosscell.study_correlation(study, "released")
    assert off.loc["A", "B"] == pytest.approx(plain.loc["B", "C"]) and off["D"].isna().all()
    measured = {
        cell: replace(planted(cell), source="roadmap") for cell in ("E012", "E013")
    }
    real = crosscell.study_correlation(measured)
    assert real.loc["E012", "E013"] == published.rpkm_correlation().loc["E012", "E013"]
    with pytest.raises(DataError, match="sideways"):
        crosscell.study_correlation(study, "sideways")


# --- experiments ---


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    place = tmp_path_factory.mktemp("store")
    for number, cell in enumerate(CELLS):
        strands = np.tile(["+", "-"], 90)
        write_cell(replace(planted(cell, seed=number), strand=strands), place)
    return str(place)


@pytest.fixture(scope="module")
def records(home, tmp_path_factory):
    base = Fit("linear", RECIPE, ("",), "", home)
    fits = experiments.planned_experiments(base, CORRELATION, n_random=2)
    done = run_grid(list(fits.values()), tmp_path_factory.mktemp("fits"), progress=False)
    return dict(zip(fits, done, strict=True))


def test_planned_experiments(records):
    assert sorted({name for name, _ in records}) == sorted(crosscell.EXPERIMENTS)
    assert ("exclusive_highly", "C") not in records
    assert records["deepchrome", "B"].fit.train_cells == ("B",)
    assert records["exclusive_all", "B"].fit.train_cells == ("A", "C", "D")
    base = records["deepchrome", "A"].fit
    only = experiments.planned_experiments(
        base, CORRELATION, experiments=["exclusive_highly"], test_cells=["A", "D"]
    )
    assert list(only) == [("exclusive_highly", "A")]


def test_sets_run_their_own_epochs_and_unflipped_cells_are_trained_once():
    base = Fit("linear", RECIPE, ("",), "", "nowhere", "lexicographic")
    fits = experiments.planned_experiments(
        base, CORRELATION, experiments=["deepchrome", "inclusive_all"], set_epochs=1,
        unflipped=["A"])
    assert fits["deepchrome", "A"].labels == "numeric"
    assert fits["deepchrome", "B"].labels == "lexicographic"
    assert fits["inclusive_all", "A"].labels == "lexicographic"
    assert fits["deepchrome", "A"].recipe.epochs == 2
    assert fits["inclusive_all", "A"].recipe.epochs == 1


def test_groups_of_cell_types_are_left_out_together_and_share_a_training():
    cells = [f"C{number}" for number in range(8)]
    table = pd.DataFrame(0.9, cells, cells)
    sets = crosscell.training_sets(table, "all", inclusive=False, groups=3)
    assert sets["C1"] == sets["C4"] == sets["C7"] == ("C0", "C2", "C3", "C5", "C6")
    assert len(set(sets.values())) == 3
    alone = crosscell.training_sets(table, "all", inclusive=False)
    assert alone == crosscell.training_sets(table, "all", inclusive=False, groups=8)
    assert len(set(alone.values())) == 8


def test_a_budget_of_passes_bounds_each_training_on_several_cell_types(home):
    base = Fit("linear", RECIPE, ("",), "", home)
    free, bound = (
        experiments.planned_experiments(base, CORRELATION, n_random=2, set_passes=passes)
        for passes in (0, 300)
    )
    assert free.keys() == bound.keys() and len({one.n_train for one in free.values()}) == 1
    for name, one in bound.items():
        passes = one.recipe.epochs * experiments.training_size(one)
        assert one.recipe == free[name].recipe  # so that a curve shows whether it levels off
        assert passes <= 300 if len(one.train_cells) > 1 else one == free[name]
        if free[name].recipe.epochs * experiments.training_size(free[name]) <= 300:
            assert one == free[name]


def test_sets_between_own_and_all_are_planned_for_some_test_cell_types():
    base = Fit("linear", RECIPE, ("",), "", "nowhere")
    fits = experiments.planned_experiments(base, CORRELATION, n_random=2, set_cells=2)
    tested = {name: [cell for one, cell in fits if one == name] for name, _ in fits}
    assert tested["deepchrome"] == tested["exclusive_all"] == list(CELLS)
    assert tested["inclusive_random"] == [CELLS[0], CELLS[-1]]


# --- transfer ---


def test_transfer_equals_one_model_on_one_cell(home, records, tmp_path):
    own = {cell: records["deepchrome", cell] for cell in CELLS}
    matrix = transfer(own, tmp_path)
    test = open_cell("C", home).take("test")
    logits = predict_logits(own["B"].load_model(), test.counts, transform="log1p")
    expected = replace(own["B"], test_logits=logits).test_auroc(label(test))
    assert matrix.loc["B", "C"] == pytest.approx(expected)
    assert matrix.loc["A", "A"] == own["A"].test_auroc(label(open_cell("A", home).take("test")))
    assert len(list(tmp_path.rglob("*.npz"))) == 4


def test_transfer_is_kept_on_disk(records, tmp_path, monkeypatch):
    own = {cell: records["deepchrome", cell] for cell in CELLS}
    part = transfer(own, tmp_path, cells=["B"])
    assert len(list(tmp_path.rglob("*.npz"))) == 1
    first = transfer(own, tmp_path)
    pd.testing.assert_frame_equal(part, first[["B"]])
    monkeypatch.setattr("dc2lib.crosscell.transfer._logits", None)
    pd.testing.assert_frame_equal(first, transfer(own, tmp_path))
    changed = {cell: own[cell] for cell in CELLS[:-1]}
    with pytest.raises(RuntimeError, match="test cell type A"):
        transfer(changed, tmp_path)
