"""List the kept results that nothing asks for any more; with --yes remove them.

The name of a kept result is a hash of what decides it, the library's code among it.  A fit, the
largest kind by far, says what it is a fit of, so its name can be compared with what the code of
this folder would look for; whatever else was neither read nor written for some days is taken to
be of older code.  A file system that notes no reads (``noatime``) leaves the time of writing.
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
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from dc2lib.datasets import data_home
from dc2lib.training.fit import Recipe
from dc2lib.training.grid_fits import Fit, fit_key

ROOT = Path(__file__).resolve().parents[1]
KINDS = ("fits", "transfer", "related", "replicates", "histone_gans", "digits", "simulated")
# A hash with or without a word before and an ending after; or what a killed process left of it.
NAME = re.compile(r"\.?(?:\w+-)?[0-9a-f]{8,32}(?:\.[0-9a-f]{8}\.part)?(?:\.npz|\.pt|\.removed)?")
DAY_S = 24 * 60 * 60


@dataclass(frozen=True)
class Kept:
    """One kept result: a file or a folder, its size in bytes, and when it was last used."""

    kind: str
    path: Path
    size: int
    used: float


def kept_results(data: Path, build: Path) -> Iterator[Kept]:
    """What is kept in a data folder and in a folder of builds, kind by kind.

    Only what the library and the build name is found there: no stored cell type, no download,
    nothing with another name, and nothing behind a link.
    """
    for kind in KINDS:
        yield from _kept_in(data / kind, kind)
    for chapter in _entries(build / "executed"):
        yield from _kept_in(Path(chapter), "executed chapters")
    yield from _kept_in(build / "chapters", "pages of single chapters")


def is_of_older_code(path: Path) -> bool:
    """Whether a kept fit has another name than the present code would give it.

    False where that cannot be known: the file does not tell, or its cell types are not stored now.
    The file's times stay as they are.
    """
    told = _told_by(path)
    if told is None:
        return False
    cells, recipe = told.pop("train_cells"), told.pop("recipe")
    try:
        fit = Fit(train_cells=tuple(cells), recipe=Recipe(**recipe), **told)
    except TypeError:
        return True
    try:
        return fit_key(fit) != path.stem
    except (OSError, ValueError, KeyError):
        return False


def _told_by(path: Path) -> dict[str, Any] | None:
    """What a file says that it is a fit of; None where it does not say."""
    times = path.stat()
    try:
        with path.open("rb") as file, np.load(file) as arrays:
            told = json.loads(str(arrays["about"]))["fit"]
        return told if {"train_cells", "recipe"} <= set(told) else None
    except (OSError, ValueError, KeyError, TypeError, EOFError, zlib.error, BadZipFile):
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


def _kept_in(folder: Path, kind: str) -> Iterator[Kept]:
    for entry in _entries(folder):
        if not entry.is_symlink() and NAME.fullmatch(entry.name):
            parts = [part.stat(follow_symlinks=False) for part in (entry, *_below(entry))]
            size, used = sum(part.st_size for part in parts), max(map(_last_use, parts))
            yield Kept(kind, Path(entry.path), size, used)


def _below(entry: os.DirEntry[str]) -> Iterator[os.DirEntry[str]]:
    if entry.is_dir(follow_symlinks=False):
        for part in _entries(entry.path):
            yield part
            yield from _below(part)


def _last_use(about: os.stat_result) -> float:
    """When something was read or written; a folder is read by every listing, so written only."""
    return about.st_mtime if stat.S_ISDIR(about.st_mode) else max(about.st_atime, about.st_mtime)


def _entries(folder: str | Path) -> list[os.DirEntry[str]]:
    """What lies in a folder, by name; nothing where it is missing or a link."""
    if os.path.islink(folder) or not os.path.isdir(folder):
        return []
    with os.scandir(folder) as found:
        return sorted(found, key=lambda entry: entry.name)


def _is_unused(one: Kept, limit: float) -> bool:
    is_fit = one.kind == "fits" and not one.path.name.startswith(".")
    return one.used < limit or (is_fit and is_of_older_code(one.path))


def _size(kept: list[Kept]) -> str:
    number = sum(one.size for one in kept)
    return f"{number / 2**30:,.2f} GiB" if number >= 2**30 else f"{number / 2**20:,.1f} MiB"


def _table(found: list[Kept], unused: list[Kept]) -> list[str]:
    lines = []
    for kind, group in groupby(found, key=lambda one: one.kind):
        every, named = list(group), [one for one in unused if one.kind == kind]
        share = f"{len(named):,} of {len(every):,}"
        lines.append(f"  {kind:<24} {share:>16} {_size(named):>12} of {_size(every)}")
    return lines


def main(arguments: list[str] | None = None) -> int:
    """List, and remove if that is asked for."""
    parser = argparse.ArgumentParser(prog="python -m tools.tidy", description=__doc__)
    parser.add_argument("--days", type=int, default=30, help="not used for so many; 0: all")
    parser.add_argument("--yes", action="store_true", help="remove them")
    options = parser.parse_args(arguments)
    if options.days < 0:
        parser.error("--days must be 0 or more")
    home, build = data_home(), ROOT / "_build"
    found = list(kept_results(home, build))
    limit = time.time() - options.days * DAY_S
    unused = [one for one in found if not options.days or _is_unused(one, limit)]
    which = f"of older code or not used for {options.days} days" if options.days else "of any age"
    print(f"kept results {which}, in {home} and {build}:")
    print("\n".join([*_table(found, unused), f"  {_size(unused)} of {_size(found)} in all"]))
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
    sys.exit(main())
