"""Rehearse the full day (``make rehearsal``): what a reader runs, killed in the middle, goes on.

Simulated cell types, under the names and genes of Roadmap's, are written as the released archive
and its expression table and served from this machine.  A copy of this checkout takes them by
``make data`` and builds by ``make book``; each is ended by SIGKILL half-way and given again.
Another copy does the same undisturbed, and both must agree.  What it took goes to
``_build/scale.json``; the copies stay in ``_build/rehearsal`` and finished work is not repeated.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import psutil

from dc2lib.datasets import list_cells, open_cell, published
from dc2lib.datasets.histone import median_text
from dc2lib.datasets.released import write_released_csv
from dc2lib.datasets.roadmap import ARCHIVE, RPKM
from dc2lib.datasets.rpkm import write_rpkm_table
from dc2lib.datasets.simulated import iter_cells
from dc2lib.datasets.simulated.study import gene_ids
from dc2lib.files import atomic_write
from dc2lib.labels import label
from tools.bench import MIB, SCALE, _bytes, _now, _read, _write, machine
from tools.children import stop_when_told
from tools.compare import compare, read_run
from tools.errors import BuildError, exit_code

ROOT = Path(__file__).resolve().parents[1]
RUNS = ("undisturbed", "killed")
TIMED = r"(?:^|_)(?:seconds?|minutes)(?:_|$)"  # names of results that no two runs share
LOOK_S, HALF = 0.2, 6  # seconds between looks; chapters of the book
VARIABLE = re.compile(r"^(\w+) \?=", re.MULTILINE)  # make hands those of its command on


def write_archive(folder: Path, n_cells: int, n_genes: int) -> Path:
    """Write the archive and the expression table, of all genes, and return their folder."""
    target = folder / "roadmap"
    target.mkdir(parents=True, exist_ok=True)
    real = published.gene_order()["gene_id"].unique().astype(str)
    every = np.append(real, gene_ids(max(0, n_genes - len(real))))
    genes = every[np.linspace(0, len(every) - 1, n_genes).astype(int)]
    nearest = np.linspace(0, n_genes - 1, len(every)).round().astype(int)
    names, table = published.label_audit().index, {}
    with (
        atomic_write(target / ARCHIVE.name) as unfinished,
        tarfile.open(unfinished, "w:gz", compresslevel=1) as archive,
    ):
        for name, (dataset, _) in zip(names, iter_cells(n_cells, n_genes), strict=False):
            rpkm, text = dataset.rpkm[nearest], dataset.rpkm_text[nearest]
            table[name] = SimpleNamespace(gene_id=every, rpkm=rpkm, rpkm_text=text)
            dataset = replace(dataset, cell=name, gene_id=genes,
                              rpkm_median_text=median_text(rpkm, text))
            dataset = replace(dataset, released_label=label(dataset, "lexicographic"))
            csv = write_released_csv(dataset, folder / "csv")
            archive.add(csv, f"data/{name}")
            shutil.rmtree(csv)
    write_rpkm_table(table, target / RPKM.name)
    return folder


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address at which this machine serves a folder to itself, on any free port."""

    quiet = type("Quiet", (SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    handler = partial(quiet, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def copy_checkout(to: Path) -> Path:
    """What git tracks or would track, with a link to this environment; code that changed is new."""
    named = subprocess.run(["git", "ls-files", "-z", "-co", "--exclude-standard"], cwd=ROOT,
                           capture_output=True, text=True, check=True).stdout.split("\0")
    for name in filter(None, named):
        if (ROOT / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, to / name)
    with suppress(FileExistsError):
        (to / ".venv").symlink_to(ROOT / ".venv")
    return to


def run_make(
    words: Sequence[str], home: Path, killed_when: Callable[[], bool] | None = None
) -> tuple[float, float, int]:
    """Seconds of one ``make`` in a copy, MiB of the largest of its processes, and its exit status.

    With ``killed_when`` all its processes get SIGKILL when that says so; BuildError if it fails.
    """
    named = {"MAKEFLAGS", "MFLAGS", "MAKELEVEL", *VARIABLE.findall((ROOT / "Makefile").read_text())}
    environment = {name: value for name, value in os.environ.items() if name not in named}
    start, peak = time.perf_counter(), 0
    with (home / "log").open("a", encoding="utf-8") as log:
        # Not env: the environment is that of this checkout, and would be made the copy's.
        process = subprocess.Popen(["make", "-o", "env", *words], cwd=home / "checkout", stdout=log,
                                   stderr=log, env=environment | {
                                       "DC2LIB_DATA": str(home / "data")})
        while process.poll() is None:
            enough = killed_when is not None and killed_when()
            with suppress(psutil.NoSuchProcess):
                make = psutil.Process(process.pid)
                for one in [make, *make.children(recursive=True)]:
                    peak = max(peak, one.memory_info().rss)
                    if enough:
                        one.kill()
            time.sleep(LOOK_S)
    if process.returncode not in ({0, -signal.SIGKILL} if killed_when else {0}):
        raise BuildError(f"make {' '.join(words)}: exit {process.returncode}, see {home / 'log'}")
    return time.perf_counter() - start, peak / MIB, process.returncode


def rehearse(folder: Path, n_cells: int, n_genes: int, book: Sequence[str]) -> Iterator[dict]:
    """Both runs; a row when each of their steps ends: piece, cells, genes, seconds, peak_mib, ...

    ``book`` are the words for make that build.  BuildError, after the last row, if the runs differ.
    """
    mirror = folder / "mirror"
    if not (mirror / "roadmap" / RPKM.name).exists():
        write_archive(mirror, n_cells, n_genes)
    for run in RUNS:
        home = folder / run
        checkout, here = copy_checkout(home / "checkout"), machine()

        def half_stored(home: Path = home) -> bool:
            return len(list_cells(home / "data")) >= n_cells // 2

        def half_built(executed: Path = checkout / "_build" / "executed") -> bool:
            done = len([*executed.glob("*/[0-9a-f]*/run.json")])
            begun = any(executed.glob("*/.*.part/run.json"))
            return begun and (done >= HALF or book[0] != "book")

        with served(mirror) as address:
            steps = ("make data", ["data", f"MIRROR={address}"], half_stored), (
                "make book", book, half_built)
            for piece, words, halfway in steps:
                tries = [run_make(words, home, halfway)] if run == "killed" else []
                taken, peaks, ends = zip(*tries, run_make(words, home), strict=True)
                print(f"{run} {piece}: {sum(taken):.0f} s, {max(peaks):,.0f} MiB", flush=True)
                yield {
                    "piece": piece, "run": run, "cells": n_cells, "genes": n_genes, "part": 0,
                    "kills": sum(end != 0 for end in ends), "seconds": sum(taken),
                    "peak_mib": max(peaks), "load": here["load"], "processor": here["processor"],
                    "disk_mib": _bytes(home / "data", "*") / MIB,
                    "fits": len([*(home / "data").glob("fits/*.npz")]), "date": _now()}
    _agree(*(folder / run for run in RUNS))


def _agree(one: Path, other: Path) -> None:
    """Raise BuildError if two runs stored other cell types or recorded other results."""
    stored = [{cell: open_cell(cell, home / "data").fingerprint
               for cell in list_cells(home / "data")} for home in (one, other)]
    results = [[row for file in _newest(home / "checkout" / "_build") for row in read_run(file)]
               for home in (one, other)]
    table = compare(*results)
    timed = table["key"].str.contains(TIMED)
    differ = table[~timed & (table["A"].astype(str) != table["B"].astype(str))]
    if stored[0] != stored[1] or len(differ):
        raise BuildError(f"the runs differ: {len(differ)} of {len(table)} results\n{differ.head()}")
    print(f"both runs agree: {len(stored[0])} cell types, {len(table) - timed.sum()} results")


def _newest(build: Path) -> list[Path]:
    """Results of the last execution of each chapter: those of earlier code lie beside it."""
    chapters = sorted(build.glob("executed/*"))
    executions = [list(chapter.glob("[0-9a-f]*/results.jsonl")) for chapter in chapters]
    return [max(files, key=lambda file: file.stat().st_mtime_ns) for files in executions if files]


def main() -> None:
    """Rehearse with the cell types, genes and profile that are named, and keep the rows."""
    parser = argparse.ArgumentParser(prog="python -m tools.rehearsal", description=__doc__)
    parser.add_argument("--cells", type=int, default=56)
    parser.add_argument("--genes", type=int, default=19_802)
    parser.add_argument("--profile", default="quick")
    parser.add_argument("--chapter", help="build this one alone")
    stop_when_told(with_children=True)
    options = parser.parse_args()
    what = ["chapter", f"NAME={options.chapter}"] if options.chapter else ["book"]
    folder = ROOT / "_build" / "rehearsal" / f"{options.cells}x{options.genes}"
    kept = _read(SCALE, {"about": machine() | {"genes": options.genes, "date": _now()}, "rows": []})
    rows: list[dict] = []
    for row in rehearse(folder, options.cells, options.genes,
                        [*what, f"PROFILE={options.profile}"]):
        rows.append(row)  # kept at once: the next step takes an hour
        pieces = {one["piece"] for one in rows}
        others = [one for one in kept["rows"] if one["piece"] not in pieces]
        _write(SCALE, kept | {"rows": others + rows})
    if not options.chapter:
        run_make(["check"], folder / RUNS[0])


if __name__ == "__main__":
    sys.exit(exit_code(main))
