"""Four scores with intervals for every system at once, on the same resampled genes.

Because all systems are judged on the same draws, the difference of any two of them is paired.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dc2lib.evaluation import scores as scoring
from dc2lib.evaluation.statistics import Interval

METRICS = ("auroc", "average_precision", "log_loss", "calibration_error")
BINS = 10
LEAST = 1e-15


@dataclass(frozen=True)
class Judged:
    """Scores of the systems, averaged over cell types.

    Attributes
    ----------
    estimate
        ``{system: {metric: value}}``, averages over seeds and cell types.
    draws
        ``{system: {metric: (resample,)}}``, the same resampled genes for all systems.
    n
        Test genes.
    """

    estimate: Mapping[str, Mapping[str, float]]
    draws: Mapping[str, Mapping[str, np.ndarray]]
    n: int

    def interval(self, system: str, metric: str, level: float = 0.95) -> Interval:
        """A score with its interval.

        Percentiles of the resamples; for the calibration error, which resampling inflates, they
        are mirrored at the estimate.
        """
        estimate, draws = self.estimate[system][metric], self.draws[system][metric]
        low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
        if metric == "calibration_error":
            low, high = max(2 * estimate - high, 0.0), max(2 * estimate - low, estimate)
            low = min(low, estimate)
        return Interval(estimate, float(low), float(high), self.n)

    def difference(
        self, system: str, other: str, metric: str = "auroc", level: float = 0.95
    ) -> Interval:
        """A system's score minus another's, with the paired interval."""
        estimate = self.estimate[system][metric] - self.estimate[other][metric]
        draws = self.draws[system][metric] - self.draws[other][metric]
        low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
        return Interval(float(estimate), float(low), float(high), self.n)


def judge(
    labels: Sequence[np.ndarray],
    probabilities: Mapping[str, Sequence[np.ndarray]],
    *,
    n_resamples: int = 500,
    seed: int = 0,
) -> Judged:
    """Judge all systems on the test genes of some cell types.

    Parameters
    ----------
    labels
        One array ``(gene,)`` a cell type.  Cell types with equally many genes are taken to hold the
        same ones and share their draws.
    probabilities
        By system, one array ``(fit, gene)`` a cell type.  Genes are resampled, and the fits of a
        system with more than one; the cell types are not.
    """
    rng = np.random.default_rng(seed)
    weights = {len(one): _drawn(len(one), n_resamples, rng) for one in labels}
    estimate, draws = {}, {}
    for system, by_cell in probabilities.items():
        found = [
            _judge_cell(np.asarray(truth), np.atleast_2d(values), weights[len(truth)], seed)
            for truth, values in zip(labels, by_cell, strict=True)
        ]
        estimate[system] = {
            metric: float(np.mean([one[0][metric] for one in found])) for metric in METRICS
        }
        draws[system] = {
            metric: np.mean([one[1][metric] for one in found], axis=0) for metric in METRICS
        }
    return Judged(estimate, draws, len(labels[0]))


def _drawn(n: int, n_resamples: int, rng: np.random.Generator) -> np.ndarray:
    """How often each gene is drawn, float32 ``(gene, resample)``."""
    return rng.multinomial(n, np.full(n, 1 / n), size=n_resamples).T.astype(np.float32)


def _judge_cell(
    truth: np.ndarray, values: np.ndarray, weights: np.ndarray, seed: int
) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    estimate = {
        metric: float(np.mean([scoring.METRICS[metric](truth, one) for one in values]))
        for metric in METRICS
    }
    by_fit = [weighted_scores(truth, one, weights) for one in values]
    fits = np.random.default_rng(seed).integers(len(values), size=(len(values), weights.shape[1]))
    draws = {
        metric: np.take_along_axis(np.stack([one[metric] for one in by_fit]), fits, 0).mean(0)
        for metric in METRICS
    }
    return estimate, draws


def weighted_scores(
    truth: np.ndarray, probability: np.ndarray, weights: np.ndarray
) -> dict[str, np.ndarray]:
    """The four scores under each column of gene weights.

    Parameters
    ----------
    truth, probability
        ``(gene,)``.
    weights
        ``(gene, resample)``, such as how often each gene was drawn.
    """
    total = weights.sum(0)
    safe = np.clip(probability, LEAST, 1 - LEAST)
    losses = -np.where(truth == 1, np.log(safe), np.log1p(-safe))
    area, precision = _ranked(truth, probability, weights)
    return {
        "auroc": area,
        "average_precision": precision,
        "log_loss": losses @ weights / total,
        "calibration_error": _calibration(truth, probability, weights) / total,
    }


def _ranked(
    truth: np.ndarray, probability: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """AUROC and average precision; genes of one score count together."""
    order = np.argsort(-probability, kind="stable")
    values, positive = probability[order], truth[order] == 1
    ends = np.flatnonzero(np.r_[values[1:] != values[:-1], True])
    hits = np.cumsum(np.where(positive[:, None], weights[order], 0), axis=0, dtype=np.float64)
    misses = np.cumsum(np.where(positive[:, None], 0, weights[order]), axis=0, dtype=np.float64)
    hits, misses = hits[ends], misses[ends]
    steps = np.diff(hits, axis=0, prepend=0)
    below = misses[-1] - misses + np.diff(misses, axis=0, prepend=0) / 2
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.nan_to_num(hits / (hits + misses))
        return (steps * below).sum(0) / (hits[-1] * misses[-1]), (steps * share).sum(0) / hits[-1]


def _calibration(truth: np.ndarray, probability: np.ndarray, weights: np.ndarray) -> np.ndarray:
    order = np.argsort(probability, kind="stable")
    gaps = (truth - probability)[:, None] * weights
    return sum(np.abs(gaps[part].sum(0)) for part in np.array_split(order, BINS))
