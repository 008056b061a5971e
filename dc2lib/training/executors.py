"""Jobs on any executor: processes of this machine, a cluster, or one after the other.

A worker that dies takes its job with it; that job is tried again.
"""

from __future__ import annotations

import os
import sys
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    ProcessPoolExecutor,
    wait,
)
from multiprocessing import get_context
from typing import Any, NamedTuple

LOST = {"KilledWorker", "FutureCancelledError", "FuturesCancelledError", "CommClosedError"}


class Outcome(NamedTuple):
    """The number of a job, and its result or its error."""

    number: int
    result: Any = None
    error: BaseException | None = None


def outcomes(
    function: Callable[..., Any],
    jobs: Sequence[tuple],
    *,
    executor: Executor | None = None,
    workers: int | None = None,
    retries: int = 2,
) -> Iterator[Outcome]:
    """Call ``function(*job)`` for every job and yield each outcome as it comes.

    Parameters
    ----------
    function
        Importable by the workers.
    jobs
        Arguments of each call.
    executor
        Any `concurrent.futures.Executor`, which stays open; default ``workers`` processes of one
        thread each, or this process if ``workers`` is 1.
    workers
        Default: the environment variable ``DC2LIB_WORKERS``, else 1.
    retries
        How often a job is tried again whose worker died. An exception that the function raises is
        its outcome and is not tried again.
    """
    if executor is not None:
        yield from _on_given(executor, function, jobs, retries)
        return
    count = workers if workers is not None else int(os.environ.get("DC2LIB_WORKERS", "1"))
    if min(count, len(jobs)) <= 1:
        yield from (_here(function, jobs, number) for number in range(len(jobs)))
        return
    yield from _on_own_pools(min(count, len(jobs)), function, jobs, retries)


def single_threaded(function: Callable[..., Any], job: tuple, attempt: int) -> Any:
    """Call the function in a worker with one thread; many such workers beat one with many threads.

    ``attempt`` makes calls differ, so that a cluster does not answer a second try with the first.
    """
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)
    return function(*job)


def worker_lost(error: BaseException) -> bool:
    """Whether the error says that the worker died, and nothing about the job."""
    names = {kind.__name__ for kind in type(error).__mro__}
    return isinstance(error, BrokenExecutor | CancelledError) or bool(names & LOST)


def _here(function: Callable[..., Any], jobs: Sequence[tuple], number: int) -> Outcome:
    try:
        return Outcome(number, function(*jobs[number]))
    except Exception as error:
        return Outcome(number, error=error)


def _on_given(
    executor: Executor, function: Callable[..., Any], jobs: Sequence[tuple], retries: int
) -> Iterator[Outcome]:
    attempts: Counter[int] = Counter()
    waiting = {
        executor.submit(single_threaded, function, job, 0): number
        for number, job in enumerate(jobs)
    }
    while waiting:
        done, _ = wait(waiting, return_when=FIRST_COMPLETED)
        for future in done:
            number = waiting.pop(future)
            outcome = _outcome(number, future)
            again = None
            if outcome.error is not None and worker_lost(outcome.error):
                attempts[number] += 1
                if attempts[number] <= retries:
                    again = _submitted(executor, function, jobs[number], attempts[number])
            if again is None:
                yield outcome
            else:
                waiting[again] = number


def _submitted(
    executor: Executor, function: Callable[..., Any], job: tuple, attempt: int
) -> Future | None:
    """The job submitted once more, or None if the executor takes none."""
    try:
        return executor.submit(single_threaded, function, job, attempt)
    except RuntimeError:
        return None


def _on_own_pools(
    workers: int, function: Callable[..., Any], jobs: Sequence[tuple], retries: int
) -> Iterator[Outcome]:
    """A pool breaks as a whole; the jobs under way are then tried alone, to see whose fault it was.

    No more jobs are submitted than there are workers, so it is known which were under way.
    """
    queue, suspects = deque(range(len(jobs))), []
    while queue:
        suspects += yield from _one_pool(workers, function, jobs, queue)
    for number in suspects:
        yield from _alone(function, jobs, number, retries)


def _one_pool(
    workers: int, function: Callable[..., Any], jobs: Sequence[tuple], queue: deque[int]
) -> Iterator[Outcome]:
    """Work through the queue until it is empty or the pool breaks; return the jobs it broke on."""
    waiting: dict[Future, int] = {}
    lost: list[int] = []
    with _pool(workers) as pool:
        while waiting or (queue and not lost):
            while queue and len(waiting) < workers and not lost:
                number = queue.popleft()
                again = _submitted(pool, function, jobs[number], 0)
                if again is None:
                    queue.appendleft(number)
                    break
                waiting[again] = number
            if not waiting:
                break
            done, _ = wait(waiting, return_when=FIRST_COMPLETED)
            for future in done:
                outcome = _outcome(waiting.pop(future), future)
                if outcome.error is not None and worker_lost(outcome.error):
                    lost.append(outcome.number)
                else:
                    yield outcome
    return lost


def _alone(
    function: Callable[..., Any], jobs: Sequence[tuple], number: int, retries: int
) -> Iterator[Outcome]:
    outcome = Outcome(number)
    for attempt in range(max(retries, 1)):
        with _pool(1) as pool:
            future = pool.submit(single_threaded, function, jobs[number], attempt)
            outcome = _outcome(number, future)
        if outcome.error is None or not worker_lost(outcome.error):
            break
    yield outcome


def _pool(workers: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(workers, get_context("spawn"))


def _outcome(number: int, future: Future) -> Outcome:
    try:
        return Outcome(number, future.result())
    except (Exception, CancelledError) as error:
        return Outcome(number, error=error)
