"""Generator and discriminator of histone signals, and the transform between counts and signals.

A signal is the natural logarithm of one plus the reads of a bin, ``(gene, mark, bin)``: what the
classifiers of the book read.  Generated signals are those of whole, non-negative counts.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from dc2lib.errors import DataError
from dc2lib.models.networks import initial_weights

COUNT_LIMIT = np.iinfo(np.uint16).max
N_LATENT = 64
COARSE = 4


def counts_to_signals(counts: np.ndarray) -> np.ndarray:
    """Counts ``(gene, bin, mark)`` as signals, float32 ``(gene, mark, bin)``; no unit.

    Examples
    --------
    >>> counts_to_signals(np.array([[[0], [1]]])).round(3).tolist()
    [[[0.0, 0.6930000185966492]]]
    """
    signals = np.log1p(np.asarray(counts, dtype=np.float32))
    return np.ascontiguousarray(signals.transpose(0, 2, 1))


def signals_to_counts(signals: np.ndarray) -> np.ndarray:
    """Signals ``(gene, mark, bin)`` as the nearest counts, uint16 ``(gene, bin, mark)``.

    The inverse of `counts_to_signals` for every count from 0 to 65,535.

    Raises
    ------
    DataError
        If a signal is negative, not finite, or belongs to more than 65,535 reads.
    """
    counts = np.rint(np.expm1(np.asarray(signals, dtype=np.float64)))
    if not np.isfinite(counts).all() or counts.min(initial=0) < 0:
        raise DataError("signals must be finite and not negative: expected log(1 + reads)")
    if counts.max(initial=0) > COUNT_LIMIT:
        raise DataError(f"a signal stands for {counts.max():.0f} reads: at most {COUNT_LIMIT:,}")
    return np.ascontiguousarray(counts.astype(np.uint16).transpose(0, 2, 1))


def whole_counts(signals: Tensor) -> Tensor:
    """Signals moved to those of the nearest whole counts; gradients pass as if nothing was done.

    Real signals lie on a lattice (0, log 2, log 3, ...); without this step a discriminator only
    has to look whether a value lies on it.  Straight-through estimator: Bengio et al. 2013 (arXiv
    1308.3432).
    """
    rounded = torch.log1p(torch.round(torch.expm1(signals)))
    if not signals.requires_grad:
        return rounded
    return signals + (rounded - signals).detach()


class HistoneGenerator(nn.Module):
    """Latents ``(sample, n_latent)`` to signals ``(sample, mark, bin)`` of whole counts.

    The first 64 latents decide the shape, which grows from a quarter of the bins by two
    transposed convolutions; the others, one for each mark and bin, are the noise of counting and
    join before the last layer.

    Parameters
    ----------
    n_marks, n_bins
        Shape of one signal; ``n_bins`` is a multiple of 4.
    width
        Channels before the last layer; twice as many a layer before, four times at the start.
    largest_count
        No bin gets more reads than this.

    Notes
    -----
    No batch normalisation: the averaged weights that `train_gan` returns would meet the
    running statistics of other weights.
    """

    def __init__(
        self,
        n_marks: int = 5,
        n_bins: int = 100,
        width: int = 16,
        largest_count: int = COUNT_LIMIT,
    ) -> None:
        super().__init__()
        if n_bins % COARSE:
            raise ValueError(f"n_bins={n_bins}: expected a multiple of {COARSE}")
        self.shape = (n_marks, n_bins)
        self.n_latent = N_LATENT + n_marks * n_bins
        short = n_bins // COARSE
        self.layers = nn.Sequential(
            nn.Linear(N_LATENT, 128),
            nn.LeakyReLU(0.2),
            nn.Linear(128, 4 * width * short),
            nn.LeakyReLU(0.2),
            nn.Unflatten(1, (4 * width, short)),
            nn.ConvTranspose1d(4 * width, 2 * width, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.ConvTranspose1d(2 * width, width, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2),
        )
        self.mix = nn.Conv1d(width + n_marks, 2 * width, 5, padding=2)
        self.output = nn.Conv1d(2 * width, n_marks, 1)
        self.limit = math.log1p(largest_count)

    def forward(self, z: Tensor) -> Tensor:
        """Signals ``(sample, mark, bin)``."""
        noise = z[:, N_LATENT:].unflatten(1, self.shape)
        mixed = torch.relu(self.mix(torch.cat([self.layers(z[:, :N_LATENT]), noise], dim=1)))
        signals = nn.functional.softplus(self.output(mixed), beta=4)
        return whole_counts(signals.clamp(max=self.limit))


class HistoneDiscriminator(nn.Module):
    """Signals ``(sample, mark, bin)`` to logits ``(sample,)``, positive for real signals.

    Convolutions judge the texture, a hidden layer over all positions how it fits together, and a
    small network of each mark's mean and spread the levels, which convolutions are slow to compare.
    """

    def __init__(
        self, n_marks: int = 5, n_bins: int = 100, width: int = 32, hidden: int = 128
    ) -> None:
        super().__init__()
        short = (n_bins + 3) // 4
        self.layers = nn.Sequential(
            nn.Conv1d(n_marks, width, 7, stride=2, padding=3),
            nn.LeakyReLU(0.2),
            nn.Conv1d(width, 2 * width, 5, stride=2, padding=2),
            nn.LeakyReLU(0.2),
            nn.Flatten(),
            nn.Linear(2 * width * short, hidden),
            nn.LeakyReLU(0.2),
        )
        self.levels = nn.Sequential(nn.Linear(2 * n_marks, hidden // 2), nn.LeakyReLU(0.2))
        self.output = nn.Sequential(
            nn.Linear(hidden + hidden // 2, hidden), nn.LeakyReLU(0.2), nn.Linear(hidden, 1)
        )

    def forward(self, signals: Tensor) -> Tensor:
        """Logits ``(sample,)``."""
        spread = (signals.var(2) + 1e-3).sqrt()
        levels = self.levels(4 * torch.cat([signals.mean(2), spread], dim=1))
        return self.output(torch.cat([self.layers(signals), levels], dim=1)).squeeze(1)


def build_histone_gan(
    seed: int = 0,
    *,
    n_marks: int = 5,
    n_bins: int = 100,
    width: int = 16,
    largest_count: int = COUNT_LIMIT,
) -> tuple[HistoneGenerator, HistoneDiscriminator]:
    """A freshly initialised pair; the global random state is left untouched."""
    with initial_weights(seed):
        return (
            HistoneGenerator(n_marks, n_bins, width, largest_count),
            HistoneDiscriminator(n_marks, n_bins, 2 * width),
        )
