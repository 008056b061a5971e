"""How far a computation has come, in a file that belongs to its settings.

Its path is the caller's, or of `dc2lib.cache.cache_path` where equal settings shall find it again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from dc2lib.errors import DataError
from dc2lib.files import atomic_write


def write_checkpoint(path: Path, settings: Mapping[str, Any], state: Mapping[str, Any]) -> None:
    """Keep a state, to be given back by `resume` under equal settings.

    Parameters
    ----------
    path
        A file that is there already is replaced by the whole new one.
    settings
        Plain values by name that decide the result.
    state
        Numbers, texts and tensors, in lists and dictionaries.
    """
    with atomic_write(path) as unfinished:
        torch.save({"settings": dict(settings), "state": dict(state)}, unfinished)


def resume(
    path: Path | None, settings: Mapping[str, Any], restore: Callable[[dict[str, Any]], None]
) -> None:
    """Call ``restore`` with the state that was written, its tensors on the CPU, if there is one.

    Raises
    ------
    DataError
        If the file cannot be read, belongs to other settings, or ``restore`` cannot take it.
    """
    if path is None or not path.exists():
        return
    try:
        saved = torch.load(path, map_location="cpu", weights_only=True)
        differing = _differing(saved["settings"], settings)
        if not differing:
            restore(saved["state"])
    except Exception as error:
        raise DataError(
            f"{path} is not a readable checkpoint of this run ({error}): name another checkpoint, "
            "or delete it to start anew"
        ) from error
    if differing:
        raise DataError(
            f"{path} belongs to another run ({'; '.join(differing)}): name another checkpoint, or "
            "delete it to start anew"
        )


def _differing(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """What of the settings differs, in words."""
    names = {**wanted, **found}
    return [
        f"{name} is {found.get(name)!r} there and {wanted.get(name)!r} here"
        for name in names
        if found.get(name) != wanted.get(name)
    ]
