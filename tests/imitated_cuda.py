"""A device "cuda" that computes on the CPU, to test without a GPU what is to run on one.

Tensors moved to it hold their numbers, so whole trainings run and can be compared with the CPU's.
What a real device refuses is refused: operations that mix devices, generators of the other device,
NumPy's view of its memory, and checkpoints that name a device that is not there.  It is slow, and
says nothing about kernels, speed or memory of a real device.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

CUDA = torch.device("cuda:0")
STAND_IN = torch.device("meta")
TRANSFERS = {"_to_copy", "copy_"}
_present = [False]
_location: list[Any] = [None]


class OnCuda(Tensor):
    """A tensor whose numbers lie in a CPU tensor and that says to lie on the device."""

    @staticmethod
    def __new__(cls, held: Tensor) -> OnCuda:
        made = Tensor._make_wrapper_subclass(
            cls, held.size(), strides=held.stride(), storage_offset=held.storage_offset(),
            dtype=held.dtype, device=STAND_IN,
        )  # fmt: skip
        made.held = held.detach()
        return made

    __torch_function__ = torch._C._disabled_torch_function_impl
    device = property(lambda self: CUDA)
    is_cuda = property(lambda self: True)
    is_cpu = is_meta = property(lambda self: False)

    @classmethod
    def __torch_dispatch__(
        cls, operation: Any, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        return _run(operation, args, kwargs or {})

    def __reduce_ex__(self, protocol: int) -> tuple:
        return _read, (self.held, self.requires_grad)

    def tolist(self) -> list:
        return self.held.tolist()

    def numpy(self, **_: Any) -> None:
        raise TypeError("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() first")


class _Dispatch(TorchDispatchMode):
    def __torch_dispatch__(
        self, operation: Any, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        return _run(operation, args, kwargs or {})


class _Functions(TorchFunctionMode):
    """Names the stand-in wherever the device is named, so that no driver is asked for."""

    def __torch_function__(
        self, function: Callable, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if function not in (torch.device, torch.get_device_module):
            args, kwargs = tree_map(_stand_in, (args, kwargs))
        if function in (torch.tensor, torch.as_tensor) and kwargs.get("device") == STAND_IN:
            return function(*args, **kwargs | {"device": None}).to(STAND_IN)
        if function in (Tensor.__getitem__, Tensor.__setitem__) and isinstance(args[0], OnCuda):
            args = (args[0], tree_map(_index, args[1], is_leaf=_is_index), *args[2:])
        return function(*args, **kwargs)


def _stand_in(value: Any) -> Any:
    named = isinstance(value, torch.device) and value.type == "cuda"
    return STAND_IN if named or (isinstance(value, str) and value in ("cuda", "cuda:0")) else value


def _is_index(value: Any) -> bool:
    return isinstance(value, list | np.ndarray | Tensor)


def _index(value: Any) -> Any:
    """Indices may lie on the CPU; torch itself moves them."""
    if not _is_index(value):
        return value
    index = torch.as_tensor(value)
    return (index if index.numel() else index.long()).to(STAND_IN)


def _run(operation: Any, args: tuple, kwargs: dict) -> Any:
    name = operation.overloadpacket.__name__
    given = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
    there = [isinstance(leaf, OnCuda) for leaf in given]
    wanted = kwargs.get("device")
    target = any(there) if wanted is None else torch.device(wanted) == STAND_IN
    _check_devices(name, given, there)
    _check_generators(name, (args, kwargs), target)
    if wanted is not None:
        kwargs = kwargs | {"device": torch.device("cpu")}
    held_args, held_kwargs = tree_map(_held, (args, kwargs))
    found = operation(*held_args, **held_kwargs)
    known = {id(leaf.held): leaf for leaf in given if isinstance(leaf, OnCuda)}

    def made(value: Any) -> Any:
        if id(value) in known:
            return known[id(value)]
        return OnCuda(value) if target and isinstance(value, Tensor) else value

    return tree_map(made, found)


def _held(value: Any) -> Any:
    return value.held if isinstance(value, OnCuda) else value


def _check_devices(name: str, given: list[Tensor], there: list[bool]) -> None:
    if any(leaf.device == STAND_IN for leaf in given):
        raise NotImplementedError(f"{name} reached the stand-in with a tensor without numbers")
    if name in TRANSFERS or not any(there):
        return
    strangers = [leaf for leaf, on in zip(given, there, strict=True) if not on and leaf.ndim]
    if strangers or (name in ("stack", "cat") and not all(there)):
        raise RuntimeError(
            f"Expected all tensors to be on the same device, but found at least two devices, cuda:0"
            f" and cpu! ({name})"
        )


def _check_generators(name: str, given: Any, target: bool) -> None:
    if target and any(isinstance(leaf, torch.Generator) for leaf in tree_leaves(given)):
        raise RuntimeError(f"Expected a 'cuda' device type for generator but found 'cpu' ({name})")


def _read(held: Tensor, requires_grad: bool) -> Tensor:
    asked = _location[0]
    if asked is not None and torch.device(asked).type == "cpu":
        return held
    if not _present[0]:
        raise RuntimeError(
            "Attempting to deserialize object on a CUDA device but torch.cuda.is_available() is"
            " False."
        )
    return OnCuda(held).requires_grad_(requires_grad)


@contextmanager
def imitated(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The device is there while the context lasts; gives the seeds that were set on it.

    `torch.load` needs ``map_location`` to read what lay on the device after it is gone.
    """
    state = torch.Generator().manual_seed(1).get_state()
    seeds: list[int] = []
    load = torch.load

    def loading(*args: Any, map_location: Any = None, **kwargs: Any) -> Any:
        _location[:] = [map_location]
        return load(*args, map_location=map_location, **kwargs)

    monkeypatch.setattr(torch, "load", loading)
    torch.serialization.add_safe_globals([_read])
    with monkeypatch.context() as patch, _Functions(), _Dispatch():
        patch.setattr(torch.cuda, "is_available", lambda: True)
        patch.setattr(torch.cuda, "get_rng_state", lambda device=None: state)
        patch.setattr(torch.cuda, "set_rng_state", lambda new, device=None: None)
        patch.setattr(torch.cuda, "manual_seed_all", seeds.append)
        patch.setattr(torch.backends.cudnn, "is_acceptable", lambda tensor: False)
        patch.setattr(torch, "inference_mode", torch.no_grad)
        _present[:] = [True]
        yield seeds
    _present[:] = [False]
