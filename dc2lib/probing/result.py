"""What a Monte-Carlo probe finds: how many samples passed, the best of them and the first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy.special import expit, logit
from torch import Tensor

from dc2lib.evaluation.statistics import proportion


@dataclass(frozen=True)
class Samples:
    """Some of the samples of a stream.

    Attributes
    ----------
    index
        Number of each sample in the stream, int64 ``(sample,)``.
    log_odds
        Log odds of the class for which the sample was chosen, float64 ``(sample,)``, natural
        logarithm.
    samples
        The samples themselves, ``(sample, ...)``.
    """

    index: np.ndarray
    log_odds: np.ndarray
    samples: np.ndarray

    def __len__(self) -> int:
        return len(self.index)

    @property
    def probability(self) -> np.ndarray:
        """Probability of the class, float64 ``(sample,)``."""
        return expit(self.log_odds)

    def joined(self, other: Samples) -> Samples:
        """These samples and then the others."""
        if not len(self) or not len(other):
            return self if len(self) else other
        parts = zip(vars(self).values(), vars(other).values(), strict=True)
        return Samples(*(np.concatenate(part) for part in parts))

    def best(self, keep: int) -> Samples:
        """The ``keep`` samples of the highest log odds, best first; ties go to the earlier one."""
        return self._take(np.lexsort((self.index, -self.log_odds))[:keep])

    def earliest(self, keep: int) -> Samples:
        """The ``keep`` samples that came first in the stream."""
        return self._take(np.argsort(self.index)[:keep])

    def _take(self, rows: np.ndarray) -> Samples:
        return Samples(self.index[rows], self.log_odds[rows], self.samples[rows])


NO_SAMPLES = Samples(np.empty(0, np.int64), np.empty(0), np.empty((0,), np.float32))


def top_samples(samples: np.ndarray, log_odds: np.ndarray, keep: int) -> Samples:
    """The ``keep`` samples ``(sample, ...)`` of the highest log odds ``(sample,)``, best first.

    Examples
    --------
    >>> top_samples(np.array([[5.0], [6.0], [7.0]]), np.array([0.5, 2.0, 1.0]), 2).index.tolist()
    [1, 2]
    """
    return Samples(np.arange(len(samples)), np.asarray(log_odds), np.asarray(samples)).best(keep)


@dataclass
class ProbeResult:
    """What a probe found; `class` is a column of the classifier's logits.

    Attributes
    ----------
    thresholds
        Probabilities that were watched.
    accepted
        How many samples exceeded each threshold, int64 ``(class, threshold)``.
    top
        For each class the ``keep`` samples with the highest probability, best first.
    first
        For each class and threshold the first ``keep_first`` samples that exceeded it,
        ``first[class][j]``.
    n
        Samples drawn so far.
    seconds
        Time spent in this call; of a resumed probe, since it was resumed.
    resumed_from
        Samples that came from the checkpoint.
    """

    keep: int
    keep_first: int
    thresholds: tuple[float, ...]
    accepted: np.ndarray | None = None
    top: list[Samples] = field(default_factory=list)
    first: list[list[Samples]] = field(default_factory=list)
    n: int = 0
    seconds: float = 0.0
    resumed_from: int = 0

    @property
    def samples_per_second(self) -> float:
        """Samples drawn and classified a second in this call."""
        return (self.n - self.resumed_from) / self.seconds if self.seconds else float("nan")

    @property
    def floors(self) -> list[float]:
        """For each class the log odds that a further sample needs to be among the best."""
        return [float(t.log_odds[-1]) if len(t) == self.keep else -np.inf for t in self.top]

    def acceptance(self, level: float = 0.95) -> pd.DataFrame:
        """Share of the samples above each threshold, a row a class and threshold.

        Columns ``class``, ``threshold``, ``accepted``, ``n``, ``rate``, ``low``, ``high``
        (Wilson's interval; a class that never passed has rate 0 and an upper end above 0).
        """
        rows = []
        for (label, j), count in np.ndenumerate(self.accepted):
            share = proportion(count, self.n, level)
            rows.append(
                {"class": label, "threshold": self.thresholds[j], "accepted": int(count),
                 "n": self.n, "rate": share.estimate, "low": share.low, "high": share.high}
            )  # fmt: skip
        return pd.DataFrame(rows)

    def add(
        self, start: int, samples: Tensor, log_odds: np.ndarray, floors: Sequence[float]
    ) -> None:
        """Take in samples of which the first has the number ``start``.

        Parameters
        ----------
        samples, log_odds
            ``(sample, ...)`` and, float64, ``(sample, class)``.
        floors
            For each class log odds below which no sample is among the best; empty for none.

        Raises
        ------
        FloatingPointError
            If log odds are not numbers.
        """
        if np.isnan(log_odds).any():
            raise FloatingPointError(
                f"the classifier gave a logit that is not a number for sample {start} or one of "
                f"the {len(log_odds) - 1} after it"
            )
        if not self.n:
            self._start(log_odds.shape[1])
        self.n += len(log_odds)
        least = [max(pair) for pair in zip(self.floors, floors or self.floors, strict=True)]
        for label, odds in enumerate(log_odds.T):
            rows = np.flatnonzero(odds >= least[label])
            if len(rows):
                chosen = _chosen(rows, odds, start, samples)
                self.top[label] = self.top[label].joined(chosen).best(self.keep)
            for j, limit in enumerate(logit(self.thresholds)):
                rows = np.flatnonzero(odds > limit)
                self.accepted[label, j] += len(rows)
                rows = rows[: self.keep_first - len(self.first[label][j])]
                if len(rows):
                    chosen = _chosen(rows, odds, start, samples)
                    self.first[label][j] = self.first[label][j].joined(chosen)

    def _start(self, n_classes: int) -> None:
        self.accepted = np.zeros((n_classes, len(self.thresholds)), np.int64)
        self.top = [NO_SAMPLES] * n_classes
        self.first = [[NO_SAMPLES] * len(self.thresholds) for _ in range(n_classes)]

    def merged(self, other: ProbeResult) -> ProbeResult:
        """Both probes as one; the order of merging does not matter."""
        if not self.n or not other.n:
            return self if self.n else other
        return ProbeResult(
            self.keep,
            self.keep_first,
            self.thresholds,
            self.accepted + other.accepted,
            [a.joined(b).best(self.keep) for a, b in zip(self.top, other.top, strict=True)],
            [
                [a.joined(b).earliest(self.keep_first) for a, b in zip(one, two, strict=True)]
                for one, two in zip(self.first, other.first, strict=True)
            ],
            self.n + other.n,
        )

    def state(self) -> dict[str, Any]:
        """What a checkpoint holds: numbers and tensors."""
        return {
            "n": self.n,
            "accepted": torch.from_numpy(self.accepted),
            "top": [_tensors(one) for one in self.top],
            "first": [[_tensors(one) for one in row] for row in self.first],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take over what a checkpoint holds."""
        self.n, self.accepted = state["n"], state["accepted"].numpy()
        self.top = [_from_tensors(one) for one in state["top"]]
        self.first = [[_from_tensors(one) for one in row] for row in state["first"]]


def _chosen(rows: np.ndarray, odds: np.ndarray, start: int, samples: Tensor) -> Samples:
    chosen = samples[torch.from_numpy(rows).to(samples.device)].float().cpu().numpy()
    return Samples(rows + start, odds[rows], chosen)


def _tensors(samples: Samples) -> list[Tensor]:
    return [torch.from_numpy(array.copy()) for array in vars(samples).values()]


def _from_tensors(tensors: list[Tensor]) -> Samples:
    return Samples(*(tensor.numpy() for tensor in tensors))
