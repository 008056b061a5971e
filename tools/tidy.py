"""List the kept results that nothing asks for any more; with --yes remove them.

The name of a kept result is a hash of what decides it, the library's code among it.  A fit says
what it is a fit of, so its name can be compared with that which this code would look for; whatever
else was neither read nor written (with ``noatime``: not written) for some days counts as older.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tabulate import tabulate

from dc2lib.datasets.store import usable_home
from dc2lib.training.fit import Recipe
from dc2lib.training.grid_fits import Fit, fit_path
from tools.errors import exit_code

ROOT = Path(__file__).resolve().parents[1]
KINDS = ("fits", "transfer", "related", "replicates", "histone_gans", "digits", "simulated")
# A hash with or without a word before and an ending after; or what a killed process left of it.
NAME = re.compile(r"\.?(?:\w+-)?[0-9a-f]{8,32}(?:\.[0-9a-f]{8}\.part)?(?:\.npz|\.pt|\.removed)?")
DAY_S = 24 * 60 * 60


@dataclass(frozen=True)
class CachedResult:
    """One kept result: a file or a folder, its size in bytes, and when it was last used."""

    kind: str
    path: Path
    size: int
    used: float


def cached_results(data: Path, build: Path) -> Iterator[CachedResult]:
    """What library and build have named in their folders, kind by kind; nothing behind a link."""
    for kind in KINDS:
        yield from _results_in(data / kind, kind)
    executed = build / "executed"
    for chapter in [] if executed.is_symlink() else sorted(executed.glob("*")):
        yield from _results_in(chapter, "executed chapters")
    yield from _results_in(build / "chapters", "pages of single chapters")


def _results_in(folder: Path, kind: str) -> Iterator[CachedResult]:
    if folder.is_symlink() or not folder.is_dir():
        return
    for path in sorted(folder.iterdir()):
        if NAME.fullmatch(path.name) and not path.is_symlink():
            parts = []
            for part in (path, *path.rglob("*")):
                with suppress(FileNotFoundError):  # a build removes it at this moment
                    parts.append(part.lstat())
            if not parts:
                continue
            size, used = sum(part.st_size for part in parts), max(map(_last_use, parts))
            yield CachedResult(kind, path, size, used)


def _last_use(about: os.stat_result) -> float:
    """When something was read or written; a folder is read by every listing, so written only."""
    return about.st_mtime if stat.S_ISDIR(about.st_mode) else max(about.st_atime, about.st_mtime)


def is_of_older_code(path: Path) -> bool:
    """Whether a kept fit has another name than the present code would give it.

    False where the file does not tell, or its cell types are not stored now.
    """
    recorded = _recorded_fit(path)
    if recorded is None:
        return False
    cells, recipe = recorded.pop("train_cells"), recorded.pop("recipe")
    try:
        fit = Fit(train_cells=tuple(cells), recipe=Recipe(**recipe), **recorded)
    except (TypeError, ValueError):
        return True
    try:
        return fit_path(fit).stem != path.stem
    except Exception:  # whatever a fit that tells nonsense makes its reader meet
        return False


def _recorded_fit(path: Path) -> dict[str, Any] | None:
    """What a file, whose times stay, says that it is a fit of; None where it does not say."""
    times = path.stat()
    try:
        with path.open("rb") as file, np.load(file) as arrays:
            recorded = json.loads(str(arrays["about"]))["fit"]
        return recorded if {"train_cells", "recipe"} <= set(recorded) else None
    except Exception:  # whatever a damaged file makes NumPy meet
        return None
    finally:
        with suppress(OSError):
            os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def remove(path: Path) -> None:
    """Remove a file or a folder; a folder disappears at once, even if this is stopped."""
    if not path.is_dir():
        path.unlink(missing_ok=True)
        return
    aside = path if path.suffix == ".removed" else path.with_name(f".{path.name}.removed")
    os.replace(path, aside)
    shutil.rmtree(aside)


def _is_unused(one: CachedResult, limit: float) -> bool:
    is_fit = one.kind == "fits" and not one.path.name.startswith(".")
    return one.used < limit or (is_fit and is_of_older_code(one.path))


def _size(kept: list[CachedResult]) -> str:
    number = sum(one.size for one in kept)
    return f"{number / 2**30:,.2f} GiB" if number >= 2**30 else f"{number / 2**20:,.1f} MiB"


def _table(every: list[CachedResult], unused: list[CachedResult]) -> str:
    rows = []
    for kind in dict.fromkeys(one.kind for one in every):
        mine, named = ([one for one in group if one.kind == kind] for group in (every, unused))
        share = f"{len(named):,} of {len(mine):,}"
        rows.append([f"  {kind}", share, f"{_size(named)} of {_size(mine)}"])
    rows.append(["  in all", "", f"{_size(unused)} of {_size(every)}"])
    return tabulate(rows, tablefmt="plain", colalign=("left", "right", "right"))


def main(arguments: list[str] | None = None) -> int:
    """List, and remove if that is asked for."""
    parser = argparse.ArgumentParser(prog="python -m tools.tidy", description=__doc__)
    parser.add_argument("--days", type=int, default=30, help="not used for so many; 0: all")
    parser.add_argument("--yes", action="store_true", help="remove them")
    options = parser.parse_args(arguments)
    if options.days < 0:
        parser.error("--days must be 0 or more")
    home, build = usable_home(), ROOT / "_build"
    found = list(cached_results(home, build))
    limit = time.time() - options.days * DAY_S
    unused = [one for one in found if not options.days or _is_unused(one, limit)]
    which = f"of older code or not used for {options.days} days" if options.days else "of any age"
    print(f"kept results {which}, in {home} and {build}:")
    print(_table(found, unused))
    if not unused:
        return 0
    if not options.yes:
        print("nothing was removed: add YES=1 for that, while no build runs; DAYS=0 takes them all")
        return 0
    for one in unused:
        remove(one.path)
    print(f"{len(unused):,} removed; what a build still needs it computes again")
    return 0


if __name__ == "__main__":
    sys.exit(exit_code(main))
