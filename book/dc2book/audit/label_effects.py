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

from dc2book import architectures
from dc2book.audit.label_noise import decompose
from dc2book.linear_baseline import MEAN, boosting_scores, mean_over_cells
from dc2book.style import estimates
from dc2lib.datasets import HistoneDataset
from dc2lib.evaluation.scores import RULES as SCORE_RULES
from dc2lib.evaluation.statistics import (
    Interval,
    bootstrap_auroc,
    bootstrap_mean_auroc,
    paired_auroc_changes,
    paired_auroc_difference,
)
from dc2lib.labels import RULES as LABEL_RULES
from dc2lib.labels import flipped, label

PER_DECADE = 8  # bins of expression
GRID_MODELS = (architectures.BASE, "linear")
MODELS = (*GRID_MODELS, "gradient_boosting")
SETUPS = tuple((recipe, orientation, (architectures.BASE,)) for recipe, orientation in
               (("paper", "genome"), ("tuned", "genome"), ("tuned", "gene")))
REPAIRS = {
    "released labels and score": ("paper", "genome", "lexicographic", "positive_logit"),
    "probability score": ("paper", "genome", "lexicographic", "probability"),
    "numeric labels": ("paper", "genome", "numeric", "probability"),
    "tuned recipe": ("tuned", "genome", "numeric", "probability"),
    "gene orientation": ("tuned", "gene", "numeric", "probability"),
}


@dataclass(frozen=True)
class AuditModels:
    """All models of the audit, and the cell types that they are for.

    ``datasets``: by cell type. ``trained``: as `dc2book.architectures.trained_models`.
    ``boosting``: test probabilities ``(gene,)`` of gradient boosting by (cell, label rule).
    """

    datasets: Mapping[str, HistoneDataset]
    trained: pd.DataFrame
    boosting: Mapping[tuple[str, str], np.ndarray]

    def truth(self, cell: str, rule: str) -> np.ndarray:
        """Labels of a cell type's test genes."""
        dataset = self.datasets[cell]
        return label(dataset, rule)[dataset.split == "test"]

    def blocks(self, cell: str) -> np.ndarray:
        """Stretch of the genome of each test gene."""
        return architectures.blocks_of(self.datasets[cell])

    def row(self, cell: str, model: str, labels: str, recipe: str, orientation: str) -> pd.Series:
        """The row of `trained` with these tags."""
        key = (cell, labels, recipe, orientation, model)
        return self.trained.set_index(architectures.GROUP, drop=False).loc[key]

    def scores(
        self, cell: str, model: str, labels: str, recipe: str = "tuned",
        scoring: str = "probability", orientation: str = "",
    ) -> np.ndarray:
        """Scores of the test genes, ``(fit, gene)``, of one model trained under one label rule.

        The tuned recipe is by default that along the gene.
        """
        if model == "gradient_boosting":
            return self.boosting[cell, labels][None]
        orientation = orientation or ("gene" if recipe == "tuned" else "genome")
        return architectures.scores_of(self.row(cell, model, labels, recipe, orientation), scoring)


def trained_models(
    datasets: Mapping[str, HistoneDataset], home: str, budget: architectures.TrainingBudget, *,
    seed: int = 0,
) -> AuditModels:
    """Train what is not on disk yet."""
    boosting = {}
    for cell, dataset in datasets.items():
        for rule, stands_for in architectures.distinct_rules(dataset).items():
            scores = boosting_scores(dataset, rule, "gene", budget.n_train, seed)
            boosting |= {(cell, one): scores for one in stands_for}
    trained = architectures.trained_models(datasets, home, budget, SETUPS, seed)
    return AuditModels(datasets, trained, boosting)


def train_and_score(models: AuditModels, **resampling: int) -> pd.DataFrame:
    """AUROC of every model by the rule it learned from, the rule it is scored on, and the score.

    ``resampling`` is here and below ``n_resamples`` and ``seed`` of the bootstrap.

    Returns columns cell, recipe, model, labels, scored_on, scoring, estimate, low, high, n.
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
        blocks = models.blocks(cell)
        rows += [
            {"cell": cell, "recipe": recipe, "model": model, "labels": labels,
             "scored_on": scored_on, "scoring": scoring}
            | vars(bootstrap_auroc(models.truth(cell, scored_on), scores, blocks=blocks,
                                   **resampling))
            for scored_on in LABEL_RULES
        ]
    return pd.DataFrame(rows)


def mean_crossed(table: pd.DataFrame) -> pd.DataFrame:
    """Means over cell types of `train_and_score`: model, labels, scored_on, estimate, low, high, n.
    """
    return estimates(table, ["model", "labels", "scored_on"], mean_over_cells)


def mean_lead(
    models: AuditModels, tags: tuple[str, str, str, str], model: str = architectures.BASE,
    cells: Sequence[str] = (), **resampling: int,
) -> Interval:
    """Mean over cell types of a model's AUROC minus the linear model's, paired over genes.

    ``tags`` are recipe, orientation, label rule and score rule; ``n`` counts the cell types, or the
    genes of one cell type that is named.
    """
    recipe, orientation, rule, scoring = tags
    names = list(cells or models.datasets)
    own, linear = ([models.scores(cell, of, rule, recipe, scoring, orientation) for cell in names]
                   for of in (model, "linear"))
    gap = bootstrap_mean_auroc(
        [models.truth(cell, rule) for cell in names], own, linear,
        blocks=[models.blocks(cell) for cell in names], **resampling)
    return gap if cells else replace(gap, n=len(names))


def leads_over_linear(models: AuditModels, **resampling: int) -> pd.DataFrame:
    """AUROC of network and boosting minus that of the linear model, scored on the rule learned.

    Columns cell (and the mean over them), recipe, model, labels, estimate, low, high, n.
    """
    compared = (("paper", architectures.BASE), ("tuned", architectures.BASE),
                ("tuned", "gradient_boosting"))
    rows = []
    for cell, labels, (recipe, model) in product((*models.datasets, MEAN), LABEL_RULES, compared):
        tags = (recipe, "gene" if recipe == "tuned" else "genome", labels, "probability")
        cells = () if cell == MEAN else (cell,)
        lead = mean_lead(models, tags, model, cells, **resampling)
        rows.append({"cell": cell, "recipe": recipe, "model": model, "labels": labels} | vars(lead))
    return pd.DataFrame(rows)


def learning_cost(models: AuditModels, **resampling: int) -> dict[str, Interval]:
    """AUROC after learning released labels minus after learning numeric ones, by rule scored on.

    Means over models (tuned recipe) and cell types of paired differences, see `mean_over_cells`.
    """
    return {
        scored_on: _mean_of_models({
            (cell, model): paired_auroc_difference(
                models.truth(cell, scored_on), models.scores(cell, model, "lexicographic"),
                models.scores(cell, model, "numeric"), blocks=models.blocks(cell), **resampling,
            )
            for cell, model in product(models.datasets, MODELS)
        })
        for scored_on in LABEL_RULES
    }


def scoring_cost(models: AuditModels, **resampling: int) -> Interval:
    """AUROC on numeric minus AUROC on released labels of models that learned released labels.

    The same means as in `learning_cost`.
    """
    costs = {}
    for cell, model in product(models.datasets, MODELS):
        scores = models.scores(cell, model, "lexicographic")
        stages = [(models.truth(cell, rule), scores) for rule in ("lexicographic", "numeric")]
        blocks = models.blocks(cell)
        costs[cell, model] = paired_auroc_changes(stages, blocks=blocks, **resampling)[1][1]
    return _mean_of_models(costs)


def repair_table(models: AuditModels, **resampling: int) -> pd.DataFrame:
    """AUROC after each step of `REPAIRS`, its paired change, and the network's lead at that step.

    Columns cell (and the mean over them), model, stage (name of `REPAIRS`), estimate, low, high, n;
    change, change_low, change_high (from the stage before); lead, lead_low, lead_high (network
    minus linear, in the network's rows), converged (share of the network's fits that levelled off,
    likewise).
    """
    rows = []
    for cell, model in product(models.datasets, GRID_MODELS):
        own = [models.row(cell, model, rule, recipe, orientation)
               for recipe, orientation, rule, _ in REPAIRS.values()]
        stages = [(models.truth(cell, tags[2]), architectures.scores_of(row, tags[3]))
                  for row, tags in zip(own, REPAIRS.values(), strict=True)]
        changes = paired_auroc_changes(stages, blocks=models.blocks(cell), **resampling)
        for row, (name, tags), (value, change) in zip(own, REPAIRS.items(), changes, strict=True):
            made = {"cell": cell, "model": model, "stage": name} | vars(value)
            made |= {} if change is None else _named("change", change)
            if model == architectures.BASE:
                lead = mean_lead(models, tags, cells=(cell,), **resampling)
                made |= _named("lead", lead) | {"converged": row["converged"]}
            rows.append(made)
    table = pd.DataFrame(rows)
    for (model, name), part in table.groupby(["model", "stage"], sort=False):
        made = {"cell": MEAN, "model": model, "stage": name} | vars(mean_over_cells(part))
        if part["change"].notna().all():
            made |= _named("change", mean_over_cells(part, "change"))
        if model == architectures.BASE:
            lead = mean_lead(models, REPAIRS[name], **resampling)
            made |= _named("lead", lead) | {"converged": part["converged"].mean()}
        rows.append(made)
    return pd.DataFrame(rows)


def stage_rows(repairs: pd.DataFrame, value: str = "") -> pd.DataFrame:
    """One quantity of `repair_table` with its interval: cell, model, stage, estimate, low, high, n.

    ``value`` is "change" or "lead"; by default the AUROC.  Stages without it are left out.
    """
    columns = [value or "estimate", *(f"{value}_{end}".lstrip("_") for end in ("low", "high"))]
    rows = repairs[["cell", "model", "stage", "n", *columns]].dropna()
    rows.columns = ["cell", "model", "stage", "n", "estimate", "low", "high"]
    return rows.assign(stage=rows["stage"].str.replace(" ", "_"))


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


def by_expression(dataset: HistoneDataset, scores: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Share labelled high, and mean predicted probability, of the test genes by their RPKM.

    ``scores``: test probabilities ``(fit, gene)`` by the label rule trained on. Bins are of equal
    width in log RPKM; genes below 0.1 RPKM share the first.

    Returns columns rpkm (geometric middle of the bin), genes, and for each rule labelled_<rule> and
    predicted_<rule>; bins with fewer than five genes are left out.
    """
    test = dataset.take("test")
    edges = 10 ** np.arange(-1, 4 + 1 / PER_DECADE, 1 / PER_DECADE)
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

    Columns cell, model, labels, and the values of `dc2book.audit.label_noise.decompose`, averaged
    over fits.  Cell types without a flipped test gene are left out.
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


def _mean_of_models(intervals: Mapping[tuple[str, str], Interval]) -> Interval:
    """`mean_over_cells` of intervals by (cell, model), averaged over the models first."""
    rows = pd.DataFrame([{"cell": cell} | vars(one) for (cell, _), one in intervals.items()])
    return mean_over_cells(rows.groupby("cell").mean())


def _named(name: str, interval: Interval) -> dict[str, float]:
    return {name: interval.estimate, f"{name}_low": interval.low, f"{name}_high": interval.high}
