"""Count what a probe finds, and keep the best samples and the first to pass a threshold."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from dc2lib.probing.result import HISTOGRAM_EDGES, Probe
from dc2lib.probing.top_samples import Kept, log_odds_of, nothing_kept

Bars = list[float]


class Collector:
    """Counts and kept samples of one chunk.

    Parameters
    ----------
    keep
        How many of the most probable samples are kept for each class.
    thresholds
        Probabilities; those who pass are counted.
    keep_first
        How many of the first to pass each threshold are kept.
    bars
        Log odds of each class below which no sample is among the best; None for none.
    """

    def __init__(
        self, keep: int, thresholds: Sequence[float], keep_first: int, bars: Bars | None
    ) -> None:
        self.keep, self.keep_first = keep, keep_first
        self.thresholds = tuple(thresholds)
        self.limits = [log_odds_of(threshold) for threshold in thresholds]
        self.n = 0
        self.bars: np.ndarray | None = None
        if bars is not None:
            self._start(bars)

    def _start(self, bars: Bars) -> None:
        n_classes = len(bars)
        self.bars = np.array(bars)
        self.accepted = np.zeros((n_classes, len(self.thresholds)), np.int64)
        self.probability_sum = np.zeros(n_classes)
        self.histogram = np.zeros((n_classes, len(HISTOGRAM_EDGES) - 1), np.int64)
        self.predicted = np.zeros(n_classes, np.int64)
        self.top = [nothing_kept() for _ in range(n_classes)]
        self.first = [[nothing_kept() for _ in self.thresholds] for _ in range(n_classes)]

    def undecided(self, odds: Tensor, margin: float) -> Tensor:
        """Rows whose log odds are not further than ``margin`` below all that could keep them."""
        if self.bars is None:
            return torch.ones(len(odds), dtype=torch.bool)
        rows = (odds >= torch.from_numpy(self.bars).to(odds.dtype) - margin).any(1)
        for j, limit in enumerate(self.limits):
            wanted = torch.tensor([len(row[j]) < self.keep_first for row in self.first])
            near = (odds > limit - margin) & (wanted | (odds < limit + margin))
            rows |= near.any(1)
        return rows

    def add(self, start: int, samples: Tensor, scores: Tensor) -> None:
        """Take in samples ``(sample, ...)``, the first of number ``start``, and their log odds.

        Raises
        ------
        FloatingPointError
            If log odds ``(sample, class)`` are not numbers.
        """
        odds = scores.double().cpu().numpy()
        if np.isnan(odds).any():
            raise FloatingPointError(
                f"the classifier gave a logit that is not a number for sample {start} or one of "
                f"the {len(odds) - 1} after it"
            )
        if self.bars is None:
            self._start([-np.inf] * odds.shape[1])
        self.n += len(odds)
        self.probability_sum += (1 / (1 + np.exp(-odds.clip(-700, 700)))).sum(0)
        self.predicted += np.bincount(odds.argmax(1), minlength=odds.shape[1])
        for label, column in enumerate(odds.T):
            self._count(label, column)
            self._keep_top(label, column, start, samples)
            self._keep_first(label, column, start, samples)

    def probe(self) -> Probe:
        """What was found so far."""
        return Probe(
            self.n,
            self.thresholds,
            self.accepted,
            self.probability_sum,
            self.histogram,
            self.predicted,
            self.top,
            self.first,
        )

    def _count(self, label: int, column: np.ndarray) -> None:
        inside = np.clip(column, HISTOGRAM_EDGES[0], HISTOGRAM_EDGES[-1])
        self.histogram[label] += np.histogram(inside, HISTOGRAM_EDGES)[0]
        for j, limit in enumerate(self.limits):
            self.accepted[label, j] += np.count_nonzero(column > limit)

    def _keep_top(self, label: int, column: np.ndarray, start: int, samples: Tensor) -> None:
        keep = self.keep
        rows = np.flatnonzero(column >= self.bars[label])
        if len(rows) > keep:
            rows = rows[np.lexsort((rows, -column[rows]))[:keep]]
        if len(rows):
            kept = self.top[label].joined(_kept(rows, column, start, samples)).best(keep)
            self.top[label] = kept
            if len(kept) == keep:
                self.bars[label] = max(self.bars[label], kept.log_odds[-1])

    def _keep_first(self, label: int, column: np.ndarray, start: int, samples: Tensor) -> None:
        for j, limit in enumerate(self.limits):
            kept = self.first[label][j]
            wanted = self.keep_first - len(kept)
            if wanted <= 0:
                continue
            rows = np.flatnonzero(column > limit)[:wanted]
            if len(rows):
                self.first[label][j] = kept.joined(_kept(rows, column, start, samples))


def _kept(rows: np.ndarray, column: np.ndarray, start: int, samples: Tensor) -> Kept:
    chosen = samples[torch.from_numpy(rows).to(samples.device)].float().cpu().numpy()
    return Kept(rows + start, column[rows], chosen)
