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
    """What the build says about this run, or what the open notebook's parameters say."""
    path = results_path()
    if path is not None:
        return json.loads((path.parent / "run.json").read_text(encoding="utf-8"))
    names = getattr(notebook_shell(), "user_ns", {})
    seeds = {name: value for name, value in names.items()
             if name.startswith("seed") and isinstance(value, int | str | list)}
    named = f"{names['profile']}, " if "profile" in names else ""  # only the build sets its sizes
    context = {"profile": f"{named}by hand", "seeds": seeds}
    if isinstance(names.get("data"), str):
        from dc2lib.datasets import resolve_source

        context["data_source"] = resolve_source(names["data"])
    return context


@cache
def versions() -> dict[str, str]:
    """The versions of Python and of the packages that results depend on."""
    found = {"python": ".".join(map(str, sys.version_info[:3]))}
    for package in VERSIONED:
        with suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package)
    return found


def results_path() -> Path | None:
    """The file that recorded rows are appended to; None outside the build."""
    named = os.environ.get("DC2LIB_RESULTS")
    return Path(named) if named else None


def inputs_path() -> Path | None:
    """The file with the results of other chapters; None where there is none."""
    path = results_path()
    if path is not None:
        return path.parent / "inputs.json"
    return find_upwards(Path("_build") / "results.json")


def find_upwards(path: Path) -> Path | None:
    """The file of this relative path in this folder or the nearest above that holds it."""
    there = (one / path for one in (Path.cwd(), *Path.cwd().parents))
    return next((one for one in there if one.is_file()), None)


def notebook_shell() -> Any:
    """IPython's shell; None in plain Python."""
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

