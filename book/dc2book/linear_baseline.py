"""The linear baseline taken apart: restarts, weights with intervals, cross-checks.

Sections 3.4 and 4.3 of DeepChrome 2.0, Figure 8 and the last row of Table 2.  Tables are tidy:
columns that say what a row is about, then estimate, low, high and n; the mean over the cell types
is the row of the cell type `MEAN`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from itertools import product

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy import optimize
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression

from dc2book import style
from dc2book.architectures import auroc_table, blocks_of, distinct_rules, labels_of, scores_of
from dc2book.style import LABEL_NAMES, MANY_CELLS, MEAN, estimates
from dc2lib.crosscell.experiments import evenly_spaced
from dc2lib.datasets import HistoneDataset, published
from dc2lib.datasets.gene_windows import genome_blocks
from dc2lib.evaluation import statistics
from dc2lib.evaluation.scores import RULES as SCORE_RULES
from dc2lib.evaluation.scores import auroc, positive_score
from dc2lib.evaluation.statistics import MIN_CELLS, Interval, compared
from dc2lib.labels import RULES as LABEL_RULES
from dc2lib.labels import label
from dc2lib.signals import oriented_counts, training_genes
from dc2lib.training.linear import mark_means

EXPECTED_SIGNS = {"H3K4me3": 1, "H3K36me3": 1, "H3K27me3": -1}  # of the mean over cell types
BOOSTING = {"max_iter": 100, "max_leaf_nodes": 15, "max_features": 0.3}


def log_mean_counts(counts: np.ndarray) -> np.ndarray:
    """Logarithm of each mark's mean count plus 0.01, float32 ``(gene, mark)``."""
    return np.log(mark_means(counts) + np.float32(0.01))


FEATURES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "mean count": mark_means,
    "mean of log counts": partial(mark_means, transform="log1p"),
    "log of mean count": log_mean_counts,
}


def restart_table(trained: pd.DataFrame) -> pd.DataFrame:
    """Test AUROC of every restart: columns recipe, labels, cell, scoring, restart, auroc, chosen.

    ``trained`` are rows of `dc2book.architectures.linear_rows`; each score rule chooses the restart
    with the best validation AUROC under that rule.
    """
    rows = []
    for _, row in trained.iterrows():
        truth = {split: labels_of(row, split=split) for split in ("valid", "test")}
        for scoring in SCORE_RULES:
            valid, test = (
                [auroc(truth[split], positive_score(getattr(one, f"{split}_logits"), scoring))
                 for one in row["fits"]] for split in ("valid", "test"))
            rows += [
                row[["recipe", "labels", "cell"]].to_dict()
                | {"scoring": scoring, "restart": restart, "auroc": value,
                   "chosen": restart == int(np.argmax(valid))}
                for restart, value in enumerate(test)
            ]
    return pd.DataFrame(rows)


def spread_of_restarts(restarts: pd.DataFrame) -> pd.DataFrame:
    """How far the restarts of one cell type lie apart at most: labels, scoring, estimate, n.

    ``restarts``: rows of `restart_table`. ``n`` counts the restarts of a cell type.
    """
    groups = restarts.groupby(["labels", "scoring", "cell"])["auroc"]
    spread = pd.DataFrame({"estimate": groups.agg(np.ptp), "n": groups.size()})
    return spread.groupby(["labels", "scoring"]).max().reset_index()


def best_restart_table(trained: pd.DataFrame, n_resamples: int = 1000) -> pd.DataFrame:
    """Test AUROC of the restart with the best validation AUROC, by cell type and on average.

    Columns cell, recipe, labels, scoring, estimate, low, high, n.
    """
    by = ["recipe", "labels"]
    each = auroc_table(trained, ["cell", *by], n_resamples=n_resamples)
    means = auroc_table(trained, by, n_resamples=n_resamples)
    means = means.assign(cell=MEAN, n=trained["cell"].nunique())
    return pd.concat([each, means], ignore_index=True)


def bootstrap_weights(
    datasets: Mapping[str, HistoneDataset], *, n_resamples: int = 200, seed: int = 0,
    n_train: int = 0,
) -> pd.DataFrame:
    """Weights of the softmax model at its optimum, with bootstrap intervals.

    Stretches of the genome with their training genes are resampled.

    Returns columns cell (and the mean over them, with cell types as units), labels, class, mark,
    estimate, low, high, n.  The weight on class *high* is half of the logistic coefficient on the
    mean of log counts, on *low* its negative.
    """
    rows = []
    for cell, dataset in datasets.items():
        train = training_genes(dataset, n_train, seed)
        features = mark_means(train.counts, "log1p").astype(np.float64)
        places, block = np.unique(genome_blocks(train.gene_id), return_inverse=True)
        for rule, stands_for in distinct_rules(dataset).items():
            truth = label(train, rule)
            rng = np.random.default_rng(seed)
            estimate = _logistic_optimum(features, truth, np.ones(len(truth)))
            even = np.full(len(places), 1 / len(places))
            draws = np.array([
                _logistic_optimum(features, truth, times[block], estimate)
                for times in rng.multinomial(len(places), even, size=n_resamples)
            ])
            low, high = np.quantile(draws, statistics.ENDS, axis=0)
            rows += [
                {"cell": cell, "labels": one, "mark": mark, "estimate": estimate[i] / 2,
                 "low": low[i] / 2, "high": high[i] / 2, "n": len(truth)}
                for one in stands_for
                for i, mark in enumerate(dataset.marks)
            ]
    table = pd.DataFrame(rows)
    means = estimates(table, ["labels", "mark"], mean_over_cells).assign(cell=MEAN)
    high = pd.concat([table, means], ignore_index=True)
    mirrored = {"estimate": -high["estimate"], "low": -high["high"], "high": -high["low"]}
    return pd.concat([high.assign(**{"class": "high"}),
                      high.assign(**mirrored, **{"class": "low"})], ignore_index=True)


def sign_counts(weights: pd.DataFrame) -> pd.DataFrame:
    """In how many cell types each mark's weight on *high* lies above or below 0, whole intervals.

    Columns labels, mark, above, below, n.
    """
    high = weights[(weights["class"] == "high") & (weights["cell"] != MEAN)]
    sides = high.assign(above=high["low"] > 0, below=high["high"] < 0, n=1)
    sides = sides.groupby(["labels", "mark"], sort=False)[["above", "below", "n"]].sum()
    return sides.reset_index()


def released_high_minus_low() -> pd.DataFrame:
    """Released weights on "high" minus those on "low" (cell, mark)."""
    weights = published.released_linear_weights().set_index(["class", "cell"])
    return (weights.loc["high"] - weights.loc["low"]).drop(columns="bias")


def released_sign_shares() -> pd.DataFrame:
    """Share of the released models in which a mark speaks for high: mark, estimate, n."""
    raises = released_high_minus_low() > 0
    shares = raises.mean().rename_axis("mark").rename("estimate").reset_index()
    return shares.assign(n=len(raises))


def sign_table(signs: pd.DataFrame) -> pd.DataFrame:
    """`sign_counts` beside `released_sign_shares`, as counts of cell types."""
    raises = released_high_minus_low() > 0
    theirs = raises.sum().map(lambda times: f"{times} of {len(raises)}")
    of_cells = " of " + signs["n"].astype(str)
    return pd.DataFrame({
        "labels": signs["labels"].map(LABEL_NAMES), "mark": signs["mark"],
        "raises high": signs["above"].astype(str) + of_cells,
        "lowers high": signs["below"].astype(str) + of_cells,
        "released: raises": signs["mark"].map(theirs).fillna(""),
    })


def mean_over_cells(table: pd.DataFrame, value: str = "estimate") -> Interval:
    """Mean of a column over cell types with Student's interval; ``n`` counts them.

    With fewer than `MIN_CELLS` the ends are the means of the ends within the cell types (columns
    low and high, or ``<value>_low`` and ``<value>_high``), as if all moved together.
    """
    if len(table) >= MIN_CELLS:
        return statistics.student_interval(table[value].to_numpy())
    low, high = (table[end if value == "estimate" else f"{value}_{end}"].mean()
                 for end in ("low", "high"))
    return Interval(float(table[value].mean()), float(low), float(high), len(table))


def against_logistic_regression(
    trained: pd.DataFrame, n_train: int = 0, n_resamples: int = 1000
) -> pd.DataFrame:
    """Best restart minus scikit-learn's logistic regression on the same five means, paired.

    Columns recipe, labels, cell, gradient descent and logistic regression (AUROCs), estimate, low,
    high, n, verdict.
    """
    rows = []
    for (recipe, rule), part in trained.groupby(["recipe", "labels"], sort=False):
        datasets = dict(zip(part["cell"], part["dataset"], strict=True))
        truths = {row["cell"]: labels_of(row) for _, row in part.iterrows()}
        ours = {row["cell"]: scores_of(row)[0] for _, row in part.iterrows()}
        means = partial(mark_means, transform="raw" if recipe == "paper" else "log1p")
        library = {cell: logistic_scores(dataset, rule, means, n_train)
                   for cell, dataset in datasets.items()}
        first, second = (_aurocs(truths, scores) for scores in (ours, library))
        gaps = _intervals(datasets, truths, ours, library, n_resamples=n_resamples)
        rows += [
            {"recipe": recipe, "labels": rule, "cell": cell, "gradient descent": first[cell],
             "logistic regression": second[cell], **vars(gap), "verdict": compared(gap)}
            for cell, gap in gaps.items()
        ]
    return pd.DataFrame(rows)


def feature_table(
    datasets: Mapping[str, HistoneDataset], n_train: int = 0, n_resamples: int = 1000
) -> pd.DataFrame:
    """Test AUROC of logistic regression by how the five numbers are made.

    Columns features, labels, cell, estimate, low, high, n.
    """
    rows = []
    for name, features in FEATURES.items():
        for rule in LABEL_RULES:
            truths = {cell: label(one.take("test"), rule) for cell, one in datasets.items()}
            scores = {cell: logistic_scores(one, rule, features, n_train)
                      for cell, one in datasets.items()}
            found = _intervals(datasets, truths, scores, n_resamples=n_resamples)
            rows += [{"features": name, "labels": rule, "cell": cell} | vars(one)
                     for cell, one in found.items()]
    return pd.DataFrame(rows)


def feature_lead(
    datasets: Mapping[str, HistoneDataset], first: str, second: str, n_train: int = 0,
    n_resamples: int = 1000,
) -> Interval:
    """AUROC with one way of making the five numbers minus another, numeric labels, mean."""
    truths = {cell: label(one.take("test"), "numeric") for cell, one in datasets.items()}
    one, other = (
        {cell: logistic_scores(dataset, "numeric", FEATURES[name], n_train)
         for cell, dataset in datasets.items()}
        for name in (first, second)
    )
    return _intervals(datasets, truths, one, other, n_resamples=n_resamples)[MEAN]


def boosting_gain(
    datasets: Mapping[str, HistoneDataset], *, n_cells: int = 0, n_train: int = 0,
    n_resamples: int = 1000, seed: int = 0,
) -> pd.DataFrame:
    """Gradient boosting on all bins minus logistic regression on five log mean counts, paired.

    On ``n_cells`` cell types, evenly spread (0: all), both orientations of the bins and both label
    rules.  Columns labels, orientation, cell (and the mean over them), estimate, low, high, n and
    verdict.
    """
    datasets = {cell: datasets[cell] for cell in evenly_spaced(list(datasets), n_cells)}
    scores = {}
    for cell, dataset in datasets.items():
        for rule, stands_for in distinct_rules(dataset).items():
            linear = logistic_scores(dataset, rule, log_mean_counts, n_train)
            for orientation in ("genome", "gene"):
                boosted = boosting_scores(dataset, rule, orientation, n_train, seed)
                scores |= {(one, orientation, cell): (boosted, linear) for one in stands_for}
    rows = []
    for rule, orientation in product(LABEL_RULES, ("genome", "gene")):
        truths = {cell: label(one.take("test"), rule) for cell, one in datasets.items()}
        both = [{cell: scores[rule, orientation, cell][side] for cell in datasets}
                for side in (0, 1)]
        gaps = _intervals(datasets, truths, *both, n_resamples=n_resamples)
        rows += [{"labels": rule, "orientation": orientation, "cell": cell} | vars(gap)
                 | {"verdict": compared(gap)} for cell, gap in gaps.items()]
    return pd.DataFrame(rows)


def boosting_scores(
    dataset: HistoneDataset, rule: str, orientation: str, n_train: int = 0,
    seed: int = 0,
) -> np.ndarray:  # fmt: skip
    """Test probabilities ``(gene,)`` of gradient boosting on all counts."""
    parts = training_genes(dataset, n_train, seed), dataset.take("test")
    x, x_test = (oriented_counts(one, orientation).reshape(len(one), -1)
                 for one in parts)
    model = HistGradientBoostingClassifier(**BOOSTING, random_state=seed)
    return model.fit(x, label(parts[0], rule)).predict_proba(x_test)[:, 1]


def logistic_scores(
    dataset: HistoneDataset, rule: str,
    features: Callable[[np.ndarray], np.ndarray], n_train: int = 0,
    seed: int = 0,
) -> np.ndarray:
    """Test scores ``(gene,)`` of a logistic regression on given features."""
    train, test = training_genes(dataset, n_train, seed), dataset.take("test")
    x = features(train.counts)
    centre, scale = x.mean(0), x.std(0) + 1e-9
    model = LogisticRegression(C=100.0, max_iter=2000)
    model.fit((x - centre) / scale, label(train, rule))
    return model.decision_function((features(test.counts) - centre) / scale)


def plot_restarts(table: pd.DataFrame) -> Figure:
    """AUROC of every restart by score rule, a panel per label rule; the chosen ones are ringed.

    Cell types ascend by the mean AUROC of the chosen restarts; many have no names.

    ``table``: columns cell, labels, scoring, restart, auroc, chosen.
    """
    chosen = table[table["chosen"].astype(bool)]
    cells = chosen.groupby("cell")["auroc"].mean().sort_values().index.tolist()
    many = len(cells) > MANY_CELLS
    looks = {"positive_logit": ("released: positive logit", "#9C9C9C", "s", 0.15),
             "probability": ("probability", "#1F1F1F", "o", -0.15)}
    parts = style.split_by(table, "labels")
    fig, panels = style.panels(
        parts, (min(6.2, 7.4 / len(parts)), 3.4), LABEL_NAMES,
        xlabel=f"{len(cells)} cell types, sorted", ylabel="test AUROC")
    for axis, _, of_rule in panels:
        for scoring, part in of_rule.groupby("scoring", sort=False):
            name, colour, marker, shift = looks[scoring]
            x = part["cell"].map(cells.index) + shift + 0.02 * (part["restart"] - 2)
            axis.scatter(x, part["auroc"], s=5 if many else 22, color=colour, marker=marker,
                         label=name)
            best = part["chosen"].astype(bool)
            axis.scatter(x[best], part["auroc"][best], s=20 if many else 90, facecolor="none",
                         edgecolor=style.OTHER_COLOURS[1], marker=marker,
                         linewidth=0.9 if many else None)
        axis.set_xlim(-0.6, len(cells) - 0.4)
        axis.axhline(0.5, color="0.4", linewidth=0.9, linestyle="--")
        shown = [] if many else cells
        axis.set_xticks(range(len(shown)), shown, rotation=90 if len(cells) > 4 else 0)
        axis.grid(axis="y", alpha=0.3)
    style.legend_below(fig, title="score rule")
    return fig


def _aurocs(truths: Mapping[str, np.ndarray], scores: Mapping[str, np.ndarray]) -> dict[str, float]:
    by_cell = {cell: auroc(truth, scores[cell]) for cell, truth in truths.items()}
    return by_cell | {MEAN: float(np.mean([*by_cell.values()]))}


def _intervals(
    datasets: Mapping[str, HistoneDataset], truths: Mapping[str, np.ndarray],
    scores: Mapping[str, np.ndarray], others: Mapping[str, np.ndarray] | None = None, *,
    n_resamples: int,
) -> dict[str, Interval]:
    """AUROC, or paired difference of AUROCs, of each cell type, and their mean as `MEAN`.

    Stretches of the genome are resampled; ``n`` of the mean counts cell types.
    """

    def interval(cells: list[str]) -> Interval:
        return statistics.bootstrap_mean_auroc(
            [truths[cell] for cell in cells], [scores[cell] for cell in cells],
            None if others is None else [others[cell] for cell in cells],
            blocks=[blocks_of(datasets[cell]) for cell in cells], n_resamples=n_resamples,
        )

    each = {cell: interval([cell]) for cell in truths}
    return each | {MEAN: replace(interval(list(truths)), n=len(truths))}


def _logistic_optimum(
    features: np.ndarray, labels: np.ndarray, weights: np.ndarray, start: np.ndarray | None = None
) -> np.ndarray:
    """Coefficients and intercept ``(mark + 1,)`` that maximise the weighted likelihood.

    A ridge of 1e-3 on the coefficients keeps a separable sample finite.
    """
    design = np.column_stack([features, np.ones(len(features))])
    ridge = np.r_[np.full(features.shape[1], 1e-3), 0.0]

    def loss(beta: np.ndarray) -> tuple[float, np.ndarray]:
        score = design @ beta
        value = weights @ (np.logaddexp(0, score) - labels * score)
        gradient = design.T @ (weights * (1 / (1 + np.exp(-score)) - labels))
        return value + ridge @ beta**2 / 2, gradient + ridge * beta

    first = np.zeros(design.shape[1]) if start is None else start
    return optimize.minimize(loss, first, jac=True, method="L-BFGS-B").x
