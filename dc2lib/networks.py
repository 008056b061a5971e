"""Small things that are done to any network: evaluation mode, batches, a hash of the weights."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

Network = Callable[[Tensor], Tensor]


@contextmanager
def evaluating(*networks: Network, device: str | torch.device | None = None) -> Iterator[None]:
    """Modules in evaluation mode (and on a device) for a while; other callables are left alone."""
    modules = [network for network in networks if isinstance(network, nn.Module)]
    modes = [module.training for module in modules]
    for module in modules:
        module.eval()
        if device is not None:
            module.to(device)
    try:
        yield
    finally:
        for module, mode in zip(modules, modes, strict=True):
            module.train(mode)


@contextmanager
def frozen(*networks: Network) -> Iterator[None]:
    """Weights that take no gradient for a while: gradients on inputs alone are cheaper."""
    weights = [
        weight
        for network in networks
        if isinstance(network, nn.Module)
        for weight in network.parameters()
        if weight.requires_grad
    ]
    for weight in weights:
        weight.requires_grad_(False)
    try:
        yield
    finally:
        for weight in weights:
            weight.requires_grad_(True)


def apply_in_batches(
    network: Network, inputs: np.ndarray | Tensor, batch_size: int = 256
) -> np.ndarray:
    """What a network makes of inputs ``(sample, ...)``, float32, in evaluation mode.

    Parameters
    ----------
    network
        A module, one of its methods, or any function of a tensor.
    inputs
        Taken to float32 a batch at a time.
    """
    owner = getattr(network, "__self__", network)
    device = device_of(owner)
    with evaluating(owner), torch.inference_mode():
        parts = [
            network(torch.as_tensor(inputs[start : start + batch_size]).float().to(device))
            for start in range(0, len(inputs), batch_size)
        ]
    if not parts:
        raise ValueError("no inputs: expected at least one sample")
    return torch.cat(parts).cpu().numpy()


def device_of(network: Network) -> torch.device:
    """The device of a module's weights; the CPU for anything else."""
    if isinstance(network, nn.Module):
        for weight in network.parameters():
            return weight.device
    return torch.device("cpu")


def weights_digest(network: Network) -> str:
    """SHA-256 (hex) over a module's class and weights; another callable is known by its name."""
    if not isinstance(network, nn.Module):
        return getattr(network, "__qualname__", type(network).__qualname__)
    digest = hashlib.sha256(type(network).__qualname__.encode())
    for name, value in network.state_dict().items():
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
