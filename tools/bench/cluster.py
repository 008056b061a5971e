"""The grid on a dask cluster of this machine, against the same fits one after the other."""

from __future__ import annotations

import logging
import os
import pickle
import tempfile
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from dc2lib.datasets import write_cell
from dc2lib.training.executors import single_threaded
from dc2lib.training.fit import TUNED
from dc2lib.training.grid import run_grid
from dc2lib.training.grid_fits import Fit, fit_key
from dc2lib.training.grid_training import train_together
from tools.bench.harness import Row, Stage, Task, paired

WORKERS = (1, 2, 4)
FITS = 8
GENES = 6000
# dask lets workers return memory at once, and each step of training then asks for it again.
KEEP_MEMORY = {"MALLOC_TRIM_THRESHOLD_": str(2**30), "MALLOC_MMAP_THRESHOLD_": str(2**30)}


def grid_dask(task: Task) -> list[Row]:
    """Fits on 1, 2 and 4 dask workers of one thread each, against this process alone."""
    home = task.folder / "grid"
    chosen = np.linspace(0, len(task.dataset) - 1, min(GENES, len(task.dataset))).astype(int)
    write_cell(task.dataset.select(chosen), home)
    cell, recipe = task.dataset.cell, replace(TUNED, epochs=1)
    fits = [Fit("deepchrome_max", recipe, (cell,), cell, str(home), seed=seed)
            for seed in range(FITS)]
    sent, back = on_the_wire(fits[0], home)
    rows: list[Row] = []
    for workers in WORKERS:
        row = _on_workers(task, fits, workers)
        one = rows[0] if rows else row
        efficiency = row.ours / (workers * one.ours)
        overhead = 1000 * (workers / row.ours - 1 / row.plain)
        crowded = " (more workers than cores)" if workers > (os.cpu_count() or 1) else ""
        note = (f"{workers} workers{crowded}: {efficiency:.0%} of one worker's rate each;"
                f" {overhead:+.0f} ms of a worker's time a fit beside this process alone;"
                f" {sent} bytes sent and {back} back a fit")
        rows.append(replace(row, note=note))
    return rows


def on_the_wire(one: Fit, folder: Path) -> tuple[int, int]:
    """Bytes of one pickled job as the engine submits it, and of its result."""
    path = folder / "fits" / f"{fit_key(one)}.npz"
    job = (single_threaded, train_together, ([one], [path]), 0)
    return len(pickle.dumps(job)), len(pickle.dumps([None]))


def _on_workers(task: Task, fits: list[Fit], workers: int) -> Row:
    import dask
    from distributed import Client, LocalCluster

    def trained(few: list[Fit], executor: Executor | None = None) -> None:
        with tempfile.TemporaryDirectory(dir=task.folder) as folder:
            run_grid(few, folder, executor=executor, workers=1, progress=False)

    with (
        environment(**KEEP_MEMORY),
        dask.config.set({"distributed.worker.memory.terminate": False}),
        LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=":0",
                     silence_logs=logging.ERROR) as cluster,
        Client(cluster) as client,
    ):
        executor = client.get_executor()
        client.run(_ready)
        return paired(
            replace(task, threads=workers), "grid_dask", lambda: trained(fits, executor),
            lambda: trained(fits[:2]), work=len(fits), plain_work=2, unit="fits/s",
            pairs=min(task.pairs, 3),
        )


@contextmanager
def environment(**variables: str) -> Iterator[None]:
    """Set variables for a while, and undo whatever else is set meanwhile.

    A local cluster leaves what it sets for its workers in this process, from where every process
    that another stage starts would have it.
    """
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _ready() -> None:
    import dc2lib.training.grid_training  # noqa: F401


STAGES = (Stage("grid_dask", grid_dask),)
