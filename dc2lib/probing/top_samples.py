"""Samples that a probe keeps, and the scale on which it ranks them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dc2lib.errors import DataError


@dataclass(frozen=True)
class Kept:
    """Some of the samples of a stream.

    Attributes
    ----------
    index
        Number of each sample in the stream, int64 ``(sample,)``.
    log_odds
        Log odds of the class for which the sample was kept, float64 ``(sample,)``, natural
        logarithm.
    samples
        What the generator made, ``(sample, ...)``.
    """

    index: np.ndarray
    log_odds: np.ndarray
    samples: np.ndarray

    def __len__(self) -> int:
        return len(self.index)

    @property
    def probability(self) -> np.ndarray:
        """Probability of the class, float64 ``(sample,)``."""
        return 1 / (1 + np.exp(-self.log_odds))

    def take(self, chosen: np.ndarray) -> Kept:
        """The samples at these positions."""
        return Kept(self.index[chosen], self.log_odds[chosen], self.samples[chosen])

    def joined(self, other: Kept) -> Kept:
        """These samples and then the others."""
        if not len(self):
            return other
        if not len(other):
            return self
        return Kept(
            np.concatenate([self.index, other.index]),
            np.concatenate([self.log_odds, other.log_odds]),
            np.concatenate([self.samples, other.samples]),
        )

    def best(self, keep: int) -> Kept:
        """The ``keep`` samples of the highest log odds, best first; ties go to the earlier one."""
        return self.take(np.lexsort((self.index, -self.log_odds))[:keep])

    def first(self, keep: int) -> Kept:
        """The ``keep`` samples that came first in the stream."""
        return self.take(np.argsort(self.index)[:keep])


def nothing_kept() -> Kept:
    """No sample."""
    return Kept(np.empty(0, np.int64), np.empty(0), np.empty((0,), np.float32))


def log_odds(logits: Tensor) -> Tensor:
    """Log odds of each class against all others, ``(sample, class)``, from logits of that shape.

    Unlike a float32 probability this never saturates at 1, so it ranks the most confident
    samples.  For two classes it is the difference of the logits.
    """
    n_classes = logits.shape[1]
    if n_classes == 2:
        return logits - logits.flip(1)
    itself = torch.eye(n_classes, dtype=torch.bool, device=logits.device)
    others = logits.unsqueeze(1).expand(-1, n_classes, -1).masked_fill(itself, -math.inf)
    return logits - others.logsumexp(2)


def log_odds_of(probability: float) -> float:
    """Log odds of a probability between 0 and 1, both excluded.

    Examples
    --------
    >>> log_odds_of(0.5)
    0.0

    Raises
    ------
    DataError
        If the probability is not inside (0, 1).
    """
    if not 0 < probability < 1:
        raise DataError(f"the threshold {probability} is no probability between 0 and 1")
    return math.log(probability) - math.log1p(-probability)
