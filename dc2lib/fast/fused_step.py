"""DeepChrome's training step on a CPU, its gradients written by hand over BLAS and compiled loops.

`dc2lib.training.fit` takes this step where it is `supported` and torch's autograd elsewhere; the
updates are the same up to rounding.  What it saves: a table turns counts of reads into signal;
max-pooling comes before the ReLU, which gives the same values; SGD's update is part of the matrix
product that makes the gradient, so that no gradient of the large layer is written and read again.

Every layer is then one product: of its windows (convolution) or activations (n, in) with its weight
(out, in).  Dropout compares a random byte a unit with its probability.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from types import SimpleNamespace

import numpy as np
import torch
from torch import Tensor, nn

from dc2lib.fast import enabled
from dc2lib.fast.matrix_form import matrix_form
from dc2lib.models.deepchrome import BYTES, DeepChrome, dropout_noise
from dc2lib.signals import to_signal

# Those of dc2lib.models, again: compiled code on disk is renewed when this file changes only.
KERNEL_WIDTH = 10
POOL_WIDTH = 5


def supported(model: nn.Module, counts: np.ndarray, device: torch.device) -> bool:
    """Whether the step is for this model, `DeepChrome` in float32, these counts and this device."""
    return (
        enabled()
        and type(model) is DeepChrome
        and device.type == "cpu"
        and counts.dtype in (np.uint16, np.float32)
        and float(model.dropout.p * BYTES).is_integer()
        and all(parameter.dtype == torch.float32 for parameter in model.parameters())
        and matrix_form(model) is not model  # the network computes what the step is written for
    )


class FusedNetwork:
    """Forward and backward pass of a `DeepChrome` on its own weights, read at every call."""

    def __init__(self, model: DeepChrome, transform: str) -> None:
        self.model, self.transform, self.kernels = model, transform, kernels()
        self.table = signal_table(transform)
        self.pool = getattr(self.kernels, f"pool_{model.pooling}")
        self._held: dict[str, Tensor] = {}

    def forward(self, counts: np.ndarray, noise: np.ndarray | None) -> Tensor:
        """Logits ``(gene, 2)`` in training; what `backward` needs is kept.

        ``noise`` holds a random byte a pooled unit, uint8 ``(gene, position * filter)``, or None
        for no dropout.
        """
        model, n = self.model, len(counts)
        self.pooled = self._buffer("pooled", n, model.hidden1.in_features)
        self._convolve_and_pool(counts, self.pooled, noise)
        self.hidden1 = self._layer("hidden1", model.hidden1, self.pooled).relu_()
        self.hidden2 = self._layer("hidden2", model.hidden2, self.hidden1).relu_()
        return self._layer("output", model.output, self.hidden2)

    def backward(self, error: Tensor) -> Iterator[tuple[nn.Module, Tensor, Tensor]]:
        """Yield each layer with the error at its output and the values at its input.

        The gradient of its weight ``(out, in)`` is ``error.T @ values``, that of its bias the sum
        of the errors.  By then the layer's weights are no longer needed and may be changed.  The
        error is the gradient of the loss with respect to the logits, ``(gene, 2)``.
        """
        model = self.model
        for layer, values in (
            (model.output, self.hidden2), (model.hidden2, self.hidden1),
            (model.hidden1, self.pooled),
        ):
            below = self._buffer(f"error{layer.in_features}", len(error), layer.in_features)
            torch.mm(error, layer.weight, out=below)
            yield layer, error, values
            if values is not self.pooled:
                self.kernels.rectify(below.numpy(), values.numpy())
            error = below
        self.kernels.unpool(error.numpy(), self.chosen.numpy(), self.share, self.active.numpy())
        yield model.convolution, self.active, self.windows

    def _convolve_and_pool(
        self, counts: np.ndarray, pooled: Tensor, noise: np.ndarray | None
    ) -> None:
        model, conv = self.model, self.model.convolution
        n, width = len(counts), conv.in_channels * KERNEL_WIDTH
        rows = n * model.positions * POOL_WIDTH
        self.windows = self._buffer("windows", rows, width)
        self.active = self._buffer("active", rows, conv.out_channels)
        self.chosen = self._buffer("chosen", n, pooled.shape[1], torch.uint8)
        self.kernels.unfold(self._signal(counts), conv.stride[0], self.windows.numpy())
        torch.mm(self.windows, conv.weight.flatten(1).t(), out=self.active)
        p = 0.0 if noise is None else model.dropout.p
        scale = 1 / (1 - p)
        self.share = np.float32(scale if model.pooling == "max" else scale / POOL_WIDTH)
        noise = self.chosen.numpy() if noise is None else noise
        self.pool(self.active.numpy(), conv.bias.detach().numpy(), noise, int(p * BYTES),
                  self.share, pooled.numpy(), self.chosen.numpy())

    def _signal(self, counts: np.ndarray) -> np.ndarray:
        if counts.dtype == np.uint16:
            return self.table[counts]
        return to_signal(counts, self.transform).transpose(1, 2).numpy()

    def _layer(self, name: str, layer: nn.Linear, values: Tensor) -> Tensor:
        out = self._buffer(name, len(values), layer.out_features)
        return torch.addmm(layer.bias, values, layer.weight.t(), out=out)

    def _buffer(
        self, name: str, n: int, width: int, dtype: torch.dtype = torch.float32
    ) -> Tensor:
        held = self._held.get(name)
        if held is None or len(held) < n:
            held = self._held[name] = torch.zeros(n, width, dtype=dtype)
        return held[:n]


class FusedStep:
    """One update of a `DeepChrome`: ``step(counts, labels, rng)`` returns the batch's loss.

    Parameters
    ----------
    model, optimizer
        As `dc2lib.training.fit.make_optimizer` makes it, `torch.optim.SGD` without momentum or any
        other; its rate and weight decay are read at every step.
    transform
        Of the counts.
    """

    def __init__(
        self, model: DeepChrome, optimizer: torch.optim.Optimizer, transform: str
    ) -> None:
        self.network, self.optimizer = FusedNetwork(model, transform), optimizer
        self.descends = isinstance(optimizer, torch.optim.SGD)
        for parameter in model.parameters():
            parameter.grad = None if self.descends else torch.zeros_like(parameter)

    @torch.no_grad()
    def __call__(
        self, counts: np.ndarray, labels: np.ndarray, rng: np.random.Generator
    ) -> float:
        """Update the weights on uint16 or float32 ``(gene, bin, mark)`` and labels 0 or 1."""
        model, noise = self.network.model, None
        if model.dropout.p > 0:
            noise = dropout_noise(rng, len(counts), model.hidden1.in_features)
        logits = self.network.forward(counts, noise)
        error = torch.empty_like(logits)
        loss = self.network.kernels.cross_entropy(logits.numpy(), labels, error.numpy())
        update = self._descend if self.descends else self._keep_gradient
        for layer, layer_error, values in self.network.backward(error):
            update(layer, layer_error, values)
        if not self.descends:
            self.optimizer.step()
        return loss

    def _descend(self, layer: nn.Module, error: Tensor, values: Tensor) -> None:
        group = self.optimizer.param_groups[0]
        rate, kept = group["lr"], 1 - group["lr"] * group["weight_decay"]
        layer.weight.flatten(1).addmm_(error.t(), values, beta=kept, alpha=-rate)
        layer.bias.addmv_(error.t(), error.new_ones(len(error)), beta=kept, alpha=-rate)

    def _keep_gradient(self, layer: nn.Module, error: Tensor, values: Tensor) -> None:
        torch.mm(error.t(), values, out=layer.weight.grad.flatten(1))
        torch.sum(error, 0, out=layer.bias.grad)


@cache
def signal_table(transform: str) -> np.ndarray:
    """Signal float32 of every possible uint16 count, ``(65536,)``."""
    counts = torch.arange(np.iinfo(np.uint16).max + 1, dtype=torch.float32)
    values = {"raw": lambda: counts, "log1p": lambda: counts.log1p()}
    if transform not in values:
        raise ValueError(f"unknown transform {transform!r}: expected one of {tuple(values)}")
    return values[transform]().numpy()


def compiled(loop: Callable) -> Callable:
    """The function as machine code, made at its first call and kept on disk where that is possible.

    It runs without holding the interpreter's lock, and indexes without looking at bounds.
    """
    from numba import njit

    settings = {"fastmath": {"contract"}, "error_model": "numpy", "nogil": True}
    try:
        return njit(cache=True, **settings)(loop)
    except RuntimeError:
        return njit(**settings)(loop)


@cache
def kernels() -> SimpleNamespace:
    """The loops below, compiled; the machine code is kept on disk where there is a place for it."""
    loops = (unfold, pool_max, pool_average, unpool, rectify, cross_entropy)
    return SimpleNamespace(**{loop.__name__: compiled(loop) for loop in loops})


def unfold(signal: np.ndarray, stride: int, windows: np.ndarray) -> None:
    """Write the windows ``(gene * window, mark * 10)`` of signals ``(gene, bin, mark)``."""
    n, _, marks = signal.shape
    rows = len(windows) // n
    for gene in range(n):
        for row in range(rows):
            for mark in range(marks):
                for offset in range(KERNEL_WIDTH):
                    windows[gene * rows + row, mark * KERNEL_WIDTH + offset] = signal[
                        gene, row * stride + offset, mark
                    ]


def pool_max(
    active: np.ndarray, bias: np.ndarray, noise: np.ndarray, below: int, share: float,
    pooled: np.ndarray, chosen: np.ndarray,
) -> None:
    """Largest of five windows, bias, ReLU, dropout; ``chosen`` gets the bit of the first largest.

    ``active`` is (gene * window, filter); ``noise``, ``pooled`` and ``chosen`` are (gene,
    position * filter); units whose noise is ``below`` are dropped. A NaN stays one.
    """
    filters = len(bias)
    positions = pooled.shape[1] // filters
    for gene in range(len(pooled)):
        for position in range(positions):
            row = (gene * positions + position) * POOL_WIDTH
            for f in range(filters):
                unit = position * filters + f
                largest = active[row, f]
                bit = np.uint8(1)
                for k in range(1, POOL_WIDTH):
                    value = active[row + k, f]
                    bit = np.uint8(1 << k) if value > largest else bit
                    largest = value if value > largest else largest
                largest += bias[f]
                off = largest <= 0 or noise[gene, unit] < below
                pooled[gene, unit] = np.float32(0) if off else largest * share
                chosen[gene, unit] = np.uint8(0) if off else bit


def pool_average(
    active: np.ndarray, bias: np.ndarray, noise: np.ndarray, below: int, share: float,
    pooled: np.ndarray, chosen: np.ndarray,
) -> None:
    """Bias, ReLU, sum of five windows times ``share``, dropout; ``chosen``: those above zero."""
    filters = len(bias)
    positions = pooled.shape[1] // filters
    for gene in range(len(pooled)):
        for position in range(positions):
            row = (gene * positions + position) * POOL_WIDTH
            for f in range(filters):
                unit = position * filters + f
                total, bits = np.float32(0), np.uint8(0)
                for k in range(POOL_WIDTH):
                    value = active[row + k, f] + bias[f]
                    total += np.float32(0) if value <= 0 else value
                    bits |= np.uint8(0) if value <= 0 else np.uint8(1 << k)
                off = noise[gene, unit] < below
                pooled[gene, unit] = np.float32(0) if off else total * share
                chosen[gene, unit] = np.uint8(0) if off else bits


def unpool(error: np.ndarray, chosen: np.ndarray, share: float, active: np.ndarray) -> None:
    """Overwrite ``active`` with its error: the pooled unit's, in the windows that were chosen."""
    filters = active.shape[1]
    positions = error.shape[1] // filters
    for gene in range(len(error)):
        for position in range(positions):
            for k in range(POOL_WIDTH):
                row = (gene * positions + position) * POOL_WIDTH + k
                bit = np.uint8(1 << k)
                for f in range(filters):
                    unit = position * filters + f
                    value = error[gene, unit] * share
                    active[row, f] = value if chosen[gene, unit] & bit else np.float32(0)


def rectify(error: np.ndarray, activation: np.ndarray) -> None:
    """Set the error to zero where the ReLU's output ``activation`` is zero."""
    for gene in range(error.shape[0]):
        for unit in range(error.shape[1]):
            kept = activation[gene, unit] > 0
            error[gene, unit] = error[gene, unit] if kept else np.float32(0)


def cross_entropy(logits: np.ndarray, labels: np.ndarray, error: np.ndarray) -> float:
    """Mean loss of logits ``(gene, 2)``; ``error`` gets its gradient."""
    total = 0.0
    for gene in range(len(logits)):
        odds = np.float64(logits[gene, 1]) - np.float64(logits[gene, 0])
        rest = np.exp(-abs(odds))
        high = (1.0 if odds > 0 else rest) / (1 + rest)
        total += max(odds, 0.0) - labels[gene] * odds + np.log1p(rest)
        error[gene, 1] = (high - labels[gene]) / len(logits)
        error[gene, 0] = -error[gene, 1]
    return total / len(logits)
