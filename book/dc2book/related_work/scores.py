"""Four scores with intervals for every system at once, on the same resampled genes.

Because all systems are judged on the same draws, the difference of any two of them is paired.
What is drawn are stretches of the genome with all their genes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import pandas as pd

from dc2book.related_work.trials import TrialRecord, probabilities_of, select
from dc2lib.datasets.gene_windows import genome_blocks
from dc2lib.evaluation import scores as scoring
from dc2lib.evaluation import statistics
from dc2lib.evaluation.statistics import MIN_CELLS, Interval, percentile_interval, resampled_means

METRICS = ("auroc", "average_precision", "log_loss", "calibration_error")
BINS = 10
SMALLEST = 1e-15
VERDICTS = {"better": "as published", "worse": "reversed", "equivalent": "alike"}


@dataclass(frozen=True)
class SystemScores:
    """Scores of the systems, averaged over seeds and cell types.

    ``estimate``: ``{system: {metric: value}}``. ``draws``: ``{system: {metric: (resample,)}}``, the
    same resampled genes for all systems. ``n``: test genes.
    """

    estimate: Mapping[str, Mapping[str, float]]
    draws: Mapping[str, Mapping[str, np.ndarray]]
    n: int

    def interval(self, system: str, metric: str) -> Interval:
        """A score with its 95 % interval.

        Percentiles of the resamples; for the calibration error, which resampling inflates, they
        are mirrored at the estimate.
        """
        one = percentile_interval(self.estimate[system][metric], self.draws[system][metric], self.n)
        if metric != "calibration_error":
            return one
        low, high = (max(2 * one.estimate - end, 0.0) for end in (one.high, one.low))
        return replace(one, low=min(low, one.estimate), high=max(high, one.estimate))

    def difference(self, system: str, other: str) -> Interval:
        """A system's AUROC minus another's, with the paired 95 % interval."""
        draws = self.draws[system]["auroc"] - self.draws[other]["auroc"]
        estimate = self.estimate[system]["auroc"] - self.estimate[other]["auroc"]
        return percentile_interval(estimate, draws, self.n)

    def best_first(self) -> list[str]:
        """Systems by their AUROC, highest first."""
        return sorted(self.estimate, key=lambda name: -self.estimate[name]["auroc"])


def scores_of_records(
    records: Sequence[TrialRecord], labels: str, *, n_resamples: int, seed: int = 0
) -> SystemScores:
    """All systems on the test genes of all cell types under one label rule."""
    here = [one for one in records if one.trial.labels == labels]
    cells = list(dict.fromkeys(one.trial.cell for one in here))
    systems = list(dict.fromkeys(one.trial.system for one in here))
    firsts = [next(one for one in here if one.trial.cell == cell) for cell in cells]
    truths, blocks = [one.truth() for one in firsts], [blocks_of(one) for one in firsts]
    probabilities = {
        system: [probabilities_of(select(here, system, labels, cell)) for cell in cells]
        for system in systems
    }
    return metric_bootstrap(truths, probabilities, blocks, n_resamples=n_resamples, seed=seed)


def metric_table(scores: Mapping[str, SystemScores]) -> pd.DataFrame:
    """All scores but AUROC by label rule: metric, labels, system, estimate, low, high, n."""
    return pd.DataFrame([
        {"metric": metric, "labels": labels, "system": system} | vars(one.interval(system, metric))
        for metric in METRICS[1:] for labels, one in scores.items() for system in one.estimate
    ])


def differences(
    scores: Mapping[str, SystemScores], compared: Sequence[tuple[str, str]]
) -> pd.DataFrame:
    """AUROC of systems minus that of others, paired.

    Columns system, reference, labels, estimate, low, high, n.
    """
    return pd.DataFrame([
        {"system": system, "reference": other, "labels": labels}
        | vars(one.difference(system, other))
        for system, other in compared for labels, one in scores.items()
    ])


def blocks_of(record: TrialRecord) -> np.ndarray:
    """The stretch of the genome that each test gene of a fit lies in, ``(gene,)``."""
    return genome_blocks(record.trial.dataset().take("test").gene_id)


def aurocs_by_cell(
    records: Sequence[TrialRecord], systems: Sequence[str], *, n_resamples: int
) -> pd.DataFrame:
    """AUROC of every system and cell type: labels, system, cell, estimate, low, high, n."""
    rows = []
    of = {name: dict.fromkeys(getattr(one.trial, name) for one in records)
          for name in ("labels", "cell")}
    for labels, system, cell in product(of["labels"], systems, of["cell"]):
        if fits := select(records, system, labels, cell):
            one = statistics.bootstrap_auroc(
                fits[0].truth(), probabilities_of(fits), blocks=blocks_of(fits[0]),
                n_resamples=n_resamples)
            rows.append({"labels": labels, "system": system, "cell": cell} | vars(one))
    return pd.DataFrame(rows)


def metric_bootstrap(
    labels: Sequence[np.ndarray], probabilities: Mapping[str, Sequence[np.ndarray]],
    blocks: Sequence[np.ndarray], *, n_resamples: int = 500, seed: int = 0,
) -> SystemScores:
    """The scores of all systems on the test genes of some cell types, genes resampled.

    Labels are one array ``(gene,)`` a cell type, probabilities by system one array ``(fit, gene)``
    a cell type.  Blocks, one array ``(gene,)`` a cell type, say which stretch of the genome each
    gene lies in, the same number in all; drawn stretches are those of all cell types.  The fits of
    a system are resampled too, and from `MIN_CELLS` cell types on the cell types
    (`dc2lib.evaluation.statistics.resampled_means`).
    """
    rng = np.random.default_rng(seed)
    known = np.unique(np.concatenate(list(blocks)))
    n, n_cells = len(known), len(labels)
    times = rng.multinomial(n, np.full(n, 1 / n), size=n_resamples).T.astype(np.float32)
    drawn = [times[np.searchsorted(known, one)] for one in blocks]  # (gene, resample) each
    enough = n_cells >= MIN_CELLS
    chosen = rng.integers(n_cells, size=(n_cells, n_resamples)) if enough else None
    estimate, draws = {}, {}
    for system, by_cell in probabilities.items():
        cells = [
            _cell_scores(np.asarray(truth), np.atleast_2d(values), weights, seed)
            for truth, values, weights in zip(labels, by_cell, drawn, strict=True)
        ]
        estimate[system] = {m: float(np.mean([one[m] for one, _ in cells])) for m in METRICS}
        draws[system] = {
            m: resampled_means(np.stack([one[m] for _, one in cells]), chosen) for m in METRICS
        }
    return SystemScores(estimate, draws, len(labels[0]))


def _cell_scores(
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
    """The four scores under each column of gene weights; scikit-learn's, all columns at once.

    ``truth``, ``probability``: ``(gene,)``. ``weights``: ``(gene, resample)``, such as how often
    each gene was drawn.
    """
    total = weights.sum(0)
    safe = np.clip(probability, SMALLEST, 1 - SMALLEST)
    losses = -np.where(truth == 1, np.log(safe), np.log1p(-safe))
    gaps = (truth - probability)[:, None] * weights
    bins = np.array_split(np.argsort(probability, kind="stable"), BINS)
    area, precision = _areas(truth, probability, weights)
    return {
        "auroc": area,
        "average_precision": precision,
        "log_loss": losses @ weights / total,
        "calibration_error": sum(np.abs(gaps[part].sum(0)) for part in bins) / total,
    }


def _areas(
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


def check_published_orders(
    scores: SystemScores, orders: Sequence[tuple[str, str, str]]
) -> pd.DataFrame:
    """Whether each published order (better, worse, source) is found.

    Columns better, worse, source, difference, verdict: ``"as published"``, ``"reversed"``,
    ``"alike"`` (equivalent within 0.01) or ``"undecided"``.
    """
    table = pd.DataFrame(orders, columns=["better", "worse", "source"])
    table["difference"] = [scores.difference(better, worse) for better, worse, _ in orders]
    verdicts = [VERDICTS.get(statistics.compared(one), "undecided") for one in table["difference"]]
    return table.assign(verdict=verdicts)
