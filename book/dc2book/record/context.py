"""Where a chapter's results go, and what the build says about its run."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

VERSIONED = ("dc2lib", "numpy", "pandas", "scipy", "scikit-learn", "matplotlib", "torch")


def run_context() -> dict[str, Any]:
    """Return what the build says about this run, or what the open notebook's parameters say."""
    path = results_path()
    if path is not None:
        return json.loads((path.parent / "run.json").read_text())
    return _notebook_context()


def data_folder() -> Path | None:
    """Return the folder for files a chapter leaves beside its page; None outside the build."""
    return output_folder("data")


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that results depend on."""
    found = {"python": ".".join(map(str, sys.version_info[:3]))}
    for package in VERSIONED:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def _notebook_context() -> dict[str, Any]:
    shell = notebook_shell()
    names = shell.user_ns if shell is not None else {}
    seeds = {
        k: v for k, v in names.items() if k.startswith("seed") and isinstance(v, int | str | list)
    }
    context = {"profile": names.get("profile", "by hand"), "seeds": seeds}
    if "data" not in names or not isinstance(names["data"], str):
        return context
    from dc2lib.datasets import resolve_source

    return {**context, "data_source": resolve_source(names["data"])}


def results_path() -> Path | None:
    named = os.environ.get("DC2LIB_RESULTS")
    return Path(named) if named else None


def output_folder(kind: str) -> Path | None:
    path = results_path()
    if path is None:
        return None
    folder = path.parent / kind
    folder.mkdir(exist_ok=True)
    return folder


def inputs_path() -> Path | None:
    path = results_path()
    if path is not None:
        return path.parent / "inputs.json"
    for folder in (Path.cwd(), *Path.cwd().parents):
        built = folder / "_build" / "results.json"
        if built.exists():
            return built
    return None


def notebook_shell() -> Any:
    if "IPython" not in sys.modules:
        return None
    from IPython import get_ipython

    return get_ipython()


def display_bundle(bundle: Mapping[str, Any], about: Mapping[str, Any]) -> None:
    if notebook_shell() is None:
        return
    from IPython.display import display

    display(dict(bundle), raw=True, metadata=dict(about))
