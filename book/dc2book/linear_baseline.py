"""The linear baseline taken apart: restarts, weights with intervals, cross-checks.

Sections 3.4 and 4.3 of DeepChrome 2.0, Figure 8 and the last row of Table 2.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
import pandas as pd
from scipy import optimize
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression

from dc2book.mnist.study import joined
from dc2lib.datasets import HistoneDataset
from dc2lib.evaluation.scores import RULES as SCORE_RULES
from dc2lib.evaluation.scores import auroc, positive_score
from dc2lib.evaluation.statistics import (
    Interval,
    bootstrap_auroc,
    bootstrap_mean_auroc,
    paired_auroc_difference,
)
from dc2lib.labels import RULES as LABEL_RULES
from dc2lib.labels import label
from dc2lib.signals import training_genes
from dc2lib.training.linear import LinearFits, mark_means

MEAN = "mean"
EXPECTED_SIGN = {"H3K27me3": -1, "H3K36me3": 1, "H3K4me1": 1, "H3K4me3": 1, "H3K9me3": -1}
FEATURES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "mean count": lambda counts: mark_means(counts),
    "mean of log counts": lambda counts: mark_means(counts, "log1p"),
    "log of mean count": lambda counts: log_mean_counts(counts),
}


def log_mean_counts(counts: np.ndarray) -> np.ndarray:
    """Logarithm of each mark's mean count plus 0.01, float32 ``(gene, mark)``."""
    return np.log(mark_means(counts) + np.float32(0.01))


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
    """In words, by label rule: in how many cell types each mark points where the paper says.

    A cell type counts where the whole interval lies on that side.  Marks that share side and
    counts share a clause.
    """
    result = {}
    for rule, part in weights[weights["class"] == "high"].groupby("labels", sort=False):
        clauses: dict[str, list[str]] = {}
        for mark, rows in part.groupby("mark", sort=False):
            sign = EXPECTED_SIGN.get(mark)
            if sign is None:
                continue
            near = np.where(sign > 0, rows["low"], -rows["high"])
            far = np.where(sign > 0, rows["high"], -rows["low"])
            against = int((far < 0).sum())
            clause = f"to {'high' if sign > 0 else 'low'} expression in {int((near > 0).sum())}"
            clause += f" of {len(rows)}" + (f" and against it in {against}" * bool(against))
            clauses.setdefault(clause, []).append(mark)
        words = ", ".join(
            f"{joined(marks)} point{'s' * (len(marks) == 1)} {clause}"
            for clause, marks in clauses.items()
        )
        number = part["cell"].nunique()
        counted = f" of {number}"
        words = words.replace(counted, f"{counted} cell type{'s' * (number != 1)}", 1)
        result[rule] = f"{words}, counting whole intervals"
    return result


def against_logistic_regression(
    datasets: Mapping[str, HistoneDataset],
    fits: Mapping[tuple[str, str], LinearFits],
    n_train: int = 0,
    n_resamples: int = 1000,
) -> pd.DataFrame:
    """Best restart against scikit-learn's logistic regression on the same five means.

    Columns recipe, labels, cell, gradient descent, logistic regression, difference (an `Interval`,
    paired); the mean over the cell types is the row of the cell type `MEAN`.
    """
    rows = []
    for (recipe, rule), fit in fits.items():
        truths, ours, library = {}, {}, {}
        for number, (cell, dataset) in enumerate(datasets.items()):
            test = dataset.take("test")
            truths[cell] = label(test, rule)
            best = fit.logits(number, test.counts)[fit.best_restart[number]]
            ours[cell] = positive_score(best)
            means = partial(mark_means, transform=fit.transform)
            library[cell] = logistic_scores(dataset, rule, means, n_train)
        first, second = ({cell: auroc(truths[cell], scores[cell]) for cell in truths}
                         for scores in (ours, library))
        rows += [
            {
                "recipe": recipe,
                "labels": rule,
                "cell": cell,
                "gradient descent": first.get(cell, np.mean([*first.values()])),
                "logistic regression": second.get(cell, np.mean([*second.values()])),
                "difference": difference,
            }
            for cell, difference in _intervals(
                truths, ours, library, n_resamples=n_resamples
            ).items()
        ]
    return pd.DataFrame(rows)


def feature_table(
    datasets: Mapping[str, HistoneDataset], n_train: int = 0, n_resamples: int = 1000
) -> pd.DataFrame:
    """Logistic regression by how the five numbers are made.

    Columns features, labels, cell, auroc (an `Interval`); the mean over the cell types is the row
    of the cell type `MEAN`.
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
                {"features": name, "labels": rule, "cell": cell, "auroc": found}
                for cell, found in _intervals(
                    truths, scores, n_resamples=n_resamples
                ).items()
            ]
    return pd.DataFrame(rows)


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
    found = {
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
    return found | {MEAN: mean}


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
    """Gradient boosting on all bins against logistic regression on five log mean counts.

    Both orientations of the bins, both label rules, the first ``cells`` cell types (0: all).
    Columns cell, labels, orientation, boosting, linear, gap (an `Interval`, paired).
    """
    rows = []
    for cell, dataset in list(datasets.items())[: cells or None]:
        train, test = training_genes(dataset, n_train, seed), dataset.take("test")
        for rule in LABEL_RULES:
            truth = label(test, rule)
            linear = logistic_scores(dataset, rule, log_mean_counts, n_train)
            for orientation in ("genome", "gene"):
                signals = [
                    part.gene_oriented() if orientation == "gene" else part.counts
                    for part in (train, test)
                ]
                model = HistGradientBoostingClassifier(random_state=seed)
                model.fit(signals[0].reshape(len(train), -1), label(train, rule))
                scores = model.predict_proba(signals[1].reshape(len(test), -1))[:, 1]
                rows.append(
                    {
                        "cell": cell,
                        "labels": rule,
                        "orientation": orientation,
                        "boosting": auroc(truth, scores),
                        "linear": auroc(truth, linear),
                        "gap": paired_auroc_difference(
                            truth, scores, linear, n_resamples=n_resamples, seed=seed
                        ),
                    }
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
