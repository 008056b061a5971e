"""What a Monte-Carlo probe found, and how it lies in a checkpoint."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from dc2lib.evaluation.statistics import proportion
from dc2lib.probing.top_samples import Kept

HISTOGRAM_EDGES = np.linspace(-40, 40, 321)
ARRAYS = ("accepted", "probability_sum", "histogram", "predicted")


@dataclass
class Probe:
    """What a probe found; `class` is a column of the classifier's logits.

    Attributes
    ----------
    n
        Samples drawn so far.
    thresholds
        Probabilities that were watched.
    accepted
        How many samples exceeded each threshold, int64 ``(class, threshold)``.
    probability_sum
        Sum of the class probabilities over the samples, ``(class,)``.
    histogram
        Samples by log odds, int64 ``(class, bin)``, between ``HISTOGRAM_EDGES``; what lies beyond
        is in the outermost bins.
    predicted
        How many samples each class is the most probable for, int64 ``(class,)``.
    top
        For each class the samples with the highest probability, best first.
    first
        For each class and threshold the first samples that exceeded it, ``first[class][j]``.
    seconds
        Time spent in this call; of a resumed probe, since it was resumed.
    resumed_from
        Samples that came from the checkpoint.
    """

    n: int
    thresholds: tuple[float, ...]
    accepted: np.ndarray
    probability_sum: np.ndarray
    histogram: np.ndarray
    predicted: np.ndarray
    top: list[Kept]
    first: list[list[Kept]]
    seconds: float = 0.0
    resumed_from: int = 0

    @property
    def mean_probability(self) -> np.ndarray:
        """Mean probability of each class over all samples, ``(class,)``."""
        return self.probability_sum / self.n

    @property
    def samples_per_second(self) -> float:
        """Samples drawn and classified a second in this call."""
        return (self.n - self.resumed_from) / self.seconds if self.seconds else float("nan")

    def acceptance(self, level: float = 0.95) -> pd.DataFrame:
        """Share of the samples above each threshold, a row a class and threshold.

        Columns ``class``, ``threshold``, ``accepted``, ``n``, ``rate``, ``low``, ``high``
        (Wilson's interval; a class that never passed has rate 0 and an upper end above 0).
        """
        rows = []
        for label, counts in enumerate(self.accepted):
            for threshold, count in zip(self.thresholds, counts, strict=True):
                share = proportion(count, self.n, level)
                rows.append(
                    {
                        "class": label,
                        "threshold": threshold,
                        "accepted": int(count),
                        "n": self.n,
                        "rate": share.estimate,
                        "low": share.low,
                        "high": share.high,
                    }
                )
        return pd.DataFrame(rows)

    def merged(self, other: Probe, keep: int, keep_first: int) -> Probe:
        """Both probes as one; the order of merging does not matter."""
        return Probe(
            n=self.n + other.n,
            thresholds=self.thresholds,
            accepted=self.accepted + other.accepted,
            probability_sum=self.probability_sum + other.probability_sum,
            histogram=self.histogram + other.histogram,
            predicted=self.predicted + other.predicted,
            top=[a.joined(b).best(keep) for a, b in zip(self.top, other.top, strict=True)],
            first=[
                [a.joined(b).first(keep_first) for a, b in zip(mine, theirs, strict=True)]
                for mine, theirs in zip(self.first, other.first, strict=True)
            ],
        )


def to_tensors(probe: Probe) -> dict[str, Any]:
    """What a checkpoint holds of a probe."""
    return {
        "n": probe.n,
        "thresholds": list(probe.thresholds),
        **{name: torch.from_numpy(getattr(probe, name)) for name in ARRAYS},
        "top": [_kept_tensors(kept) for kept in probe.top],
        "first": [[_kept_tensors(kept) for kept in row] for row in probe.first],
    }


def from_tensors(saved: dict[str, Any]) -> Probe:
    """A probe out of a checkpoint."""
    return Probe(
        n=saved["n"],
        thresholds=tuple(saved["thresholds"]),
        **{name: saved[name].numpy() for name in ARRAYS},
        top=[Kept(*(t.numpy() for t in kept)) for kept in saved["top"]],
        first=[[Kept(*(t.numpy() for t in kept)) for kept in row] for row in saved["first"]],
    )


def _kept_tensors(kept: Kept) -> list[Tensor]:
    return [torch.from_numpy(a.copy()) for a in (kept.index, kept.log_odds, kept.samples)]
