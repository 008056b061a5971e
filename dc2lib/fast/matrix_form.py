"""DeepChrome as a few large matrix products, for classifying very many samples on a CPU.

The convolution is one product over the windows of a channels-last signal for each place in a pool.
Of its bias ``b`` and the ReLU remains a lower bound, since ``relu(x + b) = max(x, -b) + b``: what
is added is a constant of the next layer.  Results are those of the module up to rounding; the
products run near the machine's speed, and in bfloat16 at about twice that of float32 where the CPU
has instructions for it.  Weights are copied: convert again after training.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from dc2lib.models.deepchrome import KERNEL_WIDTH, POOL_WIDTH, DeepChrome
from dc2lib.models.networks import Network

MODELS_AT_ONCE = 8
MODELS_BY_SAMPLES_AT_ONCE = 64
SAMPLES_AT_ONCE = 1024


def matrix_form(network: Network, dtype: torch.dtype = torch.float32) -> Network:
    """The same function in evaluation mode as matrix products; what is not known is returned.

    Known is `dc2lib.models.deepchrome.DeepChrome`, not its subclasses.

    Parameters
    ----------
    network
        Any function of a tensor.
    dtype
        Of the products; inputs and results stay float32.
    """
    if type(network) is not DeepChrome:
        return network
    logits = _classifiers([network], dtype)
    return lambda signal: next(logits(signal))


def matrix_forms(networks: Sequence[Network]) -> Callable[[Tensor], Iterator[Tensor]]:
    """One function that gives the results of all networks on a batch in turn, in float32.

    Classifiers of one shape share the windows and the products of their filters, a few at once.
    """
    known = all(type(network) is DeepChrome for network in networks)
    if not known or len({_convolves(network) for network in networks}) > 1:
        forms = [matrix_form(network) for network in networks]
        return lambda signal: (form(signal) for form in forms)
    groups = [
        _classifiers(networks[start : start + MODELS_AT_ONCE], torch.float32)
        for start in range(0, len(networks), MODELS_AT_ONCE)
    ]
    return lambda signal: chain.from_iterable(group(signal) for group in groups)


def _convolves(model: DeepChrome) -> tuple[object, ...]:
    """Models that agree in this read the same windows and pool them in the same way."""
    return model.convolution.weight.shape, model.convolution.stride, model.positions, model.pooling


def _classifiers(
    models: Sequence[DeepChrome], dtype: torch.dtype
) -> Callable[[Tensor], Iterator[Tensor]]:
    """Signals to the logits of each model in turn; their filters make one product."""
    kernels = [model.convolution for model in models]
    filters = torch.cat([kernel.weight.detach().transpose(1, 2).flatten(1) for kernel in kernels])
    filters = filters.to(dtype).t().contiguous()
    least = -torch.stack([kernel.bias.detach() for kernel in kernels]).to(dtype)
    heads = [_head(model, own.float(), dtype) for model, own in zip(models, least, strict=True)]

    def results(signal: Tensor) -> Iterator[Tensor]:
        signal = signal.transpose(1, 2).to(dtype).contiguous()
        room = signal.new_empty(len(least), min(len(signal), SAMPLES_AT_ONCE),
                                models[0].positions, least.shape[1])
        logits: list[list[Tensor]] = [[] for _ in models]
        for part in signal.split(SAMPLES_AT_ONCE):
            pooled = room[:, : len(part)]
            _pool(part, filters, least, models[0], pooled)
            for found, head, own in zip(logits, heads, pooled, strict=True):
                found.append(head(own.flatten(1)))
        return map(torch.cat, logits)

    return results


def _head(model: DeepChrome, least: Tensor, dtype: torch.dtype) -> Network:
    """From pooled activations that lack the convolution's bias, which is ``-least``, to logits."""
    weight = model.hidden1.weight.detach()
    bias = model.hidden1.bias.detach() - weight @ least.repeat(model.positions)
    layers = [(weight.to(dtype), bias.to(dtype)), constants(model.hidden2, dtype)]
    last = constants(model.output, dtype)

    def logits(hidden: Tensor) -> Tensor:
        for weight, bias in layers:
            hidden = linear(hidden, weight, bias).relu_()
        return linear(hidden, *last).float()

    return logits


def _pool(
    signal: Tensor, filters: Tensor, least: Tensor, model: DeepChrome, pooled: Tensor
) -> None:
    """Write activations after pooling, without their bias: ``(model, sample, position, filter)``.

    Pooling combines one product for each of its places; all that some samples need for it stays
    in the cache of a core.
    """
    samples = MODELS_BY_SAMPLES_AT_ONCE // len(least)
    pool = _average if model.pooling == "average" else _largest
    for part, own in zip(signal.split(samples), pooled.split(samples, 1), strict=True):
        places = _places(part, model)
        products = (torch.mm(place, filters).view(-1, *least.shape) for place in places)
        pool(products, least, own.view(len(least), -1, least.shape[1]).transpose(0, 1))


def _largest(products: Iterator[Tensor], least: Tensor, pooled: Tensor) -> None:
    largest = next(products)
    for product in products:
        torch.maximum(largest, product, out=largest)
    torch.maximum(largest, least, out=pooled)


def _average(products: Iterator[Tensor], least: Tensor, pooled: Tensor) -> None:
    total = next(products).clamp_min_(least)
    for product in products:
        total += product.clamp_min_(least)
    torch.div(total, POOL_WIDTH, out=pooled)


def constants(layer: nn.Linear, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Weight and bias of a layer as they are now, without gradients."""
    return layer.weight.detach().to(dtype), layer.bias.detach().to(dtype)


def _places(signal: Tensor, model: DeepChrome) -> Tensor:
    """Windows ``(place, sample x position, ...)`` of channels-last signals, by place in a pool."""
    n, length, channels = signal.shape
    shape = (POOL_WIDTH, n, model.positions, KERNEL_WIDTH * channels)
    step = model.convolution.stride[0] * channels
    rows = signal.as_strided(
        shape, (step, length * channels, POOL_WIDTH * step, 1), signal.storage_offset()
    )
    return rows.reshape(POOL_WIDTH, n * model.positions, -1)
