"""Keep the best epoch by its validation score, and stop when no better one comes."""

from __future__ import annotations

from typing import Any

import numpy as np


class EarlyStopping:
    """The best epoch so far.

    Parameters
    ----------
    patience
        Stop after so many epochs without a better score.

    Attributes
    ----------
    best_epoch
        Its number, -1 before the first; of equal scores the first.
    best_weights
        What was given with its score.

    Examples
    --------
    >>> stopping = EarlyStopping(patience=2)
    >>> for score in (0.7, 0.8, 0.75, 0.8, 0.9):
    ...     if not stopping.stopped:
    ...         stopping.update(score, weights=None)
    >>> stopping.best_epoch, stopping.epochs
    (1, 4)
    """

    def __init__(self, patience: int) -> None:
        self.patience = patience
        self.epochs, self.best_epoch = 0, -1
        self.best_score, self.best_weights = -np.inf, None

    def update(self, score: float, weights: Any) -> None:
        """Note the score of the next epoch."""
        if score > self.best_score:
            self.best_epoch, self.best_score, self.best_weights = self.epochs, score, weights
        self.epochs += 1

    @property
    def stopped(self) -> bool:
        """Whether the patience is used up."""
        return self.epochs - 1 - max(self.best_epoch, 0) >= self.patience
