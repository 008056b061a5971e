"""Jobs on any executor: processes of this machine, a cluster, or one after the other.

A worker that dies takes its job with it; that job is tried again.

>>> [outcome.result for outcome in outcomes(round, [(1.7,), (2.2,)])]
[2, 2]
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    wait,
)
from contextlib import suppress
from multiprocessing import connection, get_context, parent_process
from typing import Any, NamedTuple

from dc2lib.errors import DataError

RETRIES = 2
# As dask.distributed calls it; it need not be installed.
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
) -> Iterator[Outcome]:
    """Call ``function(*job)`` for every job and yield each outcome as it comes.

    A job whose worker died is tried again, `RETRIES` times; one whose function raises is not.

    Parameters
    ----------
    function
        Importable by the workers.
    jobs
        Arguments of each call.
    executor
        Any `concurrent.futures.Executor`, such as ``client.get_executor()`` of dask.distributed,
        which stays open; default ``workers`` processes of one thread each, or this process if
        ``workers`` is 1.
    workers
        Default: the environment variable ``DC2LIB_WORKERS``, else 1.
    """
    given = os.environ.get("DC2LIB_WORKERS", "1") if workers is None else str(workers)
    if not given.isdecimal() or int(given) < 1:
        raise DataError(f"DC2LIB_WORKERS, or workers, is {given!r}: expected a number from 1 up.")
    count = int(given)
    if executor is not None:
        yield from _submitted(executor, function, jobs)
    elif min(count, len(jobs)) > 1:
        with Processes(min(count, len(jobs))) as processes:
            yield from _submitted(processes, function, jobs)
    else:
        for number, job in enumerate(jobs):
            yield _outcome(number, function, *job)


def single_threaded(function: Callable[..., Any], job: tuple, attempt: int) -> Any:
    """Call the function in a worker with one thread; many such workers beat one with many threads.

    ``attempt`` makes calls differ, so that a cluster does not answer a second try with the first.
    """
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)
    return function(*job)


class Processes(Executor):
    """Processes of this machine, started anew; one that dies loses its own job and no other.

    A `ProcessPoolExecutor` breaks as a whole, so here each process has one of its own, and a thread
    that waits for it.
    """

    def __init__(self, workers: int) -> None:
        self._threads = ThreadPoolExecutor(workers)
        self._of_thread = threading.local()
        self._pools: list[ProcessPoolExecutor] = []

    def submit(self, function: Callable[..., Any], /, *args: Any) -> Future:
        """As every executor does."""
        return self._threads.submit(self._call, function, args)

    def _call(self, function: Callable[..., Any], args: tuple) -> Any:
        pool = getattr(self._of_thread, "pool", None)
        if pool is None:
            pool = self._of_thread.pool = ProcessPoolExecutor(
                1, get_context("spawn"), initializer=end_with_parent
            )
            self._pools.append(pool)
        try:
            return pool.submit(function, *args).result()
        except BrokenExecutor:
            self._of_thread.pool = None
            raise

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = True) -> None:
        """End the processes once they have done what they are doing."""
        self._threads.shutdown(wait, cancel_futures=cancel_futures)
        for pool in self._pools:
            pool.shutdown(wait)


def end_with_parent() -> None:
    """In a worker: end at once when the process that started it has ended, however it ended."""
    parent = parent_process()

    def watch() -> None:
        connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def worker_lost(error: BaseException | None) -> bool:
    """Whether an error says that the worker died, and nothing about the job."""
    names = {kind.__name__ for kind in type(error).__mro__}
    return isinstance(error, BrokenExecutor | CancelledError) or bool(names & LOST)


def _submitted(
    executor: Executor, function: Callable[..., Any], jobs: Sequence[tuple]
) -> Iterator[Outcome]:
    attempts = [0] * len(jobs)
    waiting = {
        executor.submit(single_threaded, function, job, 0): number
        for number, job in enumerate(jobs)
    }
    while waiting:
        done, _ = wait(waiting, return_when=FIRST_COMPLETED)
        for future in done:
            number = waiting.pop(future)
            outcome, again = _outcome(number, future.result), None
            if worker_lost(outcome.error) and attempts[number] < RETRIES:
                attempts[number] += 1
                with suppress(RuntimeError):  # an executor that takes no more jobs
                    again = executor.submit(
                        single_threaded, function, jobs[number], attempts[number]
                    )
            if again is None:
                yield outcome
            else:
                waiting[again] = number


def _outcome(number: int, result: Callable[..., Any], *arguments: Any) -> Outcome:
    try:
        return Outcome(number, result(*arguments))
    except (Exception, CancelledError) as error:
        return Outcome(number, error=error)
