"""What the label rule, the score and the recipe do to the results, on the same genes.

Networks and linear models are the fits of the architectures chapter (`dc2book.architectures`,
`dc2lib.training.grid`); nothing is trained twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier

from dc2book import architectures
from dc2book.audit.label_noise import decompose
from dc2lib.datasets import HistoneDataset
from dc2lib.evaluation.scores import RULES as SCORE_RULES
from dc2lib.evaluation.scores import auroc, positive_score
from dc2lib.evaluation.statistics import (
    Interval,
    bootstrap_auroc,
    paired_auroc_changes,
    paired_auroc_difference,
)
from dc2lib.labels import RULES as LABEL_RULES
from dc2lib.labels import flipped, label
from dc2lib.signals import oriented_counts, training_genes
from dc2lib.training.fit import PAPER
from dc2lib.training.grid import run_grid
from dc2lib.training.linear import LinearFits, fit_linear

SETUPS = (("paper", "genome"), ("tuned", "genome"), ("tuned", "gene"))
GRID_MODELS = ("deepchrome_max", "linear")
MODELS = (*GRID_MODELS, "gradient_boosting")
REPAIRS = {
    "released labels and score": ("paper", "genome", "lexicographic", "positive_logit"),
    "probability score": ("paper", "genome", "lexicographic", "probability"),
    "numeric labels": ("paper", "genome", "numeric", "probability"),
    "tuned recipe": ("tuned", "genome", "numeric", "probability"),
    "gene orientation": ("tuned", "gene", "numeric", "probability"),
    "equal budgets": ("tuned", "gene", "numeric", "probability"),
}
BOOSTING = {"max_iter": 100, "max_leaf_nodes": 15, "max_features": 0.3}


@dataclass(frozen=True)
class AuditModels:
    """All models of the audit, and the cell types that they are for.

    Attributes
    ----------
    datasets : dict
        By cell type.
    chosen : DataFrame
        As `dc2book.architectures.chosen_by_validation`: one row a cell, label rule, recipe,
        orientation and model, with the chosen fits.
    first_rate : DataFrame
        The same, without a choice of the learning rate.
    restarts : dict
        `LinearFits` by (recipe, label rule): the released budget of the linear model.
    boosting : dict
        Test probabilities ``(gene,)`` of gradient boosting by (cell, label rule).
    """

    datasets: Mapping[str, HistoneDataset]
    chosen: pd.DataFrame
    first_rate: pd.DataFrame
    restarts: Mapping[tuple[str, str], LinearFits]
    boosting: Mapping[tuple[str, str], np.ndarray]

    def truth(self, cell: str, rule: str) -> np.ndarray:
        """Labels of a cell type's test genes."""
        return label(self.datasets[cell].take("test"), rule)

    def scores(
        self, cell: str, model: str, labels: str, recipe: str = "tuned",
        scoring: str = "probability",
    ) -> np.ndarray:
        """Scores of the test genes, ``(fit, gene)``, of one model trained under one label rule.

        The tuned recipe is that along the gene.
        """
        if model == "gradient_boosting":
            return self.boosting[cell, labels][None]
        orientation = "gene" if recipe == "tuned" else "genome"
        return _scores(self.chosen, (cell, labels, recipe, orientation, model), scoring)


def trained_models(
    datasets: Mapping[str, HistoneDataset], home: str, budget: architectures.TrainingBudget, *,
    restarts: int = 5, linear_epochs: int = 100, seed: int = 0,
) -> AuditModels:
    """Train what is not on disk yet.

    The linear model is also trained as released: ``restarts`` times, and with the paper's recipe
    for ``linear_epochs`` epochs whatever the budget of the networks, since it costs next to
    nothing.
    """
    fits = [
        one
        for recipe, orientation in SETUPS
        for one in architectures.planned_fits(
            list(datasets), home, budget, recipe=recipe, orientation=orientation,
            models=GRID_MODELS, seed=seed,
        )
    ]
    records = run_grid(fits, progress=False)
    first = [
        one for one in records
        if one.fit.recipe.optimizer == "sgd"
        or one.fit.recipe.learning_rate == architectures.LEARNING_RATES[one.fit.model][0]
    ]
    recipes = {
        "paper": replace(PAPER, epochs=linear_epochs), "tuned": budget.tuned("linear")[0]
    }
    linear = {
        (recipe, rule): fit_linear(
            list(datasets.values()), labels=rule, recipe=settings,
            seeds=tuple(range(seed, seed + restarts)), n_train=budget.n_train,
        )
        for recipe, settings in recipes.items()
        for rule in LABEL_RULES
    }
    boosting = {
        (cell, rule): boosting_scores(dataset, rule, n_train=budget.n_train, seed=seed)
        for cell, dataset in datasets.items()
        for rule in LABEL_RULES
    }
    chosen, first_rate = (architectures.chosen_by_validation(one) for one in (records, first))
    return AuditModels(datasets, chosen, first_rate, linear, boosting)


def boosting_scores(
    dataset: HistoneDataset, rule: str, *, n_train: int = 0, seed: int = 0
) -> np.ndarray:
    """Test probabilities ``(gene,)`` of gradient boosting on log counts of all bins and marks."""

    def features(part: HistoneDataset) -> np.ndarray:
        counts = oriented_counts(part, "gene").astype(np.float32)
        return np.log1p(counts).reshape(len(part), -1)

    train = training_genes(dataset, n_train, seed)
    model = HistGradientBoostingClassifier(**BOOSTING, random_state=seed)
    model.fit(features(train), label(train, rule))
    return model.predict_proba(features(dataset.take("test")))[:, 1]


def train_and_score(models: AuditModels, **resampling: int) -> pd.DataFrame:
    """AUROC of every model by the rule it learned from, the rule it is scored on, and the score.

    ``resampling`` is here and below ``n_resamples`` and ``seed`` of the bootstrap.

    Returns
    -------
    DataFrame
        Columns cell, recipe, model, labels, scored_on, scoring, estimate, low, high, n.
    """
    combinations = [
        (recipe, model, scoring)
        for recipe, model, scoring in product(("paper", "tuned"), MODELS, SCORE_RULES)
        if model != "gradient_boosting" or (recipe, scoring) == ("tuned", "probability")
    ]
    rows = []
    for cell, (recipe, model, scoring), labels in product(
        models.datasets, combinations, LABEL_RULES
    ):
        scores = models.scores(cell, model, labels, recipe, scoring)
        rows += [
            {"cell": cell, "recipe": recipe, "model": model, "labels": labels,
             "scored_on": scored_on, "scoring": scoring}
            | vars(bootstrap_auroc(models.truth(cell, scored_on), scores, **resampling))
            for scored_on in LABEL_RULES
        ]
    return pd.DataFrame(rows)


def leads_over_linear(models: AuditModels, **resampling: int) -> pd.DataFrame:
    """AUROC of network and boosting minus that of the linear model, scored on the rule learned.

    Returns
    -------
    DataFrame
        Columns cell, recipe, model, labels, estimate, low, high, n; paired over genes.
    """
    compared = (
        ("paper", "deepchrome_max"), ("tuned", "deepchrome_max"), ("tuned", "gradient_boosting")
    )
    rows = []
    for cell, labels, (recipe, model) in product(models.datasets, LABEL_RULES, compared):
        lead = paired_auroc_difference(
            models.truth(cell, labels), models.scores(cell, model, labels, recipe),
            models.scores(cell, "linear", labels, recipe), **resampling,
        )
        rows.append({"cell": cell, "recipe": recipe, "model": model, "labels": labels} | vars(lead))
    return pd.DataFrame(rows)


def learning_cost(models: AuditModels, **resampling: int) -> dict[str, Interval]:
    """AUROC after learning released labels minus after learning numeric ones, by rule scored on.

    Means over models (tuned recipe) and cell types of paired differences and of both ends of their
    intervals over genes and fits, which is cautious: it takes all of them to move together.
    """
    return {
        scored_on: _mean_of([
            paired_auroc_difference(
                models.truth(cell, scored_on), models.scores(cell, model, "lexicographic"),
                models.scores(cell, model, "numeric"), **resampling,
            )
            for cell, model in product(models.datasets, MODELS)
        ])
        for scored_on in LABEL_RULES
    }


def scoring_cost(models: AuditModels, **resampling: int) -> Interval:
    """AUROC on numeric minus AUROC on released labels of models that learned released labels.

    The same means as in `learning_cost`.
    """
    costs = []
    for cell, model in product(models.datasets, MODELS):
        scores = models.scores(cell, model, "lexicographic")
        stages = [(models.truth(cell, rule), scores) for rule in ("lexicographic", "numeric")]
        costs.append(paired_auroc_changes(stages, **resampling)[1][1])
    return _mean_of(costs)


def repair_steps(
    models: AuditModels, cell: str
) -> list[tuple[str, np.ndarray, dict[str, np.ndarray]]]:
    """The steps from the released method to equal budgets, on one cell type.

    Up to the last step the budgets are the released ones: single fits of the network, the best of
    the restarts of the linear model by validation AUROC.  In the last step both models get the same
    seeds and the same choice of learning rates.

    Returns
    -------
    list of (name of `REPAIRS`, test labels, scores ``(fit, gene)`` by model)
    """
    steps = []
    for name, (recipe, orientation, rule, scoring) in REPAIRS.items():
        tags = (cell, rule, recipe, orientation)
        if name == "equal budgets":
            scores = {
                model: _scores(models.chosen, (*tags, model), scoring) for model in GRID_MODELS
            }
        else:
            scores = {
                "deepchrome_max": _scores(models.first_rate, (*tags, "deepchrome_max"), scoring),
                "linear": _best_restart(models, cell, recipe, rule, scoring)[None],
            }
        steps.append((name, models.truth(cell, rule), scores))
    return steps


def repair_table(models: AuditModels, **resampling: int) -> pd.DataFrame:
    """AUROC after each of `repair_steps`, its paired change, and the network's lead at that step.

    Returns
    -------
    DataFrame
        Columns cell, model, stage (name of `REPAIRS`), estimate, low, high, n; change, change_low,
        change_high (from the stage before); lead, lead_low, lead_high (network minus linear, in
        the network's rows).
    """
    rows = []
    for cell in models.datasets:
        steps = repair_steps(models, cell)
        for model in GRID_MODELS:
            changes = paired_auroc_changes(
                [(truth, scores[model]) for _, truth, scores in steps], **resampling
            )
            for (name, truth, scores), (value, change) in zip(steps, changes, strict=True):
                row = {"cell": cell, "model": model, "stage": name} | vars(value)
                if change is not None:
                    row |= _named("change", change)
                if model == "deepchrome_max":
                    row |= _named("lead", paired_auroc_difference(
                        truth, scores[model], scores["linear"], **resampling
                    ))
                rows.append(row)
    return pd.DataFrame(rows)


def flip_summary(dataset: HistoneDataset) -> dict[str, float]:
    """Which genes the text rule flips: how many, and the smallest and largest RPKM among them.

    Keys: flipped (share of all genes), flipped_high (share of the truly high genes), median,
    rpkm_low, rpkm_high, between_10_and_30 (share of the flipped with RPKM from 10 to below 30);
    the last three are NaN where nothing flips.
    """
    wrong = flipped(dataset)
    rpkm = pd.Series(dataset.rpkm[wrong])
    return {
        "flipped": float(wrong.mean()),
        "flipped_high": float(wrong[label(dataset, "numeric") == 1].mean()),
        "median": float(dataset.rpkm_median_text),
        "rpkm_low": rpkm.min(),
        "rpkm_high": rpkm.max(),
        "between_10_and_30": rpkm.between(10, 30, inclusive="left").mean(),
    }


def by_expression(
    dataset: HistoneDataset, scores: Mapping[str, np.ndarray], *, per_decade: int = 8
) -> pd.DataFrame:
    """Share labelled high, and mean predicted probability, of the test genes by their RPKM.

    Parameters
    ----------
    dataset
        Its test genes are used.
    scores
        Test probabilities ``(fit, gene)`` by the label rule trained on.
    per_decade
        Bins of equal width in log RPKM; genes below 0.1 RPKM share the first bin.

    Returns
    -------
    DataFrame
        Columns rpkm (geometric middle of the bin), genes, and for each rule labelled_<rule> and
        predicted_<rule>; bins with fewer than five genes are left out.
    """
    test = dataset.take("test")
    edges = 10 ** np.arange(-1, 4 + 1 / per_decade, 1 / per_decade)
    place = np.digitize(test.rpkm, edges)
    columns = {f"labelled_{rule}": label(test, rule) for rule in LABEL_RULES}
    columns |= {f"predicted_{rule}": one.mean(0) for rule, one in scores.items()}
    table = pd.DataFrame(columns).groupby(place).mean()
    table.insert(0, "genes", np.bincount(place, minlength=len(edges) + 1)[table.index])
    middle = np.sqrt(np.r_[edges[0] / 2, edges] * np.r_[edges, edges[-1] * 2])
    table.insert(0, "rpkm", middle[table.index])
    return table[table["genes"] >= 5].reset_index(drop=True)


def flipped_gene_ranking(models: AuditModels) -> pd.DataFrame:
    """How models rank kept, flipped and truly low test genes, by the rule that they learned from.

    Returns
    -------
    DataFrame
        Columns cell, model, labels, and the values of `dc2book.audit.label_noise.decompose`,
        averaged over fits.  Cell types without a flipped test gene are left out.
    """
    rows = []
    for cell, model, labels in product(models.datasets, MODELS, LABEL_RULES):
        truth = models.truth(cell, "numeric"), models.truth(cell, "lexicographic")
        if (truth[0] == truth[1]).all():
            continue
        parts = [decompose(one, *truth) for one in models.scores(cell, model, labels)]
        means = pd.DataFrame(parts).mean().to_dict()
        rows.append({"cell": cell, "model": model, "labels": labels} | means)
    return pd.DataFrame(rows)


def _scores(table: pd.DataFrame, key: tuple[str, ...], scoring: str) -> np.ndarray:
    """Test scores ``(fit, gene)`` of the row with these values of `architectures.GROUP`."""
    return architectures.scores_of(table.set_index(architectures.GROUP).loc[key], scoring)


def _best_restart(
    models: AuditModels, cell: str, recipe: str, rule: str, scoring: str
) -> np.ndarray:
    """Test scores ``(gene,)`` of the restart with the best validation AUROC under a score rule."""
    fits = models.restarts[recipe, rule]
    number = list(models.datasets).index(cell)
    valid, test = (models.datasets[cell].take(split) for split in ("valid", "test"))
    truth = label(valid, rule)
    of_valid = positive_score(fits.logits(number, valid.counts), scoring)
    best = int(np.argmax([auroc(truth, one) for one in of_valid]))
    return positive_score(fits.logits(number, test.counts), scoring)[best]


def _mean_of(intervals: Sequence[Interval]) -> Interval:
    estimate, low, high = np.mean([(one.estimate, one.low, one.high) for one in intervals], axis=0)
    return Interval(float(estimate), float(low), float(high), intervals[0].n)


def _named(name: str, interval: Interval) -> dict[str, float]:
    return {name: interval.estimate, f"{name}_low": interval.low, f"{name}_high": interval.high}
