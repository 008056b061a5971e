"""The book's networks as a few large matrix products, for classifying very many samples on a CPU.

A convolution here is one product over the windows of a channels-last signal, a stride-2 transposed
convolution one product that makes two positions from three.  The results are those of the modules
up to rounding; the products run near the machine's speed, and in bfloat16 at about twice that of
float32 where the CPU has instructions for it.  Weights are copied: convert again after training.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu_, linear, softplus

from dc2lib.gan.histone import COARSE, N_LATENT, HistoneGenerator, whole_counts
from dc2lib.models import KERNEL_WIDTH, POOL_WIDTH, DeepChrome
from dc2lib.networks import Network

SLOPE = 0.2


def matrix_form(network: Network, dtype: torch.dtype = torch.float32) -> Network:
    """The same function in evaluation mode as matrix products; what is not known is returned.

    Known are `dc2lib.models.DeepChrome` and `dc2lib.gan.HistoneGenerator`, not their subclasses.

    Parameters
    ----------
    network
        Any function of a tensor.
    dtype
        Of the products; inputs and results stay float32.
    """
    if type(network) is DeepChrome:
        return _classifier(network, dtype)
    if type(network) is HistoneGenerator:
        return _generator(network, dtype)
    return network


def matrix_forms(networks: Sequence[Network]) -> Callable[[Tensor], Iterator[Tensor]]:
    """One function that gives the results of all networks on a batch in turn, in float32.

    Classifiers of one shape read the same windows, which are made once for all of them.
    """
    known = all(type(network) is DeepChrome for network in networks)
    if not known or len({(one.convolution.stride, one.positions) for one in networks}) > 1:
        forms = [matrix_form(network) for network in networks]
        return lambda signal: (form(signal) for form in forms)
    heads = [_classifier_of_places(model, torch.float32) for model in networks]

    def results(signal: Tensor) -> Iterator[Tensor]:
        places = _pooled_places(signal, networks[0], torch.float32)
        return (head(places) for head in heads)

    return results


def _classifier(model: DeepChrome, dtype: torch.dtype) -> Network:
    logits = _classifier_of_places(model, dtype)
    return lambda signal: logits(_pooled_places(signal, model, dtype))


def _classifier_of_places(model: DeepChrome, dtype: torch.dtype) -> Network:
    """From the windows of `_pooled_places` to logits."""
    kernel = model.convolution
    filters = kernel.weight.detach().transpose(1, 2).flatten(1).to(dtype).contiguous()
    offsets = kernel.bias.detach().to(dtype)
    layers = [_constants(layer, dtype) for layer in (model.hidden1, model.hidden2)]
    last = _constants(model.output, dtype)
    average = model.pooling == "average"

    def logits(places: Tensor) -> Tensor:
        pooled = linear(places[0], filters, offsets)
        if average:
            pooled.relu_()
        for place in places[1:]:
            activation = linear(place, filters, offsets)
            if average:
                pooled += activation.relu_()
            else:
                torch.maximum(pooled, activation, out=pooled)
        pooled = pooled.div_(POOL_WIDTH) if average else pooled.relu_()
        hidden = pooled.view(-1, model.hidden1.in_features)
        for weight, bias in layers:
            hidden = linear(hidden, weight, bias).relu_()
        return linear(hidden, *last).float()

    return logits


def _generator(model: HistoneGenerator, dtype: torch.dtype) -> Network:
    n_marks, n_bins = model.shape
    short = n_bins // COARSE
    dense, spread, first, second = (
        layer for layer in model.layers if isinstance(layer, nn.Linear | nn.ConvTranspose1d)
    )
    start = _constants(dense, dtype)
    channels_last = [
        value.detach().unflatten(0, (-1, short)).transpose(0, 1).flatten(0, 1).contiguous()
        for value in (spread.weight, spread.bias)
    ]
    coarse = [value.to(dtype) for value in channels_last]
    doublings = [_doubling(layer, dtype) for layer in (first, second)]
    mix = model.mix.weight.detach().transpose(1, 2).flatten(1).to(dtype).contiguous()
    mix_bias = model.mix.bias.detach().to(dtype)
    output = model.output.weight.detach().squeeze(2).to(dtype)
    output_bias = model.output.bias.detach().to(dtype)
    width = model.mix.in_channels - n_marks
    reach = model.mix.kernel_size[0] // 2

    def signals(z: Tensor) -> Tensor:
        z = z.to(dtype)
        n = len(z)
        shape = leaky_relu_(linear(z[:, :N_LATENT], *start), SLOPE)
        shape = leaky_relu_(linear(shape, *coarse), SLOPE).view(n, short, -1)
        for weight, bias in doublings:
            length = shape.shape[1]
            shape = leaky_relu_(linear(_windows(_padded(shape, 1), 3), weight, bias), SLOPE)
            shape = shape.view(n, 2 * length, -1)
        joined = z.new_zeros(n, n_bins + 2 * reach, width + n_marks)
        inside = joined[:, reach : reach + n_bins]
        inside[..., :width] = shape
        inside[..., width:] = z[:, N_LATENT:].unflatten(1, model.shape).transpose(1, 2)
        mixed = linear(_windows(joined, 2 * reach + 1), mix, mix_bias).relu_()
        made = softplus(linear(mixed, output, output_bias).float(), beta=4)
        return whole_counts(made.clamp_(max=model.limit)).view(n, n_bins, n_marks).transpose(1, 2)

    return signals


def _constants(layer: nn.Linear, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    return layer.weight.detach().to(dtype), layer.bias.detach().to(dtype)


def _padded(signal: Tensor, places: int) -> Tensor:
    return nn.functional.pad(signal, (0, 0, places, places))


def _windows(signal: Tensor, width: int) -> Tensor:
    """Windows of a contiguous ``(sample, place, channel)`` as rows ``(sample x window, ...)``."""
    n, length, channels = signal.shape
    count = length - width + 1
    steps = (length * channels, channels, 1)
    rows = signal.as_strided((n, count, width * channels), steps)
    return rows.reshape(n * count, width * channels)


def _pooled_places(signal: Tensor, model: DeepChrome, dtype: torch.dtype) -> Tensor:
    """Windows ``(place, sample x position, ...)``: those of one place are a product of their own.

    Pooling then takes products of a few megabytes in turn, which stay in the cache, instead of one
    large product that does not.
    """
    signal = signal.transpose(1, 2).to(dtype).contiguous()
    n, length, channels = signal.shape
    shape = (POOL_WIDTH, n, model.positions, KERNEL_WIDTH * channels)
    step = model.convolution.stride[0] * channels
    rows = signal.as_strided(shape, (step, length * channels, POOL_WIDTH * step, 1))
    return rows.reshape(POOL_WIDTH, n * model.positions, -1)


def _doubling(layer: nn.ConvTranspose1d, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """A transposed convolution of width 4, stride 2 and padding 1 as a product over windows of 3.

    The place 2i of the result sees the places i - 1 and i through the taps 3 and 1; the place
    2i + 1 sees i and i + 1 through the taps 2 and 0.
    """
    taps = layer.weight.detach()
    n_in, n_out, width = taps.shape
    if (width, layer.stride, layer.padding) != (4, (2,), (1,)):
        raise ValueError(f"{layer}: expected width 4, stride 2 and padding 1")
    weight = taps.new_zeros(2, n_out, 3, n_in)
    weight[0, :, 0], weight[0, :, 1] = taps[..., 3].T, taps[..., 1].T
    weight[1, :, 1], weight[1, :, 2] = taps[..., 2].T, taps[..., 0].T
    bias = layer.bias.detach().repeat(2)
    return weight.flatten(2).flatten(0, 1).to(dtype).contiguous(), bias.to(dtype)
