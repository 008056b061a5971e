"""Classify all samples roughly and fast, and once more exactly where the answer could matter."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

SAFETY = 4.0
CALIBRATION = 256

Classify = Callable[[Tensor], tuple[Tensor, Tensor]]


class MarginError(Exception):
    """An exact score lay further from the rough one than the margin allows for."""


@dataclass
class Screening:
    """Latents to samples and log odds; rows that matter are exact, the others rough.

    Attributes
    ----------
    exact, rough
        Latents ``(sample, latent)`` to samples and log odds ``(sample, class)``.
    margin
        A row whose rough log odds lie this far on the uninteresting side of every limit is not
        looked at again: four times the largest difference among the first 256 samples.
    """

    exact: Classify
    rough: Classify
    margin: float = math.inf

    def __call__(
        self, z: Tensor, undecided: Callable[[Tensor, float], Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Samples and log odds of the latents.

        Parameters
        ----------
        undecided
            Given rough log odds ``(sample, class)`` and the margin, the rows that could matter,
            bool ``(sample,)``.

        Raises
        ------
        MarginError
            If a difference exceeds half the margin: then no row is to be trusted.
        """
        if math.isinf(self.margin):
            first = z[:CALIBRATION]
            self.margin = SAFETY * float((self.exact(first)[1] - self.rough(first)[1]).abs().max())
        samples, odds = self.rough(z)
        rows = undecided(odds, self.margin)
        if not rows.any():
            return samples, odds
        exact_samples, exact_odds = self.exact(z[rows])
        if (exact_odds - odds[rows]).abs().max() > self.margin / 2:
            raise MarginError
        samples[rows], odds[rows] = exact_samples, exact_odds
        return samples, odds
