"""Arrays that are computed once and kept on disk under a hash of what decides them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dc2lib.cache import code_digest
from dc2lib.datasets import data_home
from dc2lib.files import replacing


def kept(
    name: str,
    settings: Mapping[str, Any],
    module: str,
    compute: Callable[[], Mapping[str, np.ndarray | float]],
    folder: Path | str | None = None,
) -> dict[str, np.ndarray]:
    """What ``compute()`` gives, read from disk if it was computed before.

    Parameters
    ----------
    name
        First part of the file's name.
    settings
        Plain values that decide the result, such as the data's fingerprint.
    module
        Full name of the module that computes; its code and what it imports decide it too.
    folder
        Default ``related`` in the data folder.
    """
    text = json.dumps([dict(settings), code_digest(module)], sort_keys=True)
    place = data_home() / "related" if folder is None else Path(folder)
    path = place / f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:24]}.npz"
    if not path.exists():
        found = {key: np.asarray(value) for key, value in compute().items()}
        with replacing(path) as temporary:
            np.savez(temporary, **found)
    with np.load(path) as arrays:
        return {key: arrays[key] for key in arrays.files}
