"""Train what is missing of a grid, on any engine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path

import torch
from tqdm import tqdm

from dc2lib.datasets import data_home
from dc2lib.training.executors import outcomes
from dc2lib.training.grid_fits import Fit, FitRecord, fit_key, read_record
from dc2lib.training.grid_training import alike, train_in_lockstep, train_together

SHOWN = 20
LOCKSTEP_ON_CUDA = 16


class GridError(RuntimeError):
    """Fits that failed after all others were done; ``failures`` maps each to its error."""

    def __init__(self, failures: Mapping[Fit, BaseException], n_fits: int) -> None:
        self.failures = dict(failures)
        shown = [f"  {one}: {error!r}" for one, error in list(failures.items())[:SHOWN]]
        if len(failures) > SHOWN:
            shown.append(f"  and {len(failures) - SHOWN} more")
        super().__init__(
            f"{len(failures)} of {n_fits} fits failed; the others are on disk, and running the"
            " grid again trains these only:\n" + "\n".join(shown)
        )


def run_grid(
    fits: Sequence[Fit],
    folder: Path | str | None = None,
    *,
    executor: Executor | None = None,
    workers: int | None = None,
    retries: int = 2,
    lockstep: int | None = None,
    progress: bool = True,
) -> list[FitRecord]:
    """Train the fits that are not on disk yet and return the records of all, in order.

    Parameters
    ----------
    fits
        Equal fits are trained once, and so are fits that differ in their test cell only: one
        training serves them, and each keeps the epoch that is the best for its test cell.
    folder
        Where the records are kept; default ``fits`` in the data folder. Workers of a cluster write
        there, so it must lie on a file system that they share, as must the store.
    executor
        Any `concurrent.futures.Executor`, such as ``client.get_executor()`` of dask.distributed;
        default: ``workers`` processes of one thread each, or this process if ``workers`` is 1.
    workers
        Default: the environment variable ``DC2LIB_WORKERS``, else 1.
    retries
        How often a training is tried again whose worker was killed.
    lockstep
        Models with the same recipe that are trained at once, as one batch of matrix products;
        default 16 if this process sees a CUDA device, where one small network leaves it idle, and
        1 otherwise: on a CPU, processes of one thread are faster.
    progress
        Show a bar over the fits.

    Raises
    ------
    GridError
        If fits failed, after all others are done; the message lists them with their parameters.
    """
    place = Path(folder) if folder is not None else data_home() / "fits"
    place.mkdir(parents=True, exist_ok=True)
    paths = {one: (place / f"{fit_key(one)}.npz").absolute() for one in fits}
    missing = [one for one, path in paths.items() if not path.exists()]
    failures: dict[Fit, BaseException] = {}
    with tqdm(total=len(paths), initial=len(paths) - len(missing), disable=not progress) as bar:
        for group, errors in _trained(missing, paths, executor, workers, retries, lockstep):
            bar.update(len(group))
            failures |= {one: error for one, error in zip(group, errors, strict=True) if error}
            if failures:
                bar.set_postfix(failed=len(failures))
    if failures:
        raise GridError(failures, len(paths))
    return [read_record(one, paths[one]) for one in fits]


def trainings(fits: Sequence[Fit]) -> list[list[Fit]]:
    """The fits in groups that one training serves, those with the most cell types first."""
    groups: dict[Fit, list[Fit]] = {}
    for one in dict.fromkeys(fits):
        groups.setdefault(alike(one), []).append(one)
    return sorted(groups.values(), key=lambda group: -len(group[0].train_cells))


def _trained(
    missing: Sequence[Fit],
    paths: Mapping[Fit, Path],
    executor: Executor | None,
    workers: int | None,
    retries: int,
    lockstep: int | None,
) -> Iterator[tuple[list[Fit], list[BaseException | None]]]:
    groups, together = trainings(missing), _lockstep(lockstep)
    if together > 1:
        yield from _trained_in_lockstep(groups, paths, executor, workers, retries, together)
        return
    jobs = [(group, [paths[one] for one in group]) for group in groups]
    results = outcomes(
        train_together, jobs, executor=executor, workers=workers, retries=retries
    )
    for number, errors, error in results:
        group = groups[number]
        yield group, errors if error is None else [error] * len(group)


def _trained_in_lockstep(
    groups: Sequence[list[Fit]],
    paths: Mapping[Fit, Path],
    executor: Executor | None,
    workers: int | None,
    retries: int,
    together: int,
) -> Iterator[tuple[list[Fit], list[BaseException | None]]]:
    alike_models: dict[tuple, list[list[Fit]]] = {}
    for group in groups:
        one = group[0]
        key = one.model, one.recipe, len(one.train_cells), one.n_train, one.each_gene_once
        alike_models.setdefault(key, []).append(group)
    bundles = [
        models[start : start + together]
        for models in alike_models.values()
        for start in range(0, len(models), together)
    ]
    jobs = [
        (bundle, [[paths[one] for one in group] for group in bundle]) for bundle in bundles
    ]
    results = outcomes(
        train_in_lockstep, jobs, executor=executor, workers=workers, retries=retries
    )
    for number, errors, error in results:
        fits = [one for group in bundles[number] for one in group]
        found = [error] * len(fits) if error is not None else [e for each in errors for e in each]
        yield fits, found


def _lockstep(asked: int | None) -> int:
    if asked is not None:
        return asked
    return LOCKSTEP_ON_CUDA if torch.cuda.is_available() else 1
