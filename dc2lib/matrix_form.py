"""DeepChrome as a few large matrix products, for classifying very many samples on a CPU.

The convolution is one product over the windows of a channels-last signal for each place in a pool.
Results are those of the module up to rounding; the products run near the machine's speed, and in
bfloat16 at about twice that of float32 where the CPU has instructions for it.  Weights are copied:
convert again after training.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from dc2lib.models import KERNEL_WIDTH, POOL_WIDTH, DeepChrome
from dc2lib.networks import Network

MODELS_AT_ONCE = 4
MODELS_BY_SAMPLES_AT_ONCE = 128


def matrix_form(network: Network, dtype: torch.dtype = torch.float32) -> Network:
    """The same function in evaluation mode as matrix products; what is not known is returned.

    Known is `dc2lib.models.DeepChrome`, not its subclasses.

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
    offsets = torch.cat([kernel.bias.detach() for kernel in kernels]).to(dtype)
    heads = [_head(model, dtype) for model in models]

    def results(signal: Tensor) -> Iterator[Tensor]:
        samples = MODELS_BY_SAMPLES_AT_ONCE // len(models)
        pooled = _pooled(signal, filters, offsets, models[0], samples)
        own = pooled.view(len(signal), -1, len(models), len(offsets) // len(models))
        return (head(own[:, :, number].flatten(1)) for number, head in enumerate(heads))

    return results


def _head(model: DeepChrome, dtype: torch.dtype) -> Network:
    """From pooled activations to logits."""
    layers = [constants(layer, dtype) for layer in (model.hidden1, model.hidden2)]
    last = constants(model.output, dtype)

    def logits(hidden: Tensor) -> Tensor:
        for weight, bias in layers:
            hidden = linear(hidden, weight, bias).relu_()
        return linear(hidden, *last).float()

    return logits


def _pooled(
    signal: Tensor, filters: Tensor, offsets: Tensor, model: DeepChrome, samples: int
) -> Tensor:
    """Activations after pooling, ``(sample x position, filter)``, some samples at a time.

    Pooling combines one product for each of its places; all that some samples need for it stays
    in the cache of a core.
    """
    signal = signal.transpose(1, 2).to(filters.dtype).contiguous()
    positions = model.positions
    pooled = signal.new_empty(len(signal) * positions, len(offsets))
    spare = torch.empty_like(pooled[: samples * positions])
    pool = _average if model.pooling == "average" else _largest
    for start in range(0, len(signal), samples):
        places = _places(signal[start : start + samples], model)
        rows = places.shape[1]
        pool(places, filters, offsets, spare[:rows], pooled[start * positions :][:rows])
    return pooled


def _largest(
    places: Tensor, filters: Tensor, offsets: Tensor, spare: Tensor, pooled: Tensor
) -> None:
    torch.mm(places[0], filters, out=pooled)
    for place in places[1:]:
        torch.maximum(pooled, torch.mm(place, filters, out=spare), out=pooled)
    pooled.add_(offsets).relu_()


def _average(
    places: Tensor, filters: Tensor, offsets: Tensor, spare: Tensor, pooled: Tensor
) -> None:
    torch.addmm(offsets, places[0], filters, out=pooled).relu_()
    for place in places[1:]:
        pooled += torch.addmm(offsets, place, filters, out=spare).relu_()
    pooled.div_(POOL_WIDTH)


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
