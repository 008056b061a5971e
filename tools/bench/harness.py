"""What every benchmark shares: a task, paired timing, the machine's limit, a row of the table.

Ours and the plain way run in turn, in one process, on the same data; a row quotes medians and the
median of the ratios pair by pair, so that a machine whose speed drifts does not decide.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from dc2lib.datasets import HistoneDataset


@dataclass(frozen=True)
class Task:
    """What a stage is given: simulated genes, a folder to write in, pairs to run, threads set."""

    dataset: HistoneDataset
    folder: Path
    pairs: int
    threads: int


@dataclass(frozen=True)
class Row:
    """One stage: medians of both ways, how much faster ours is, and its share of what is possible.

    ``ours`` and ``plain`` are rates in ``unit`` (more is better), or seconds where the unit is
    ``s``; None where there is no such way, or it was not measured. ``share_of_limit`` is ours over
    the rate that the machine's matrix product allows, where that is the limit. ``note`` says what
    the row does not measure, or what bounds it; ``work`` is how much was done, in rows that show
    how seconds grow with it. ``ratio_low`` and ``ratio_high`` are the lowest and the highest ratio
    of a pair, None where there are no pairs.
    """

    name: str
    ours: float | None
    plain: float | None
    ratio: float | None
    unit: str
    share_of_limit: float | None
    threads: int
    pairs: int
    note: str = ""
    work: float | None = None
    ratio_low: float | None = None
    ratio_high: float | None = None


@dataclass(frozen=True)
class Stage:
    """A named measurement, and the numbers of threads it is made with.

    A module of this folder lists its stages in ``STAGES``; ``python -m tools.bench`` finds them.
    """

    name: str
    measure: Callable[[Task], Row | list[Row]]
    threads: tuple[int, ...] = (1,)


def paired(
    task: Task,
    name: str,
    ours: Callable[[], object],
    plain: Callable[[], object],
    *,
    work: float,
    unit: str,
    plain_work: float | None = None,
    pairs: int | None = None,
    limit: float | None = None,
    note: str = "",
) -> Row:
    """Run both ways in turn after a warm-up of each.

    Parameters
    ----------
    ours, plain
        One run of each way.
    work, plain_work
        Units done by one run; the plain way may do a part of the work (default the same).
    pairs
        In place of the task's, for stages that take long.
    limit
        Units a second that the machine allows.
    """
    pairs, plain_work = pairs or task.pairs, plain_work or work
    ours()
    times = [(seconds(ours) / work, seconds(plain) / plain_work) for _ in range(pairs)]
    rates = [statistics.median(1 / one[side] for one in times) for side in (0, 1)]
    ratios = [slow / fast for fast, slow in times]
    share = None if limit is None else rates[0] / limit
    return Row(name, *rates, statistics.median(ratios), unit, share, task.threads, pairs, note,
               ratio_low=min(ratios), ratio_high=max(ratios))


def seconds(run: Callable[[], object]) -> float:
    """Wall time of one run."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def product_rate(size: int = 1024) -> float:
    """Multiply-adds a second of a large matrix product, now, with the threads that are set."""
    a = torch.rand(size, size)
    a @ a
    return size**3 / min(seconds(lambda: a @ a) for _ in range(5))


def faster_threads(run: Callable[[], object], most: int) -> int:
    """Threads, 1 or ``most``, with which ``run`` is the faster just now; ``most`` are set then.

    Several threads of one process can be far slower than one where the machine is busy.
    """
    taken = {}
    for threads in {1, most}:
        torch.set_num_threads(threads)
        taken[threads] = seconds(run)
    torch.set_num_threads(most)
    return min(taken, key=taken.__getitem__)
