"""Where a chapter's results go, and what the build says about its run."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

VERSIONED = ("dc2lib", "numpy", "pandas", "scipy", "scikit-learn", "matplotlib", "torch")


def run_context() -> dict[str, Any]:
    """Return what the build says about this run, or what the open notebook's parameters say."""
    path = results_path()
    if path is not None:
        return json.loads((path.parent / "run.json").read_text(encoding="utf-8"))
    shell = notebook_shell()
    names = {} if shell is None else shell.user_ns
    seeds = {
        name: value
        for name, value in names.items()
        if name.startswith("seed") and isinstance(value, int | str | list)
    }
    context = {"profile": names.get("profile", "by hand"), "seeds": seeds}
    if isinstance(names.get("data"), str):
        from dc2lib.datasets import resolve_source

        context["data_source"] = resolve_source(names["data"])
    return context


@cache
def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that results depend on."""
    found = {"python": ".".join(map(str, sys.version_info[:3]))}
    for package in VERSIONED:
        with suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package)
    return found


def results_path() -> Path | None:
    """Return the file that recorded rows are appended to; None outside the build."""
    named = os.environ.get("DC2LIB_RESULTS")
    return Path(named) if named else None


def figures_folder() -> Path | None:
    """Return the folder for files of figures and tables; None outside the build."""
    path = results_path()
    if path is None:
        return None
    folder = path.parent / "figures"
    folder.mkdir(exist_ok=True)
    return folder


def inputs_path() -> Path | None:
    """Return the file with the results of other chapters; None where there is none."""
    path = results_path()
    if path is not None:
        return path.parent / "inputs.json"
    return found_above(Path("_build") / "results.json")


def found_above(path: Path) -> Path | None:
    """Return the file of this relative path in this folder or the nearest above that holds it."""
    there = (one / path for one in (Path.cwd(), *Path.cwd().parents))
    return next((one for one in there if one.is_file()), None)


def notebook_shell() -> Any:
    """Return IPython's shell; None in plain Python."""
    if "IPython" not in sys.modules:
        return None
    from IPython import get_ipython

    return get_ipython()


def display_bundle(bundle: Mapping[str, Any], about: Mapping[str, Any] | None = None) -> None:
    """Show one output in a notebook, by MIME type; nothing in plain Python."""
    if notebook_shell() is None:
        return
    from IPython.display import display

    display(dict(bundle), raw=True, metadata=dict(about or {}))

