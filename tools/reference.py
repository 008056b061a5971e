"""Make the reference run: execute the chapters on the real cell types, keep what was recorded.

Usage: python -m tools.reference [--profile reference] [--jobs N] [--chapters NAMES] [--readme]

Writes ``book/reference/results.json`` and ``provenance.json`` and the README's table.  Chapters
that show the reference run themselves are left out of it.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from dc2book import claims, front_page
from dc2book.claims.reference import FOLDER, PROVENANCE, RESULTS, code_digest
from dc2book.record.recording import failed_findings
from dc2book.style import markdown_table

from dc2lib.files import atomic_write
from tools import build
from tools.build import Request
from tools.chapter import Job
from tools.chapters import find_chapters
from tools.children import stop_when_told
from tools.compare import recorded
from tools.errors import BuildError, exit_code
from tools.house import between_marks

KEPT_DIGITS = 7
BEGIN = "<!-- reference run: begin (written by tools/reference.py) -->"
END = "<!-- reference run: end -->"
RUN = ("date", "version", "commit", "profile", "cells", "code")
DROPPED = ("versions", "parameters", "fingerprint", "hash", "seeds", "profile")


def slim(row: Mapping[str, Any]) -> dict[str, Any]:
    """A recorded row without what is the same for the whole run, floats to seven digits."""
    return {key: float(f"{value:.{KEPT_DIGITS}g}")
            if isinstance(value, float) and math.isfinite(value) else value
            for key, value in row.items() if key not in DROPPED and value is not None}


def write_reference(
    rows: Iterable[Mapping[str, Any]], provenance: Mapping[str, Any], folder: Path
) -> None:
    """Write results and provenance, each to a temporary name first; BuildError without a row."""
    kept = [slim(row) for row in rows]
    if not kept:
        raise BuildError("the build recorded nothing, so there is no reference run")
    lines = ",\n".join(json.dumps(row, allow_nan=False, sort_keys=True) for row in kept)
    with atomic_write(folder / RESULTS) as unfinished:
        unfinished.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    about = json.dumps(dict(provenance), indent=1, sort_keys=True)
    with atomic_write(folder / PROVENANCE) as unfinished:
        unfinished.write_text(f"{about}\n", encoding="utf-8")


def provenance_of(jobs: Iterable[Job], profile: str, root: Path) -> dict[str, Any]:
    """What produced the run: cells, date, version, commit, and each chapter's hash and duration."""
    from dc2book.record import versions

    import dc2lib
    from dc2lib.datasets import list_cells

    chapters = {}
    for job in jobs:
        run = json.loads((job.target / "run.json").read_text(encoding="utf-8"))
        chapters[job.name] = {
            "hash": job.key[:16], "seconds": round(run["duration"], 1),
            "data_source": run.get("data_source"),
        }
    return {
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "version": dc2lib.__version__,
        "commit": _commit(root),
        "profile": profile,
        "data_source": "roadmap",
        "cells": list_cells(),
        "code": code_digest(root / "dc2lib"),
        "chapters": chapters,
        "versions": versions(),
    }


def with_earlier(
    rows: list[Mapping[str, Any]], provenance: Mapping[str, Any], names: Sequence[str], folder: Path
) -> tuple[list[Mapping[str, Any]], dict[str, Any]]:
    """Rows and provenance with those of the named chapters of the run that is there now.

    The provenance of a chapter that stays says which run it is of. BuildError if there is no
    earlier run, or it lacks one of the chapters.
    """
    earlier = claims.load_reference(folder)
    chapters = {} if earlier is None else earlier.provenance["chapters"]
    if lacking := sorted(set(names) - set(chapters)):
        raise BuildError(f"{folder}: no earlier run of {', '.join(lacking)}: run them too")
    if not names:
        return rows, dict(provenance)
    about = {key: earlier.provenance[key] for key in RUN}
    kept = {name: about | chapters[name] for name in names}
    old = json.loads((folder / RESULTS).read_text(encoding="utf-8"))
    return (
        [*rows, *(row for row in old if row["chapter"] in kept)],
        {**provenance, "chapters": kept | provenance["chapters"]},
    )


def make_reference(
    root: Path, profile: str, side_by_side: int, only: Sequence[str] = (), keep: Sequence[str] = ()
) -> int:
    """Execute the chapters on the real cell types and write the reference run; the exit code.

    With ``only`` these chapters are executed; of the others those in ``keep`` stay as they are in
    the run that is there, and the rest leaves the reference run.
    """
    source, prints = build.data_state("roadmap")
    jobs = build.plan_build(root, Request(profile, "roadmap"), source, prints)
    wanted = _without_readers(jobs, root)
    known = [job.name for job in wanted]
    if wrong := sorted({*only, *keep} - set(known)):
        raise BuildError(f"no chapter of the reference run: {', '.join(wrong)}; there are {known}")
    known = {job.name: job for job in wanted}
    wanted = [job for job in wanted if not only or job.name in only]
    print(f"{len(wanted)} chapters, profile {profile}, data {source}", flush=True)
    failed = build.run_jobs(_with_needed(wanted, known), side_by_side)
    if failed:
        print(f"{len(failed)} chapters failed: {', '.join(failed)}; nothing was written")
        return 1
    rows = [row for job in wanted for row in recorded(job.target)]
    every, provenance = with_earlier(
        rows, provenance_of(wanted, profile, root), keep, root / FOLDER
    )
    wrong = failed_findings(rows) + _front_page_findings(every)
    if wrong:
        print("\n".join([*wrong, "rewrite the sentences beside them; nothing was written"]))
        return 1
    write_reference(every, provenance, root / FOLDER)
    write_readme(root)
    print(f"{len(every)} results in {root / FOLDER}; `make book` shows them")
    return 0


def readme_block(root: Path) -> str:
    """The README's table of claims: verdicts of the reference run and where it comes from."""
    reference = claims.load_reference(root / FOLDER)
    if reference is None:
        return "No reference run has been made yet (`make reference`)."
    card = claims.scorecard(reference.results)
    about = reference.provenance
    return (
        f"{claims.verdict_counts(card)}; {reference.cells_text}, {about['date']}, version "
        f"{about['version']}, profile {about['profile']}.\n\n"
        f"{markdown_table(claims.summary_table(card))}"
    )


def _front_page_findings(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Sentences of the front page that these results contradict, a line each."""
    found = front_page.findings(pd.DataFrame(rows))
    return [f"index: finding {name} does not hold" for name, holds in found.items()
            if holds is False]


def write_readme(root: Path) -> None:
    """Put the table between its marks in the README."""
    path = root / "README.md"
    text = between_marks(path.read_text(encoding="utf-8"), BEGIN, END, readme_block(root))
    with atomic_write(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8")


def _with_needed(wanted: Iterable[Job], known: Mapping[str, Job]) -> list[Job]:
    """These jobs and those whose results they read, which are executed only where they are not."""
    names = [job.name for job in wanted]
    for name in names:
        names += [one for one in known[name].needs if one in known and one not in names]
    return [job for name, job in known.items() if name in names]


def _without_readers(jobs: Iterable[Job], root: Path) -> list[Job]:
    """Chapters that do not show the reference run, nor read one that does."""
    chapters = find_chapters(root)
    left_out: set[str] = set()
    for job in jobs:
        if "reference" in chapters[job.name].data or left_out & set(job.needs):
            left_out.add(job.name)
    return [job for job in jobs if job.name not in left_out]


def _commit(root: Path) -> str:
    ended = subprocess.run(
        ["git", "rev-parse", "--short=12", "HEAD"], cwd=root, capture_output=True, text=True,
        check=False,
    )
    return ended.stdout.strip() or "unknown"


def main() -> int:
    """Make the reference run that the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m tools.reference", description=__doc__)
    parser.add_argument("--profile", default="reference")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--chapters", nargs="+", default=[], metavar="NAME",
                        help="execute these; of the rest only --keep stays in the reference run")
    parser.add_argument("--keep", nargs="+", default=[], metavar="NAME",
                        help="with --chapters: chapters that stay as they are in the run of before")
    parser.add_argument("--readme", action="store_true", help="write the README's table only")
    options = parser.parse_args()
    stop_when_told()
    if options.readme:
        write_readme(build.ROOT)
        return 0
    return make_reference(build.ROOT, options.profile, options.jobs, options.chapters, options.keep)


if __name__ == "__main__":
    sys.exit(exit_code(main))
