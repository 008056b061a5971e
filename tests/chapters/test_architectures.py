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

from dc2lib.datasets import write_cell
from dc2lib.evaluation.scores import auroc
from dc2lib.labels import label
from dc2lib.training.fit import PAPER, TUNED
from dc2lib.training.grid_fits import Fit, FitRecord


@pytest.mark.parametrize("recipe", ["paper", "tuned"])
def test_every_architecture_has_the_same_budget(recipe):
    budget = TrainingBudget(rates=2, seeds=3)
    fits = planned_fits(["A", "B"], "home", budget, recipe=recipe)
    spent = Counter((one.model, one.test_cell, one.labels) for one in fits)
    assert set(spent.values()) == {3 if recipe == "paper" else 6}
    assert len(spent) == 4 * 2 * 2
    assert len(set(fits)) == len(fits)
    for one in fits:
        assert one.train_cells == (one.test_cell,)


def test_more_rates_than_there_are_is_refused():
    with pytest.raises(ValueError, match="1 to 3"):
        TrainingBudget(rates=9).tuned("linear")


def record(home, rate, seed, valid, logits):
    fit = Fit("linear", replace(TUNED, learning_rate=rate), ("A",), "A", home, seed=seed)
    history = pd.DataFrame({"valid_auroc": [valid / 2, valid]})
    return FitRecord(fit, logits, logits, history, 1, 2.0, Path("unused"))


def test_the_rate_is_chosen_by_validation_genes(tmp_path):
    dataset = planted("A")
    write_cell(dataset, tmp_path)
    truth = label(dataset.take("test"))
    good = np.column_stack([-truth, truth]).astype(np.float32)
    records = [
        record(str(tmp_path), 0.1, 0, 0.9, -good),
        record(str(tmp_path), 0.1, 1, 0.7, -good),
        record(str(tmp_path), 0.01, 0, 0.75, good),
        record(str(tmp_path), 0.01, 1, 0.75, good),
    ]
    rows = comparison.chosen_by_validation(records)
    assert len(rows) == 1
    row = rows.iloc[0]
    assert row["learning_rate"] == 0.1 and row["valid_auroc"] == pytest.approx(0.8)
    assert row["seconds"] == 8.0 and row["epochs"] == 2 and row["recipe"] == "tuned"
    worst = comparison.mean_auroc(rows, n_resamples=50)
    assert worst.estimate == 0.0 == auroc(truth, -truth)
    best = comparison.chosen_by_validation(records[2:])
    gap = comparison.mean_auroc(best, other=rows, n_resamples=50)
    assert (gap.estimate, gap.low, gap.high) == (1.0, 1.0, 1.0)


def test_tables_hold_a_mean_and_a_paired_difference_a_group(tmp_path):
    write_cell(planted("A"), tmp_path)
    truth = label(planted("A").take("test"))
    good = np.column_stack([-truth, truth]).astype(np.float32)
    bad = record(str(tmp_path), 0.1, 0, 0.9, -good)
    other = replace(bad, fit=replace(bad.fit, model="deepchrome_max"), test_logits=good)
    rows = comparison.chosen_by_validation([bad, other])
    table = comparison.auroc_table(rows, ["labels", "model"], n_resamples=20).set_index("model")
    assert table["scoring"].tolist() == ["probability", "positive_logit"] * 2
    assert set(table.loc["linear", "estimate"]) == {0.0}
    (gap,) = comparison.difference_table(rows, ["labels"], ["deepchrome_max"], "linear",
                                         20).to_dict("records")
    assert (gap["estimate"], gap["verdict"], gap["model"]) == (1.0, "better", "deepchrome_max")


def test_the_papers_recipe_has_one_candidate():
    recipes = {one.recipe for one in planned_fits(["A"], "home", TrainingBudget(), recipe="paper")}
    assert recipes == {PAPER}
