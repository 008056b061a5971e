"""DeepChrome's convolutional network, its variants, and the 12-parameter linear model.

Every model of `MODELS` takes signals ``(gene, mark, bin)`` and returns logits ``(gene, 2)``; column
1 is high expression.  Architectures: sections 2.1, 3.2 and 3.4 of DeepChrome 2.0 (arXiv 2209.11923)
and Singh et al. 2016 (doi:10.1093/bioinformatics/btw427).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from dc2lib.models.networks import initial_weights

FILTERS = 50
KERNEL_WIDTH = 10
POOL_WIDTH = 5
HIDDEN = (625, 125)
DROPOUT = 0.5
BYTES = 256
POOLINGS = {"max": nn.MaxPool1d, "average": nn.AvgPool1d}


class Dropout(nn.Dropout):
    """Dropout of units ``(gene, unit)`` that a generator decides where one is given.

    Which units are dropped then follows from the generator alone: not from the device, nor from
    what else draws in this process.
    """

    _source: np.random.Generator | None = None

    @contextmanager
    def drawing_from(self, source: np.random.Generator) -> Iterator[None]:
        """Masks are drawn from a generator for a while, in place of torch's global state."""
        self._source = source
        try:
            yield
        finally:
            self._source = None

    def forward(self, values: Tensor) -> Tensor:
        """The values with a share ``p`` of them at zero, in training, and the rest scaled up."""
        if self._source is None or not self.training:
            return super().forward(values)
        noise = torch.from_numpy(dropout_noise(self._source, *values.shape)).to(values.device)
        below = round(self.p * BYTES)
        return values * (noise >= below) * (BYTES / (BYTES - below))


def dropout_noise(source: np.random.Generator, n: int, width: int) -> np.ndarray:
    """A random byte a unit, uint8 ``(n, width)``: units below ``p * BYTES`` are dropped."""
    return source.integers(0, BYTES, (n, width), np.uint8)


class DeepChrome(nn.Module):
    """Convolution over all marks, ReLU, pooling, dropout and two hidden layers.

    On a CPU `dc2lib.fast` computes the same in another way, as long as ``forward`` is unchanged.

    Parameters
    ----------
    n_marks, n_bins
        Shape of one signal; 5 and 100 in the released data.
    pooling
        ``"max"`` (the original) or ``"average"``.
    stride
        Step of the convolution in bins: 1 gives 644,177 parameters, 2 gives 362,927.

    Raises
    ------
    ValueError
        If the pooling is unknown or the signal is too short for one pooled position.
    """

    def __init__(
        self, n_marks: int = 5, n_bins: int = 100, pooling: str = "max",
        stride: int = 1,
    ):  # fmt: skip
        super().__init__()
        if pooling not in POOLINGS:
            raise ValueError(
                f"unknown pooling {pooling!r}: expected one of {tuple(POOLINGS)}"
            )
        self.pooling = pooling
        self.positions = pooled_positions(n_bins, stride)
        self.convolution = nn.Conv1d(n_marks, FILTERS, KERNEL_WIDTH, stride=stride)
        self.pool = POOLINGS[pooling](POOL_WIDTH)
        self.dropout = Dropout(DROPOUT)
        self.hidden1 = nn.Linear(self.positions * FILTERS, HIDDEN[0])
        self.hidden2 = nn.Linear(*HIDDEN)
        self.output = nn.Linear(HIDDEN[1], 2)

    def forward(self, signal: Tensor) -> Tensor:
        """Logits ``(gene, 2)`` of signals ``(gene, mark, bin)``."""
        return self.output(self.features(signal))

    def features(self, signal: Tensor) -> Tensor:
        """Activations of the last hidden layer, ``(gene, 125)``."""
        pooled = self.pool(torch.relu(self.convolution(signal)))
        pooled = self.dropout(pooled.transpose(1, 2).flatten(1))
        return torch.relu(self.hidden2(torch.relu(self.hidden1(pooled))))


def pooled_positions(n_bins: int, stride: int) -> int:
    """Length of a signal after convolution and pooling.

    Raises ValueError if nothing is left of it.
    """
    positions = ((n_bins - KERNEL_WIDTH) // stride + 1) // POOL_WIDTH
    if positions < 1:
        raise ValueError(
            f"{n_bins} bins are too few for a convolution of width {KERNEL_WIDTH} with stride "
            f"{stride} and pooling of {POOL_WIDTH}"
        )
    return positions


class TemporalMeanLinear(nn.Module):
    """Linear softmax classifier on each mark's mean over the bins.

    12 parameters for five marks; section 3.4 of DeepChrome 2.0.
    """

    def __init__(self, n_marks: int = 5) -> None:
        super().__init__()
        self.output = nn.Linear(n_marks, 2)

    def forward(self, signal: Tensor) -> Tensor:
        """Logits ``(gene, 2)`` of signals ``(gene, mark, bin)``."""
        return self.output(signal.mean(2))


MODELS: dict[str, Callable[[int, int], nn.Module]] = {
    "deepchrome_max": lambda marks, bins: DeepChrome(marks, bins, "max"),
    "deepchrome_average": lambda marks, bins: DeepChrome(
        marks, bins, "average"),
    "deepchrome_strided": lambda marks, bins: DeepChrome(
        marks, bins, "max", stride=2),
    "linear": lambda marks, bins: TemporalMeanLinear(marks),
}


def build(name: str, n_marks: int = 5, n_bins: int = 100, seed: int = 0) -> nn.Module:
    """A freshly initialised model of the given name; the global random state is left untouched.

    Raises ValueError if the name is not one of ``MODELS``.
    """
    if name not in MODELS:
        raise ValueError(f"unknown model {name!r}: expected one of {', '.join(MODELS)}")
    with initial_weights(seed):
        return MODELS[name](n_marks, n_bins)


def count_parameters(model: nn.Module) -> int:
    """Number of trainable parameters."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)
