"""The linear baseline taken apart: restarts, weights with intervals, cross-checks.

Sections 3.4 and 4.3 of DeepChrome 2.0, Figure 8 and the last row of Table 2.  Tables are tidy:
columns that say what a row is about, then estimate, low, high and n; the mean over the cell types
is the row of the cell type `MEAN`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy import optimize
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression

from dc2book.mnist.study import joined
from dc2book.style import legend_below, mark_colour
from dc2lib.datasets import HistoneDataset
from dc2lib.evaluation.scores import RULES as SCORE_RULES
from dc2lib.evaluation.scores import auroc, positive_score
from dc2lib.evaluation.statistics import (
    Interval,
    bootstrap_auroc,
    bootstrap_mean_auroc,
    compared,
    paired_auroc_difference,
)
from dc2lib.labels import RULES as LABEL_RULES
from dc2lib.labels import label
from dc2lib.signals import training_genes
from dc2lib.training.linear import LinearFits, mark_means

MEAN = "mean"
EXPECTED_SIGN = {"H3K27me3": -1, "H3K36me3": 1, "H3K4me1": 1, "H3K4me3": 1, "H3K9me3": -1}


def log_mean_counts(counts: np.ndarray) -> np.ndarray:
    """Logarithm of each mark's mean count plus 0.01, float32 ``(gene, mark)``."""
    return np.log(mark_means(counts) + np.float32(0.01))


FEATURES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "mean count": mark_means,
    "mean of log counts": partial(mark_means, transform="log1p"),
    "log of mean count": log_mean_counts,
}


def restart_table(
    datasets: Mapping[str, HistoneDataset], fits: Mapping[tuple[str, str], LinearFits]
) -> pd.DataFrame:
    """Test AUROC of every restart: columns recipe, labels, cell, scoring, restart, auroc, chosen.

    ``fits`` is keyed by (recipe, label rule), its data sets in the order of ``datasets``.
    """
    rows = []
    for (recipe, rule), fit in fits.items():
        for number, (cell, dataset) in enumerate(datasets.items()):
            test = dataset.take("test")
            truth, logits = label(test, rule), fit.logits(number, test.counts)
            rows += [
                {
                    "recipe": recipe,
                    "labels": rule,
                    "cell": cell,
                    "scoring": scoring,
                    "restart": restart,
                    "auroc": auroc(truth, positive_score(logits[restart], scoring)),
                    "chosen": restart == fit.best_restart[number],
                }
                for scoring in SCORE_RULES
                for restart in range(len(logits))
            ]
    return pd.DataFrame(rows)


def best_restart_table(
    datasets: Mapping[str, HistoneDataset],
    fits: Mapping[tuple[str, str], LinearFits],
    n_resamples: int = 1000,
) -> pd.DataFrame:
    """Test AUROC of the restart with the best validation AUROC, with intervals over genes.

    Columns recipe, labels, scoring, cell, estimate, low, high, n.
    """
    rows = []
    for (recipe, rule), fit in fits.items():
        truths, logits = _truths_and_logits(datasets, rule, fit)
        for scoring in SCORE_RULES:
            scores = {cell: positive_score(one, scoring) for cell, one in logits.items()}
            rows += [
                {"recipe": recipe, "labels": rule, "scoring": scoring, "cell": cell} | vars(one)
                for cell, one in _intervals(truths, scores, n_resamples=n_resamples).items()
            ]
    return pd.DataFrame(rows)


def bootstrap_weights(
    datasets: Mapping[str, HistoneDataset],
    *,
    n_resamples: int = 200,
    level: float = 0.95,
    seed: int = 0,
    n_train: int = 0,
) -> pd.DataFrame:
    """Weights of the softmax model at its optimum, with bootstrap intervals over training genes.

    Returns
    -------
    DataFrame
        Columns cell, labels, class, mark, estimate, low, high, n.  The weight on class *high* is
        half of the logistic coefficient on the mean of log counts, on *low* its negative.
    """
    rows = []
    for cell, dataset in datasets.items():
        train = training_genes(dataset, n_train, seed)
        features = mark_means(train.counts, "log1p").astype(np.float64)
        for rule in LABEL_RULES:
            truth = label(train, rule)
            rng = np.random.default_rng(seed)
            estimate = _logistic_optimum(features, truth, np.ones(len(truth)))
            draws = np.array([
                _logistic_optimum(features, truth, weights, estimate)
                for weights in rng.multinomial(
                    len(truth), np.full(len(truth), 1 / len(truth)), size=n_resamples
                )
            ])
            low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2], axis=0)
            for i, mark in enumerate(dataset.marks):
                bounds = estimate[i] / 2, low[i] / 2, high[i] / 2
                for name, values in (
                    ("high", bounds),
                    ("low", (-bounds[0], -bounds[2], -bounds[1])),
                ):
                    rows.append(
                        {"cell": cell, "labels": rule, "class": name, "mark": mark}
                        | dict(zip(("estimate", "low", "high"), values, strict=True))
                        | {"n": len(truth)}
                    )
    return pd.DataFrame(rows)


def sign_agreement(weights: pd.DataFrame) -> dict[str, str]:
    """Text by label rule: in how many cell types each mark points where the paper says.

    A cell type counts where the whole interval lies on that side.  Marks that share side and
    counts share a clause.
    """
    result = {}
    high = weights[(weights["class"] == "high") & weights["mark"].isin(EXPECTED_SIGN)]
    for rule, part in high.groupby("labels", sort=False):
        clauses: dict[str, list[str]] = {}
        for mark, rows in part.groupby("mark", sort=False):
            sign = EXPECTED_SIGN[mark]
            ends = sign * rows[["low", "high"]].to_numpy()
            on_side, against = (ends.min(1) > 0).sum(), (ends.max(1) < 0).sum()
            clause = f"to {'high' if sign > 0 else 'low'} expression in {on_side} of {len(rows)}"
            clause += f" and against it in {against}" if against else ""
            clauses.setdefault(clause, []).append(mark)
        text = ", ".join(
            f"{joined(marks)} point{'s' * (len(marks) == 1)} {clause}"
            for clause, marks in clauses.items()
        )
        count = f" of {len(rows)}"
        text = text.replace(count, f"{count} cell type{'s' * (len(rows) != 1)}", 1)
        result[rule] = f"{text}, counting whole intervals"
    return result


def against_logistic_regression(
    datasets: Mapping[str, HistoneDataset],
    fits: Mapping[tuple[str, str], LinearFits],
    n_train: int = 0,
    n_resamples: int = 1000,
) -> pd.DataFrame:
    """Best restart minus scikit-learn's logistic regression on the same five means, paired.

    Columns recipe, labels, cell, gradient descent and logistic regression (AUROCs), estimate, low,
    high, n, verdict.
    """
    rows = []
    for (recipe, rule), fit in fits.items():
        truths, logits = _truths_and_logits(datasets, rule, fit)
        ours = {cell: positive_score(one) for cell, one in logits.items()}
        means = partial(mark_means, transform=fit.transform)
        library = {
            cell: logistic_scores(dataset, rule, means, n_train)
            for cell, dataset in datasets.items()
        }
        first, second = (_aurocs(truths, scores) for scores in (ours, library))
        gaps = _intervals(truths, ours, library, n_resamples=n_resamples)
        rows += [
            {"recipe": recipe, "labels": rule, "cell": cell}
            | {"gradient descent": first[cell], "logistic regression": second[cell]}
            | vars(gap)
            | {"verdict": compared(gap)}
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
            scores = {
                cell: logistic_scores(one, rule, features, n_train)
                for cell, one in datasets.items()
            }
            rows += [
                {"features": name, "labels": rule, "cell": cell} | vars(one)
                for cell, one in _intervals(truths, scores, n_resamples=n_resamples).items()
            ]
    return pd.DataFrame(rows)


def feature_lead(
    datasets: Mapping[str, HistoneDataset],
    first: str,
    second: str,
    n_train: int = 0,
    n_resamples: int = 1000,
) -> dict[str, Interval]:
    """AUROC with one way of making the five numbers minus another, numeric labels, by cell type."""
    leads = {}
    for cell, dataset in datasets.items():
        one, other = (
            logistic_scores(dataset, "numeric", FEATURES[name], n_train) for name in (first, second)
        )
        truth = label(dataset.take("test"), "numeric")
        leads[cell] = paired_auroc_difference(truth, one, other, n_resamples=n_resamples)
    return leads


def boosting_gain(
    datasets: Mapping[str, HistoneDataset],
    *,
    n_train: int = 0,
    n_resamples: int = 1000,
    seed: int = 0,
    cells: int = 0,
) -> pd.DataFrame:
    """Gradient boosting on all bins minus logistic regression on five log mean counts, paired.

    Both orientations of the bins, both label rules, the first ``cells`` cell types (0: all).
    Columns cell, labels, orientation, boosting and linear (AUROCs), estimate, low, high, n and
    verdict.
    """
    rows = []
    for cell, dataset in list(datasets.items())[: cells or None]:
        train, test = training_genes(dataset, n_train, seed), dataset.take("test")
        for rule in LABEL_RULES:
            truth = label(test, rule)
            linear = logistic_scores(dataset, rule, log_mean_counts, n_train)
            for orientation in ("genome", "gene"):
                x, x_test = (
                    (part.gene_oriented() if orientation == "gene" else part.counts).reshape(
                        len(part), -1
                    )
                    for part in (train, test)
                )
                model = HistGradientBoostingClassifier(random_state=seed).fit(x, label(train, rule))
                scores = model.predict_proba(x_test)[:, 1]
                gap = paired_auroc_difference(
                    truth, scores, linear, n_resamples=n_resamples, seed=seed
                )
                rows.append(
                    {"cell": cell, "labels": rule, "orientation": orientation}
                    | {"boosting": auroc(truth, scores), "linear": auroc(truth, linear)}
                    | vars(gap)
                    | {"verdict": compared(gap)}
                )
    return pd.DataFrame(rows)


def logistic_scores(
    dataset: HistoneDataset,
    rule: str,
    features: Callable[[np.ndarray], np.ndarray],
    n_train: int = 0,
    seed: int = 0,
) -> np.ndarray:
    """Test scores ``(gene,)`` of scikit-learn's logistic regression (C = 100) on given features."""
    train, test = training_genes(dataset, n_train, seed), dataset.take("test")
    x = features(train.counts)
    centre, scale = x.mean(0), x.std(0) + 1e-9
    model = LogisticRegression(C=100.0, max_iter=2000)
    model.fit((x - centre) / scale, label(train, rule))
    return model.decision_function((features(test.counts) - centre) / scale)


def plot_restarts(table: pd.DataFrame) -> Figure:
    """AUROC of every restart under both score rules, a panel a label rule.

    Parameters
    ----------
    table
        Columns cell, labels, scoring, restart, auroc, chosen.
    """
    rules = list(dict.fromkeys(table["labels"]))
    fig, axes = plt.subplots(
        1, len(rules), figsize=(1.2 + 3.2 * len(rules), 3.4), sharey=True, squeeze=False
    )
    cells = list(dict.fromkeys(table["cell"]))
    looks = {"positive_logit": ("released: positive logit", "#9C9C9C", "s", 0.15),
             "probability": ("probability", "#1F1F1F", "o", -0.15)}
    for axis, rule in zip(axes[0], rules, strict=True):
        for scoring, part in table[table["labels"] == rule].groupby("scoring", sort=False):
            name, colour, marker, shift = looks[scoring]
            x = part["cell"].map(cells.index) + shift + 0.02 * (part["restart"] - 2)
            axis.scatter(x, part["auroc"], s=22, color=colour, marker=marker, label=name)
            best = part["chosen"].astype(bool)
            axis.scatter(x[best], part["auroc"][best], s=90, facecolor="none", edgecolor=colour,
                         marker=marker)
        axis.set(title=f"{rule} labels", xlim=(-0.6, len(cells) - 0.4))
        axis.set_xticks(range(len(cells)), cells)
        axis.grid(axis="y", alpha=0.3)
    axes[0, 0].set_ylabel("test AUROC")
    legend_below(fig, title="score rule")
    return fig


def plot_auroc_along_bins(
    by_bin: pd.Series, mark: str = "H3K4me3", base_pairs: int = 100
) -> Figure:
    """AUROC of one bin's count of a mark ``(bin,)``, by the distance of the bin from the TSS."""
    fig, axis = plt.subplots(figsize=(6.2, 2.8))
    place = (np.arange(len(by_bin)) - (len(by_bin) - 1) / 2) * base_pairs / 1000
    axis.plot(place, by_bin.to_numpy(), color=mark_colour(mark))
    axis.axhline(0.5, color="0.6", linewidth=1, linestyle=":")
    axis.axvline(0, color="0.6", linewidth=1, linestyle="--")
    axis.set(xlabel="distance of the bin from the TSS (kb, along the genome)",
             ylabel=f"AUROC of {mark} in one bin")
    return fig


def _truths_and_logits(
    datasets: Mapping[str, HistoneDataset], rule: str, fit: LinearFits
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Labels and, of the best restart, logits of the test genes of each cell type."""
    tests = {cell: dataset.take("test") for cell, dataset in datasets.items()}
    logits = {
        cell: fit.logits(number, test.counts)[fit.best_restart[number]]
        for number, (cell, test) in enumerate(tests.items())
    }
    return {cell: label(test, rule) for cell, test in tests.items()}, logits


def _aurocs(truths: Mapping[str, np.ndarray], scores: Mapping[str, np.ndarray]) -> dict[str, float]:
    by_cell = {cell: auroc(truth, scores[cell]) for cell, truth in truths.items()}
    return by_cell | {MEAN: float(np.mean([*by_cell.values()]))}


def _intervals(
    truths: Mapping[str, np.ndarray],
    scores: Mapping[str, np.ndarray],
    others: Mapping[str, np.ndarray] | None = None,
    *,
    n_resamples: int,
) -> dict[str, Interval]:
    """AUROC, or paired difference of AUROCs, of each cell type, and their mean as `MEAN`.

    The mean is taken over cell types that share their test genes.
    """
    by_cell = {
        cell: bootstrap_auroc(truth, scores[cell], n_resamples=n_resamples)
        if others is None
        else paired_auroc_difference(truth, scores[cell], others[cell], n_resamples=n_resamples)
        for cell, truth in truths.items()
    }
    mean = bootstrap_mean_auroc(
        list(truths.values()),
        [scores[cell] for cell in truths],
        None if others is None else [others[cell] for cell in truths],
        n_resamples=n_resamples,
    )
    return by_cell | {MEAN: mean}


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
