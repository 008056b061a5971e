"""Loops over arrays as machine code, where NumPy would walk through the same memory many times."""

from __future__ import annotations

from collections.abc import Callable


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
