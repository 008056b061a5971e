"""Small things that are done to any network: evaluation mode, batches, a hash of the weights."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from threading import RLock

import numpy as np
import torch
from torch import Tensor, nn

Network = Callable[[Tensor], Tensor]

_one_at_a_time = RLock()


@contextmanager
def torch_seed(seed: int, device: torch.device | None = None) -> Iterator[None]:
    """What torch draws in this block follows from the seed; afterwards its state is as before.

    Layers draw weights and dropout from a state that all threads share: one thread at a time is in
    such a block.  The seed is below 2**64; a CUDA device's state is meant as well.
    """
    cuda = [device] if device is not None and device.type == "cuda" else []
    with _one_at_a_time, torch.random.fork_rng(devices=cuda):
        torch.default_generator.manual_seed(seed)
        if cuda:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        yield


def initial_weights(seed: int) -> AbstractContextManager[None]:
    """Networks built in this block have the seed's weights, and no other random state changes."""
    return torch_seed(seed)


@contextmanager
def evaluating(*networks: Network, device: str | torch.device | None = None) -> Iterator[None]:
    """Modules in evaluation mode (and on a device) for a while; other callables are left alone.

    A method stands for the module that it belongs to.
    """
    modules = _modules(networks)
    before = [(module.training, device_of(module)) for module in modules]
    for module in modules:
        module.eval()
        if device is not None:
            module.to(device)
    try:
        yield
    finally:
        for module, (mode, home) in zip(modules, before, strict=True):
            module.train(mode)
            if device is not None:
                module.to(home)


@contextmanager
def frozen(*networks: Network) -> Iterator[None]:
    """Weights that take no gradient for a while: gradients on inputs alone are cheaper."""
    weights = [
        weight
        for module in _modules(networks)
        for weight in module.parameters()
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
    """What a module, one of its methods or another function of a tensor makes of inputs.

    Inputs ``(sample, ...)`` are taken to float32 a batch at a time; modules are evaluating.
    """
    device = device_of(network)
    with evaluating(network), torch.inference_mode():
        parts = [
            network(torch.as_tensor(inputs[start : start + batch_size]).float().to(device))
            for start in range(0, len(inputs), batch_size)
        ]
    if not parts:
        raise ValueError("no inputs: expected at least one sample")
    return torch.cat(parts).cpu().numpy()


def device_of(network: Network) -> torch.device:
    """The device of a module's weights, or of those that a method reads; the CPU for all else."""
    for module in _modules([network]):
        for weight in module.parameters():
            return weight.device
    return torch.device("cpu")


def _modules(networks: Iterable[Network]) -> list[nn.Module]:
    owners = [getattr(network, "__self__", network) for network in networks]
    return [owner for owner in owners if isinstance(owner, nn.Module)]


def weights_digest(network: Network) -> str:
    """SHA-256 (hex) over a module's class and weights; another callable is known by its name."""
    if not isinstance(network, nn.Module):
        return getattr(network, "__qualname__", type(network).__qualname__)
    digest = hashlib.sha256(type(network).__qualname__.encode())
    for name, value in network.state_dict().items():
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
