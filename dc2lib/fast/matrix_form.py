"""DeepChrome as a few large matrix products, for classifying very many samples on a CPU.

The convolution is one product over the windows of a channels-last signal for each place in a pool.
Of its bias ``b`` and the ReLU remains a lower bound, since ``relu(x + b) = max(x, -b) + b``: what
is added is a constant of the next layer.  Results are those of the module up to rounding.
Weights are copied: convert again after training.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from dc2lib.fast import enabled
from dc2lib.models.deepchrome import KERNEL_WIDTH, POOL_WIDTH, DeepChrome
from dc2lib.models.networks import Network, evaluating

SAMPLES_AT_ONCE = 64  # all that some samples need stays in the cache of a core


def matrix_form(network: Network) -> Network:
    """The same function in evaluation mode as matrix products; what is not known is returned.

    Known is `dc2lib.models.deepchrome.DeepChrome`, not its subclasses, and only as long as its
    ``forward`` computes what the products do: whoever edits the network gets the edited one.
    """
    if type(network) is not DeepChrome or not enabled():
        return network
    try:
        form = _products(network)
        return form if _agree(network, form) else network
    except (AttributeError, RuntimeError):  # other layers, other shapes
        return network


def _agree(network: DeepChrome, form: Network) -> bool:
    """Whether two forms of a network give the same logits for two drawn signals."""
    kernel = network.convolution
    bins = (network.positions * POOL_WIDTH - 1) * kernel.stride[0] + KERNEL_WIDTH
    drawn = torch.rand(2, kernel.in_channels, bins, generator=torch.Generator().manual_seed(0))
    with evaluating(network), torch.inference_mode():
        return torch.allclose(network(3 * drawn), form(3 * drawn), 1e-3, 1e-3, equal_nan=True)


def _products(network: DeepChrome) -> Network:
    model, kernel = network, network.convolution
    filters = kernel.weight.detach().transpose(1, 2).flatten(1).t().contiguous()
    least = -kernel.bias.detach()
    weight, bias = constants(model.hidden1)
    bias = bias - weight @ least.repeat(model.positions)
    hidden = [(weight, bias), constants(model.hidden2)]
    output = constants(model.output)
    pool = _average if model.pooling == "average" else _largest

    def logits(signal: Tensor) -> Tensor:
        signal = signal.transpose(1, 2).contiguous()
        parts = [pool(_places(part, model), filters, least)
                 for part in signal.split(SAMPLES_AT_ONCE)]
        values = torch.cat(parts).view(len(signal), -1)
        for weight, bias in hidden:
            values = linear(values, weight, bias).relu_()
        return linear(values, *output)

    return logits


def constants(layer: nn.Linear) -> tuple[Tensor, Tensor]:
    """Weight and bias of a layer as they are now, without gradients."""
    return layer.weight.detach(), layer.bias.detach()


def _largest(places: Tensor, filters: Tensor, least: Tensor) -> Tensor:
    """Activations after max pooling, without their bias: ``(sample x position, filter)``."""
    largest = torch.mm(places[0], filters)
    for place in places[1:]:
        torch.maximum(largest, torch.mm(place, filters), out=largest)
    return torch.maximum(largest, least, out=largest)


def _average(places: Tensor, filters: Tensor, least: Tensor) -> Tensor:
    total = torch.mm(places[0], filters).clamp_min_(least)
    for place in places[1:]:
        total += torch.mm(place, filters).clamp_min_(least)
    return total.div_(POOL_WIDTH)


def _places(signal: Tensor, model: DeepChrome) -> Tensor:
    """Windows ``(place, sample x position, ...)`` of channels-last signals, by place in a pool."""
    n, length, channels = signal.shape
    shape = (POOL_WIDTH, n, model.positions, KERNEL_WIDTH * channels)
    step = model.convolution.stride[0] * channels
    rows = signal.as_strided(
        shape, (step, length * channels, POOL_WIDTH * step, 1), signal.storage_offset()
    )
    return rows.reshape(POOL_WIDTH, n * model.positions, -1)
