"""What the label rule, the score and the recipe do to the results, on the same genes.

Networks and linear models are the fits of the architectures chapter (`dc2book.architectures`,
`dc2lib.training.grid`); nothing is trained twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product

import numpy as np
import pandas as pd

from dc2book import architectures
from dc2book.architectures import BASE, blocks_of, labels_of, scores_of
from dc2book.audit.label_noise import decompose
from dc2book.linear_baseline import boosting_scores, mean_over_cells
from dc2book.style import MEAN, estimates, split_by
from dc2lib.datasets import HistoneDataset
from dc2lib.evaluation import statistics
from dc2lib.evaluation.scores import RULES as SCORE_RULES
from dc2lib.evaluation.statistics import Interval
from dc2lib.labels import RULES as LABEL_RULES
from dc2lib.labels import flipped, label

PER_DECADE = 8  # bins of expression
BOOSTING = "gradient_boosting"
SETUPS = tuple((recipe, orientation, (BASE,)) for recipe, orientation in
               (("paper", "genome"), ("tuned", "genome"), ("tuned", "gene")))
REPAIRS = {
    "released labels and score": ("paper", "genome", "lexicographic", "positive_logit"),
    "probability score": ("paper", "genome", "lexicographic", "probability"),
    "numeric labels": ("paper", "genome", "numeric", "probability"),
    "tuned recipe": ("tuned", "genome", "numeric", "probability"),
    "gene orientation": ("tuned", "gene", "numeric", "probability"),
}


def trained_models(
    datasets: Mapping[str, HistoneDataset], home: str, budget: architectures.TrainingBudget, *,
    seed: int = 0,
) -> pd.DataFrame:
    """Rows of `dc2book.architectures.trained_models`, and of gradient boosting along the gene."""
    boosted = []
    for cell, dataset in datasets.items():
        for rule, stands_for in architectures.distinct_rules(dataset).items():
            high = boosting_scores(dataset, rule, "gene", budget.n_train, seed)
            fit = architectures.Scored(np.log(np.column_stack([1 - high, high])))
            boosted += [{"cell": cell, "labels": one, "recipe": "tuned", "orientation": "gene",
                         "model": BOOSTING, "dataset": dataset, "fits": [fit]}
                        for one in stands_for]
    trained = architectures.trained_models(datasets, home, budget, SETUPS, seed)
    return pd.concat([trained, pd.DataFrame(boosted)], ignore_index=True)


def of_setup(trained: pd.DataFrame, recipe: str, orientation: str) -> pd.DataFrame:
    """The rows of one recipe and one orientation of the bins."""
    return trained[(trained["recipe"] == recipe) & (trained["orientation"] == orientation)]


def train_and_score(trained: pd.DataFrame, **resampling: int) -> pd.DataFrame:
    """AUROC of every model by the rule it learned from, the rule it is scored on, and the score.

    The paper's recipe along the genome and the tuned one along the gene; ``resampling`` is here and
    below ``n_resamples`` and ``seed`` of the bootstrap.

    Returns columns cell, recipe, model, labels, scored_on, scoring, estimate, low, high, n.
    """
    setups = of_setup(trained, "paper", "genome"), of_setup(trained, "tuned", "gene")
    rows = []
    for (_, row), scoring in product(pd.concat(setups).iterrows(), SCORE_RULES):
        if row["model"] == BOOSTING and scoring != "probability":
            continue
        scores, blocks = scores_of(row, scoring), blocks_of(row["dataset"])
        rows += [
            row[["cell", "recipe", "model", "labels"]].to_dict()
            | {"scored_on": scored_on, "scoring": scoring}
            | vars(statistics.bootstrap_auroc(labels_of(row, scored_on), scores, blocks=blocks,
                                              **resampling))
            for scored_on in LABEL_RULES
        ]
    return pd.DataFrame(rows)


def with_means(table: pd.DataFrame) -> pd.DataFrame:
    """`train_and_score` and its means over cell types, by model, labels and scored_on."""
    means = estimates(table, ["model", "labels", "scored_on"], mean_over_cells)
    return pd.concat([table, means.assign(cell=MEAN)])


def label_costs(trained: pd.DataFrame, **resampling: int) -> dict[str, Interval]:
    """What released labels cost in AUROC: means over models (tuned recipe) and cell types.

    By rule scored on: after learning released labels minus after learning numeric ones, paired.
    ``"scoring"``: on numeric minus on released labels, of models that learned released ones.
    """
    costs: dict[str, list] = {}
    for (cell, _), part in of_setup(trained, "tuned", "gene").groupby(["cell", "model"]):
        rows = {rule: one.iloc[0] for rule, one in split_by(part, "labels").items()}
        text, numeric = scores_of(rows["lexicographic"]), scores_of(rows["numeric"])
        truths = {rule: labels_of(one) for rule, one in rows.items()}
        options = {"blocks": blocks_of(part["dataset"].iloc[0]), **resampling}
        found = {rule: statistics.paired_auroc_difference(truths[rule], text, numeric, **options)
                 for rule in LABEL_RULES}
        stages = [(truths[rule], text) for rule in ("lexicographic", "numeric")]
        found["scoring"] = statistics.paired_auroc_changes(stages, **options)[1][1]
        for name, one in found.items():
            costs.setdefault(name, []).append({"cell": cell} | vars(one))
    return {name: mean_over_cells(pd.DataFrame(rows).groupby("cell").mean())
            for name, rows in costs.items()}


def repair_table(trained: pd.DataFrame, **resampling: int) -> pd.DataFrame:
    """AUROC after each step of `REPAIRS`, its paired change, and the network's lead at that step.

    Columns cell (and the mean over them), model, stage (name of `REPAIRS`), estimate, low, high, n;
    change, change_low, change_high (from the stage before); lead, lead_low, lead_high (network
    minus linear, in the network's rows), converged (share of the network's fits that levelled off,
    likewise).
    """
    stages = {}
    for name, (recipe, orientation, rule, scoring) in REPAIRS.items():
        part = of_setup(trained, recipe, orientation)
        by_model = split_by(part[part["labels"] == rule], "model")
        stages[name] = {model: by_model[model] for model in (BASE, "linear")}, scoring

    def lead(name: str, *cells: str) -> dict[str, float]:
        by_model, scoring = stages[name]
        own, linear = (one[one["cell"].isin(cells)] for one in by_model.values())
        gap = architectures.mean_auroc(own, scoring, linear, **resampling)
        return _named("lead", gap) | {"converged": own["converged"].mean()}

    rows, cells = [], list(dict.fromkeys(trained["cell"]))
    for cell, model in product(cells, (BASE, "linear")):
        own = [(by_model[model].set_index("cell", drop=False).loc[cell], scoring)
               for by_model, scoring in stages.values()]
        changes = statistics.paired_auroc_changes(
            [(labels_of(row), scores_of(row, scoring)) for row, scoring in own],
            blocks=blocks_of(own[0][0]["dataset"]), **resampling)
        rows += [
            {"cell": cell, "model": model, "stage": name} | vars(value)
            | ({} if change is None else _named("change", change))
            | (lead(name, cell) if model == BASE else {})
            for name, (value, change) in zip(REPAIRS, changes, strict=True)
        ]
    table = pd.DataFrame(rows)
    for (model, name), part in table.groupby(["model", "stage"], sort=False):
        rows.append({"cell": MEAN, "model": model, "stage": name} | vars(mean_over_cells(part)))
        if part["change"].notna().all():
            rows[-1] |= _named("change", mean_over_cells(part, "change"))
        if model == BASE:
            rows[-1] |= lead(name, *cells)
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


def flipped_gene_ranking(trained: pd.DataFrame) -> pd.DataFrame:
    """How tuned models rank kept, flipped and truly low test genes, by the rule they learned from.

    Columns cell, model, labels, and the values of `dc2book.audit.label_noise.decompose`, averaged
    over fits.  Cell types without a flipped test gene are left out.
    """
    rows = []
    for _, row in of_setup(trained, "tuned", "gene").iterrows():
        truth = labels_of(row, "numeric"), labels_of(row, "lexicographic")
        if (truth[0] != truth[1]).any():
            parts = pd.DataFrame([decompose(one, *truth) for one in scores_of(row)])
            rows.append(row[["cell", "model", "labels"]].to_dict() | parts.mean().to_dict())
    return pd.DataFrame(rows)


def _named(name: str, interval: Interval) -> dict[str, float]:
    return {name: interval.estimate, f"{name}_low": interval.low, f"{name}_high": interval.high}
