"""Equal budgets, a choice that looks at validation genes only, and paired comparisons."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from dc2book import architectures as comparison
from dc2book.architectures import TrainingBudget, planned_fits
from test_linear import planted

from dc2lib.datasets import HistoneDataset
from dc2lib.evaluation.statistics import Interval
from dc2lib.labels import label
from dc2lib.training.grid_fits import FitRecord


def below_two(cell):
    """A cell type whose median begins with 1: both rules give the same labels."""
    rng = np.random.default_rng(0)
    text = [f"{value:.3f}" for value in rng.uniform(0.5, 2.6, 40)]
    return HistoneDataset.from_arrays(
        np.zeros((40, 100, 5), int), [f"G{i}" for i in range(40)], cell, ["train"] * 40,
        rpkm_text=text, rpkm_median_text="1.550",
    )


def test_every_network_has_the_same_candidates():
    cells = {name: planted(name) for name in "AB"}
    fits = planned_fits(cells, "home", TrainingBudget(rates=2), recipe="tuned")
    spent = pd.Series([(one.model, one.test_cell, one.labels) for one in fits]).value_counts()
    assert set(spent) == {2} and len(spent) == 3 * 2 * 2
    assert all(one.train_cells == (one.test_cell,) and one.seed == 0 for one in fits)


@pytest.fixture
def asked(monkeypatch):
    """The fits of each grid that is run; the validation AUROC of one is its learning rate."""
    grids = []

    def train(fits, **_):
        grids.append(fits)
        histories = [pd.DataFrame({"valid_auroc": [one.recipe.learning_rate]}) for one in fits]
        return [FitRecord(one, None, None, history, 0, 0.0, Path())
                for one, history in zip(fits, histories, strict=True)]

    monkeypatch.setattr(comparison, "run_grid", train)
    return grids


def test_other_seeds_get_the_chosen_rate_and_cell_types_beyond_the_full_ones_one_of_each(asked):
    cells = {name: planted(name) for name in "ABC"}
    budget = TrainingBudget(rates=2, seeds=3, tuned_epochs=1, restarts=1, full_cells=1)
    setup = ("tuned", "gene", (comparison.BASE,))
    trained = comparison.trained_models(cells, "home", budget, [setup])
    rates, seeds = (Counter(one.test_cell for one in fits) for fits in asked)
    both_rules = 2
    assert rates == {"A": 2 * both_rules, "B": both_rules, "C": both_rules}
    assert seeds == {"A": 3 * both_rules, "B": both_rules, "C": both_rules}
    tried, chosen = ({one.recipe.learning_rate for one in fits if one.test_cell == "A"}
                     for fits in asked)
    assert len(tried) == 2 and chosen == {max(tried)}
    assert trained.groupby("model").size().to_dict() == {"deepchrome_max": 6, "linear": 6}


def test_cell_types_beyond_the_budget_are_tuned_along_the_gene_alone(asked):
    cells = {name: planted(name) for name in "ABC"}
    cells["A"] = replace(cells["A"], unit="peak signal")
    budget = TrainingBudget(rates=1, seeds=1, tuned_epochs=1, restarts=1, recipe_cells=2)
    trained = comparison.trained_models(cells, "home", budget, comparison.SETUPS.values())
    for (recipe, orientation, model), part in trained.groupby(["recipe", "orientation", "model"]):
        of_all = (recipe, orientation) == ("tuned", "gene") and model not in comparison.VARIANTS
        assert set(part["cell"]) == set("ABC" if of_all else "BC")
    every = TrainingBudget(recipe_cells=0).of_setup(cells, "paper", "genome")
    assert list(every) == list("ABC")


def test_rules_that_agree_are_trained_once():
    alike, apart = below_two("A"), planted("B")
    assert comparison.distinct_rules(alike) == {"numeric": ("numeric", "lexicographic")}
    assert list(comparison.distinct_rules(apart)) == ["numeric", "lexicographic"]
    fits = planned_fits({"A": alike, "B": apart}, "home", TrainingBudget(), recipe="paper",
                        models=[comparison.BASE])
    assert [(one.test_cell, one.labels) for one in fits] == [
        ("A", "numeric"), ("B", "numeric"), ("B", "lexicographic")]


def test_variants_are_trained_on_cell_types_with_reads():
    cells = {name: planted(name) for name in "ABC"}
    cells["A"] = replace(cells["A"], unit="peak signal")
    assert list(comparison.first_cells(cells, 1)) == ["B"]
    fits = planned_fits(cells, "home", TrainingBudget(variant_cells=1), recipe="paper")
    varied = {one.test_cell for one in fits if one.model in comparison.VARIANTS}
    assert varied == {"B"} and {one.test_cell for one in fits} == set("ABC")


def rows(model, test_logits, valid_logits=None, cells="A", converged=1.0):
    made = []
    for cell in cells:
        dataset = planted(cell)
        valid = test_logits if valid_logits is None else valid_logits
        fits = [comparison.Scored(*one) for one in zip(test_logits, valid, strict=True)]
        made.append({"cell": cell, "labels": "numeric", "recipe": "paper", "model": model,
                     "orientation": "genome", "dataset": dataset, "fits": fits,
                     "converged": converged})
    return pd.DataFrame(made)


def logits_of(split, sign=1.0):
    truth = label(planted("A"))[planted("A").split == split]
    return np.column_stack([-sign * truth, sign * truth]).astype(float)


def test_of_the_linear_model_the_best_of_five_by_validation_is_scored():
    valid = [logits_of("valid", sign) for sign in (-1.0, 1.0)]
    test = [logits_of("test", sign) for sign in (1.0, -1.0)]
    assert comparison.mean_auroc(rows("linear", test, valid), n_resamples=20).estimate == 0.0
    of_network = comparison.mean_auroc(rows("deepchrome_max", test, valid), n_resamples=20)
    assert of_network.estimate == 0.5


def test_differences_stand_by_cell_type_and_as_a_mean():
    good, bad = [logits_of("test")], [logits_of("test", -1.0)]
    trained = pd.concat([rows("deepchrome_max", good, cells="AB"),
                         rows("linear", bad, [logits_of("valid")], cells="AB", converged=np.nan)])
    table = comparison.difference_table(trained, ["labels"], ["deepchrome_max"], "linear", 20)
    assert table["cell"].tolist() == ["A", "B", "mean"]
    assert table["estimate"].tolist() == [1.0] * 3 and set(table["verdict"]) == {"better"}
    assert table["n"].tolist() == [40, 40, 2]


def test_the_lead_counts_cell_types_whose_whole_interval_is_above_zero():
    rows_of = [("A", 0.1, 0.05, 0.2), ("B", 0.1, -0.1, 0.2), ("mean", 0.1, 0.01, 0.2)]
    table = pd.DataFrame(rows_of, columns=["cell", "estimate", "low", "high"])
    table = table.assign(labels="numeric", model=comparison.BASE)
    (one,) = comparison.leads(table, ["labels"]).to_dict("records")
    assert one == {"labels": "numeric", "lead": "+0.100 [+0.010, +0.200]", "ahead": "1 of 2"}


def test_fits_that_still_rise_decide_nothing():
    gap = Interval(0.03, 0.02, 0.04, 7)
    assert comparison.verdict(gap, 0.4) == comparison.NOT_CONVERGED != comparison.verdict(gap)
    trained = pd.concat([rows("deepchrome_max", [logits_of("test")], converged=0.2),
                         rows("linear", [logits_of("test", -1.0)], converged=np.nan)])
    table = comparison.difference_table(trained, ["labels"], ["deepchrome_max"], "linear", 20)
    assert set(table["verdict"]) == {comparison.NOT_CONVERGED}
    assert comparison.converged_table(trained)["estimate"].tolist() == [0.2]


def test_window_means_by_hand():
    counts = np.array([[[0, 1], [2, 1], [4, 0], [4, 2]]])
    two = comparison.window_means(counts, 2)
    logs = np.log1p([[(0, 2), (1, 1)], [(4, 4), (0, 2)]]).mean(2)
    np.testing.assert_allclose(two, logs.reshape(1, 4), rtol=1e-6)


def sided(n=400):
    """Genes on both strands whose expression shows downstream of the TSS only."""
    rng = np.random.default_rng(0)
    rpkm = np.round(rng.lognormal(1, 1.5, n), 3)
    high = rpkm > np.median(rpkm)
    strand = rng.choice(["+", "-"], n)
    counts = np.repeat(rng.poisson(1.0, (n, 1, 5)), 100, axis=1)
    side = np.where(high == (strand == "+"), 1, -1)
    counts[side > 0, 50:] += 2
    counts[side < 0, :50] += 2
    return HistoneDataset.from_arrays(
        counts, [f"G{i}" for i in range(n)], "A",
        np.repeat(["train", "valid", "test"], [n - 200, 100, 100]), strand=strand,
        rpkm_text=[f"{value:.3f}" for value in rpkm],
    )


def test_the_ladder_tells_direction_from_resolution():
    ladder = comparison.window_ladder({"A": sided()}, (1, 10))
    by = ["labels", "orientation", "windows"]
    table = comparison.auroc_table(ladder, by, ["probability"], 20)
    numeric = table[table["labels"] == "numeric"].set_index(["orientation", "windows"])["estimate"]
    assert numeric["gene", 10] > 0.95
    assert max(numeric["genome", 10], numeric["genome", 1]) < 0.7
    assert numeric["genome", 1] == numeric["gene", 1]


def test_genes_of_one_stretch_are_drawn_together(monkeypatch):
    blocks = np.zeros(40, int)
    monkeypatch.setattr(comparison, "blocks_of", lambda dataset: blocks)
    noisy = [np.random.default_rng(0).normal(size=(40, 2))]
    one_stretch = rows("deepchrome_max", noisy)
    together = comparison.mean_auroc(one_stretch, n_resamples=50)
    assert together.low == together.high == together.estimate
    monkeypatch.setattr(comparison, "blocks_of", lambda dataset: np.arange(40))
    alone = comparison.mean_auroc(one_stretch, n_resamples=50)
    assert alone.low < alone.estimate < alone.high


def test_fits_are_judged_on_the_chosen_test_genes_only():
    dataset = planted("A")
    test = dataset.take("test")
    logits = np.stack([np.zeros(len(test)), np.arange(len(test))], axis=1)
    fits = [comparison.Scored(logits, np.zeros((3, 2)))]
    trained = pd.DataFrame([{"cell": "A", "dataset": dataset, "labels": "numeric",
                             "model": "deepchrome_max", "fits": fits}])
    few = comparison.restricted(trained, test.gene_id[::3])
    row = few.iloc[0]
    ranks = comparison.scores_of(row)[0].argsort()
    np.testing.assert_array_equal(ranks, np.arange(len(test.gene_id[::3])))
    np.testing.assert_array_equal(comparison.labels_of(row), label(test, "numeric")[::3])
    assert (row["dataset"].split != "test").sum() == (dataset.split != "test").sum()
    assert len(trained["fits"][0][0].test_logits) == len(test)
