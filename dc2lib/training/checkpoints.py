"""How far a computation has come, in a file that belongs to its settings."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from dc2lib.cache import code_digest
from dc2lib.errors import DataError
from dc2lib.files import data_home, replacing


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
    with replacing(path) as unfinished:
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


def checkpoint_path(
    name: str, settings: Mapping[str, Any], module: str, home: Path | str | None = None
) -> Path:
    """Where what was trained is kept: in the data folder, by a hash of what decides it.

    Parameters
    ----------
    name
        Folder and first part of the file's name.
    settings
        What decides the result.
    module
        Full name of the module that trains; its code and what it imports decide too (see
        `dc2lib.cache`).
    home
        In place of the data folder.
    """
    content = json.dumps([dict(settings), code_digest(module)], sort_keys=True, default=str)
    key = hashlib.sha256(content.encode()).hexdigest()[:20]
    return (data_home() if home is None else Path(home)) / f"{name}-{key}.pt"


def _differing(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """What of the settings differs, in words."""
    names = {**wanted, **found}
    return [
        f"{name} is {found.get(name)!r} there and {wanted.get(name)!r} here"
        for name in names
        if found.get(name) != wanted.get(name)
    ]
