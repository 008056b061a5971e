"""What the label rule, the score and the recipe do to the results, on the same genes.

Networks and linear models are the fits of the architectures chapter (`dc2book.architectures`,
`dc2lib.grid`); nothing is trained twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier

from dc2book import architectures as comparison
from dc2book.architectures import Budget
from dc2book.audit.noise import decompose
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
from dc2lib.training.grid_fits import Fit
from dc2lib.training.linear import LinearFits, fit_linear

SETUPS = (("paper", "genome"), ("tuned", "genome"), ("tuned", "gene"))
MODELS = ("deepchrome_max", "linear")
STAGES = (
    "released labels and score",
    "probability score",
    "numeric labels",
    "tuned recipe",
    "gene orientation",
    "equal budgets",
)
BOOSTING = {"max_iter": 100, "max_leaf_nodes": 15, "max_features": 0.3}


@dataclass(frozen=True)
class Trained:
    """All models of the audit.

    Attributes
    ----------
    rows : DataFrame
        As `dc2book.architectures.chosen_by_validation`: one row a cell, label rule, recipe,
        orientation and model, with the chosen fits.
    first_rate : DataFrame
        The same, without a choice of the learning rate.
    restarts : dict
        `LinearFits` by (recipe, label rule): the released budget of the linear model.
    cells : tuple of str
        In the order of the restarts' data sets.
    """

    rows: pd.DataFrame
    first_rate: pd.DataFrame
    restarts: dict[tuple[str, str], LinearFits]
    cells: tuple[str, ...]

    def row(self, table: str = "rows", **tags: str) -> pd.Series:
        """The one row of a table with these tags."""
        rows: pd.DataFrame = getattr(self, table)
        for name, value in tags.items():
            rows = rows[rows[name] == value]
        if len(rows) != 1:
            raise KeyError(f"{len(rows)} fits for {tags}: expected one")
        return rows.iloc[0]


def audit_fits(cells: Sequence[str], home: str, budget: Budget, seed: int = 0) -> list[Fit]:
    """The networks and linear models of every set-up and label rule."""
    return [
        one
        for recipe, orientation in SETUPS
        for one in comparison.planned_fits(
            cells, home, budget, recipe=recipe, orientation=orientation, models=MODELS, seed=seed
        )
    ]


def train(
    datasets: Mapping[str, HistoneDataset], home: str, budget: Budget, *, restarts: int = 5,
    linear_epochs: int = 100, seed: int = 0,
) -> Trained:
    """Train what is not on disk yet.

    The linear model is also trained as released: ``restarts`` times, and with the paper's recipe
    for ``linear_epochs`` epochs whatever the budget of the networks, since it costs next to
    nothing.
    """
    records = run_grid(audit_fits(list(datasets), home, budget, seed), progress=False)
    default = {name: rates[0] for name, rates in comparison.LEARNING_RATES.items()}
    first = [
        one for one in records
        if one.fit.recipe.optimizer == "sgd"
        or one.fit.recipe.learning_rate == default[one.fit.model]
    ]
    recipes = {
        "paper": replace(PAPER, epochs=linear_epochs),
        "tuned": budget.tuned("linear")[0],
    }
    seeds = tuple(range(seed, seed + restarts))
    linear = {
        (recipe, rule): fit_linear(
            list(datasets.values()), labels=rule, recipe=settings, seeds=seeds,
            n_train=budget.n_train,
        )
        for recipe, settings in recipes.items()
        for rule in LABEL_RULES
    }
    chosen = comparison.chosen_by_validation
    return Trained(chosen(records), chosen(first), linear, tuple(datasets))


def boosting_scores(
    dataset: HistoneDataset, rule: str, *, orientation: str = "gene", n_train: int = 0,
    seed: int = 0,
) -> np.ndarray:
    """Test probabilities ``(gene,)`` of gradient boosting on log counts of all bins and marks."""
    train = training_genes(dataset, n_train, seed)
    test = dataset.take("test")
    model = HistGradientBoostingClassifier(**BOOSTING, random_state=seed)
    model.fit(_flat(train, orientation), label(train, rule))
    return model.predict_proba(_flat(test, orientation))[:, 1]


def _flat(dataset: HistoneDataset, orientation: str) -> np.ndarray:
    counts = oriented_counts(dataset, orientation).astype(np.float32)
    return np.log1p(counts).reshape(len(dataset), -1)


def test_scores(
    trained: Trained, boosting: Mapping[tuple[str, str], np.ndarray], cell: str, model: str,
    labels: str, recipe: str, scoring: str = "probability",
) -> np.ndarray:
    """Scores of the test genes, ``(fit, gene)``, of one model trained under one label rule.

    The tuned recipe is that along the gene.  ``boosting`` holds scores by (cell, label rule).
    """
    if model == "gradient_boosting":
        return np.atleast_2d(boosting[cell, labels])
    orientation = "gene" if recipe == "tuned" else "genome"
    row = trained.row(
        cell=cell, labels=labels, recipe=recipe, orientation=orientation, model=model
    )
    return comparison.scores_of(row, scoring)


def train_and_score(
    trained: Trained, boosting: Mapping[tuple[str, str], np.ndarray],
    datasets: Mapping[str, HistoneDataset], *, n_resamples: int = 1000, seed: int = 0,
) -> pd.DataFrame:
    """AUROC of every model by the rule it learned from, the rule it is scored on, and the score.

    Returns
    -------
    DataFrame
        Columns cell, recipe, model, labels, scored_on, scoring, estimate, low, high, n.
    """
    combinations = [
        (recipe, model, scoring)
        for recipe in ("paper", "tuned")
        for model in (*MODELS, "gradient_boosting")
        for scoring in SCORE_RULES
        if model != "gradient_boosting" or (recipe, scoring) == ("tuned", "probability")
    ]
    rows = []
    for cell, dataset in datasets.items():
        truth = {rule: label(dataset.take("test"), rule) for rule in LABEL_RULES}
        for recipe, model, scoring in combinations:
            for labels in LABEL_RULES:
                scores = test_scores(trained, boosting, cell, model, labels, recipe, scoring)
                for scored_on in LABEL_RULES:
                    one = bootstrap_auroc(
                        truth[scored_on], scores, n_resamples=n_resamples, seed=seed
                    )
                    rows.append(
                        {"cell": cell, "recipe": recipe, "model": model, "labels": labels,
                         "scored_on": scored_on, "scoring": scoring} | vars(one)
                    )
    return pd.DataFrame(rows)


def advantages(
    trained: Trained, boosting: Mapping[tuple[str, str], np.ndarray],
    datasets: Mapping[str, HistoneDataset], *, n_resamples: int = 1000, seed: int = 0,
) -> pd.DataFrame:
    """AUROC of network and boosting minus that of the linear model, by rule learned and scored on.

    Returns
    -------
    DataFrame
        Columns cell, recipe, model, labels, scored_on, estimate, low, high, n; paired over genes.
    """
    rows = []
    for cell, dataset in datasets.items():
        for scored_on in LABEL_RULES:
            truth = label(dataset.take("test"), scored_on)
            for recipe, model in (
                ("paper", "deepchrome_max"), ("tuned", "deepchrome_max"),
                ("tuned", "gradient_boosting"),
            ):
                for labels in LABEL_RULES:
                    gap = paired_auroc_difference(
                        truth,
                        test_scores(trained, boosting, cell, model, labels, recipe),
                        test_scores(trained, boosting, cell, "linear", labels, recipe),
                        n_resamples=n_resamples, seed=seed,
                    )
                    rows.append(
                        {"cell": cell, "recipe": recipe, "model": model, "labels": labels,
                         "scored_on": scored_on} | vars(gap)
                    )
    return pd.DataFrame(rows)


@dataclass(frozen=True)
class Stage:
    """One step of the waterfall: which labels, and the scores ``(fit, gene)`` of each model."""

    name: str
    labels: np.ndarray
    scores: dict[str, np.ndarray]


def stages(trained: Trained, dataset: HistoneDataset) -> list[Stage]:
    """The steps from the released method to equal budgets, on one cell type.

    Up to the last step the budgets are the released ones: single fits of the network, the best of
    the restarts of the linear model by validation AUROC.  In the last step both models get the same
    seeds and the same choice of learning rates.
    """
    plan = (
        ("paper", "genome", "lexicographic", "positive_logit"),
        ("paper", "genome", "lexicographic", "probability"),
        ("paper", "genome", "numeric", "probability"),
        ("tuned", "genome", "numeric", "probability"),
        ("tuned", "gene", "numeric", "probability"),
    )
    test = dataset.take("test")
    made = []
    for name, (recipe, orientation, rule, scoring) in zip(STAGES, plan, strict=False):
        tags = {"cell": dataset.cell, "labels": rule, "recipe": recipe, "orientation": orientation}
        network = trained.row("first_rate", model="deepchrome_max", **tags)
        scores = {
            "deepchrome_max": comparison.scores_of(network, scoring),
            "linear": best_restart_scores(trained, dataset, recipe, rule, scoring)[None],
        }
        made.append(Stage(name, label(test, rule), scores))
    equal = {
        model: comparison.scores_of(
            trained.row(
                cell=dataset.cell, labels="numeric", recipe="tuned", orientation="gene",
                model=model,
            ),
            "probability",
        )
        for model in MODELS
    }
    return [*made, Stage(STAGES[-1], label(test, "numeric"), equal)]


def best_restart_scores(
    trained: Trained, dataset: HistoneDataset, recipe: str, rule: str, scoring: str
) -> np.ndarray:
    """Test scores ``(gene,)`` of the restart with the best validation AUROC under a score rule."""
    fits = trained.restarts[recipe, rule]
    number = trained.cells.index(dataset.cell)
    valid, test = dataset.take("valid"), dataset.take("test")
    truth = label(valid, rule)
    of_valid = positive_score(fits.logits(number, valid.counts), scoring)
    best = int(np.argmax([auroc(truth, one) for one in of_valid]))
    return positive_score(fits.logits(number, test.counts), scoring)[best]


def waterfall(
    steps: Sequence[Stage], *, n_resamples: int = 1000, seed: int = 0
) -> pd.DataFrame:
    """AUROC after each step, its paired change, and the network's lead at that step.

    Returns
    -------
    DataFrame
        Columns stage, model, estimate, low, high, n; change, change_low, change_high (from the
        stage before); lead, lead_low, lead_high (network minus linear, in the network's rows).
    """
    rows = []
    for model in MODELS:
        changes = paired_auroc_changes(
            [(one.labels, one.scores[model]) for one in steps], n_resamples=n_resamples, seed=seed
        )
        for step, (value, change) in zip(steps, changes, strict=True):
            row = {"stage": step.name, "model": model} | vars(value) | _named("change", change)
            if model == "deepchrome_max":
                lead = paired_auroc_difference(
                    step.labels, step.scores[model], step.scores["linear"],
                    n_resamples=n_resamples, seed=seed,
                )
                row |= _named("lead", lead)
            rows.append(row)
    return pd.DataFrame(rows)


def _named(name: str, interval: Interval | None) -> dict[str, float]:
    if interval is None:
        return {}
    return {name: interval.estimate, f"{name}_low": interval.low, f"{name}_high": interval.high}


def flip_summary(dataset: HistoneDataset) -> dict[str, float]:
    """Which genes the text rule flips: how many, and the smallest and largest RPKM among them.

    Keys: flipped (share of all genes), flipped_high (share of the truly high genes), rpkm_low,
    rpkm_high, between_10_and_30 (share of the flipped with RPKM from 10 to below 30), median; the
    RPKM figures are NaN where nothing flips.
    """
    wrong = flipped(dataset)
    rpkm = dataset.rpkm[wrong]
    high = label(dataset, "numeric") == 1
    summary = {
        "flipped": float(wrong.mean()),
        "flipped_high": float(wrong[high].mean()),
        "median": float(dataset.rpkm_median_text),
    }
    if not wrong.any():
        return summary | dict.fromkeys(("rpkm_low", "rpkm_high", "between_10_and_30"), np.nan)
    return summary | {
        "rpkm_low": float(rpkm.min()),
        "rpkm_high": float(rpkm.max()),
        "between_10_and_30": float(((rpkm >= 10) & (rpkm < 30)).mean()),
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
    columns |= {f"predicted_{rule}": np.atleast_2d(one).mean(0) for rule, one in scores.items()}
    table = pd.DataFrame(columns).groupby(place).mean()
    table.insert(0, "genes", np.bincount(place, minlength=len(edges) + 1)[table.index])
    middle = np.sqrt(np.r_[edges[0] / 2, edges] * np.r_[edges, edges[-1] * 2])
    table.insert(0, "rpkm", middle[table.index])
    return table[table["genes"] >= 5].reset_index(drop=True)


def what_models_learn(
    trained: Trained, boosting: Mapping[tuple[str, str], np.ndarray],
    datasets: Mapping[str, HistoneDataset],
) -> pd.DataFrame:
    """How models rank kept, flipped and truly low test genes, by the rule that they learned from.

    Returns
    -------
    DataFrame
        Columns cell, model, labels, and the attributes of `dc2book.audit.noise.Decomposition`,
        averaged over fits.  Cell types without a flipped gene are left out.
    """
    rows = []
    for cell, dataset in datasets.items():
        test = dataset.take("test")
        if not flipped(test).any():
            continue
        truth = label(test, "numeric"), label(test, "lexicographic")
        for model in (*MODELS, "gradient_boosting"):
            for labels in LABEL_RULES:
                scores = test_scores(trained, boosting, cell, model, labels, "tuned")
                parts = pd.DataFrame([vars(decompose(one, *truth)) for one in scores]).mean()
                rows.append({"cell": cell, "model": model, "labels": labels} | parts.to_dict())
    return pd.DataFrame(rows)
