"""The generator of histone signals as a few large matrix products, for very many samples on a CPU.

A convolution is one product over the windows of a channels-last signal, a stride-2 transposed
convolution one product that makes two positions from three; see `dc2lib.fast.matrix_form`.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import leaky_relu_, linear, pad, softplus

from dc2lib.fast import enabled
from dc2lib.fast import matrix_form as classifiers
from dc2lib.models.gan import COARSE, N_LATENT, HistoneGenerator, whole_counts
from dc2lib.models.networks import Network

SLOPE = 0.2


def matrix_form(network: Network) -> Network:
    """As `dc2lib.fast.matrix_form.matrix_form`; known is `HistoneGenerator` as well."""
    if type(network) is not HistoneGenerator or not enabled():
        return classifiers.matrix_form(network)
    return _generator(network)


def _generator(model: HistoneGenerator) -> Network:
    n_marks, n_bins = model.shape
    short = n_bins // COARSE
    dense, spread, first, second = (
        layer for layer in model.layers if isinstance(layer, nn.Linear | nn.ConvTranspose1d)
    )
    start = dense.weight.detach(), dense.bias.detach()
    coarse = [
        value.detach().unflatten(0, (-1, short)).transpose(0, 1).flatten(0, 1).contiguous()
        for value in (spread.weight, spread.bias)
    ]
    doublings = [_doubling(first), _doubling(second)]
    mix = model.mix.weight.detach().transpose(1, 2).flatten(1).contiguous()
    mix_bias = model.mix.bias.detach()
    output, output_bias = model.output.weight.detach().squeeze(2), model.output.bias.detach()
    width = model.mix.in_channels - n_marks
    reach = model.mix.kernel_size[0] // 2

    def signals(noise: Tensor) -> Tensor:
        n = len(noise)
        shape = leaky_relu_(linear(noise[:, :N_LATENT], *start), SLOPE)
        shape = leaky_relu_(linear(shape, *coarse), SLOPE).view(n, short, -1)
        for weight, bias in doublings:
            length = shape.shape[1]
            windows = _windows(pad(shape, (0, 0, 1, 1)), 3)
            shape = leaky_relu_(linear(windows, weight, bias), SLOPE).view(n, 2 * length, -1)
        joined = noise.new_zeros(n, n_bins + 2 * reach, width + n_marks)
        inside = joined[:, reach : reach + n_bins]
        inside[..., :width] = shape
        inside[..., width:] = noise[:, N_LATENT:].unflatten(1, model.shape).transpose(1, 2)
        mixed = linear(_windows(joined, 2 * reach + 1), mix, mix_bias).relu_()
        made = softplus(linear(mixed, output, output_bias), beta=4).minimum(model.limit.flatten())
        return whole_counts(made).view(n, n_bins, n_marks).transpose(1, 2)

    return signals


def _windows(signal: Tensor, width: int) -> Tensor:
    """Windows of a contiguous ``(sample, place, channel)`` as rows ``(sample x window, ...)``."""
    n, length, channels = signal.shape
    count = length - width + 1
    steps = (length * channels, channels, 1)
    rows = signal.as_strided((n, count, width * channels), steps)
    return rows.reshape(n * count, width * channels)


def _doubling(layer: nn.ConvTranspose1d) -> tuple[Tensor, Tensor]:
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
    return weight.flatten(2).flatten(0, 1).contiguous(), layer.bias.detach().repeat(2)
