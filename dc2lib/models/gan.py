"""Generators of histone signals: ``generator(noise) -> signals``; and a GAN's two networks.

A signal is the natural logarithm of one plus the reads of a bin, float32 ``(gene, mark, bin)``,
which is what the classifiers of the book read.  A generator is a module with an attribute
``n_latent`` that turns standard normal noise ``(sample, n_latent)`` into the signals of whole
counts; `generate` draws from any of them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from dc2lib.errors import DataError
from dc2lib.models.networks import apply_in_batches, initial_weights
from dc2lib.signals import to_signal

COUNT_LIMIT = np.iinfo(np.uint16).max
N_LATENT = 64
COARSE = 4


def counts_to_signals(counts: np.ndarray) -> np.ndarray:
    """Counts ``(gene, bin, mark)`` as signals, float32 ``(gene, mark, bin)``; see `to_signal`.

    Examples
    --------
    >>> counts_to_signals(np.array([[[0], [1]]])).round(3).tolist()
    [[[0.0, 0.6930000185966492]]]
    """
    return to_signal(counts, "log1p").contiguous().numpy()


def signals_to_counts(signals: np.ndarray) -> np.ndarray:
    """Signals ``(gene, mark, bin)`` as the nearest counts, uint16 ``(gene, bin, mark)``.

    The inverse of `counts_to_signals` for every count from 0 to 65,535.

    Raises DataError if a signal is negative, not finite, or belongs to more than 65,535 reads.
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


def draw_noise(n: int, n_latent: int, source: torch.Generator) -> Tensor:
    """Standard normal noise, float32 ``(n, n_latent)``."""
    return torch.randn(n, n_latent, generator=source)


def generate(
    generator: nn.Module, n: int, *, seed: int = 0, batch_size: int = 256
) -> np.ndarray:
    """Samples of a generator in evaluation mode, float32 ``(n, ...)``."""
    source = torch.Generator().manual_seed(seed)
    return apply_in_batches(generator, draw_noise(n, generator.n_latent, source), batch_size)


class HistoneGenerator(nn.Module):
    """Noise ``(sample, n_latent)`` to signals ``(sample, mark, bin)`` of whole counts.

    The first 64 numbers decide the shape, which grows from a quarter of the bins by two
    transposed convolutions; the others, one for each mark and bin, are the noise of counting and
    join before the last layer.

    ``n_bins`` is a multiple of 4; ``width`` are the channels before the last layer, twice as many a
    layer before, four times at the start; no bin gets more reads than ``largest_count``, one number
    or one a mark.  There is no batch normalisation: the averaged weights that `train_gan` returns
    would meet the running statistics of other weights.
    """

    def __init__(
        self,
        n_marks: int = 5,
        n_bins: int = 100,
        width: int = 16,
        largest_count: int | Sequence[int] = COUNT_LIMIT,
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
        limit = np.log1p(np.broadcast_to(largest_count, n_marks)).astype(np.float32)
        self.register_buffer("limit", torch.from_numpy(limit).unsqueeze(1))

    def forward(self, noise: Tensor) -> Tensor:
        """Signals ``(sample, mark, bin)``."""
        shape, counting = self.layers(noise[:, :N_LATENT]), noise[:, N_LATENT:]
        joined = torch.cat([shape, counting.unflatten(1, self.shape)], dim=1)
        signals = nn.functional.softplus(
            self.output(torch.relu(self.mix(joined))), beta=4)
        return whole_counts(signals.minimum(self.limit))


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


def histone_gan_for(
    signals: np.ndarray, seed: int = 0, width: int = 16
) -> tuple[HistoneGenerator, HistoneDiscriminator]:
    """A new pair for these signals ``(gene, mark, bin)``: their shape, and largest count a mark.

    The global random state is left untouched.
    """
    n_marks, n_bins = signals.shape[1:]
    largest = np.rint(np.expm1(signals.max((0, 2)).astype(np.float64))).astype(int)
    with initial_weights(seed):
        return (
            HistoneGenerator(n_marks, n_bins, width, largest),
            HistoneDiscriminator(n_marks, n_bins, 2 * width),
        )
