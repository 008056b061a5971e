"""Train what is missing of a grid, on any engine."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path

import numpy as np
from tqdm import tqdm

from dc2lib.cache import read_kept
from dc2lib.datasets import check_alike, open_cell
from dc2lib.training.executors import outcomes
from dc2lib.training.grid_fits import (
    Fit,
    FitRecord,
    fit_path,
    read_record,
    train_together,
    without_test_cell,
)

SHOWN = 20


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
    progress: bool = True,
) -> list[FitRecord]:
    """Train the fits that are not on disk yet and return the records of all, in order.

    Raises GridError if fits failed, after all others are done; the message lists them with their
    parameters.  Raises DataError if a fit's cell types differ in marks, bins or unit.

    Parameters
    ----------
    fits
        Equal fits are trained once, and so are fits that differ in their test cell only: one
        training serves them, and each keeps the epoch that is the best for its test cell.
    folder
        Where the records are kept; default ``fits`` in the data folder. Workers of a cluster write
        there, so it must lie on a file system that they share, as must the store.
    executor, workers
        As for `dc2lib.training.executors.outcomes`. A training whose worker was killed is tried
        twice more.
    """
    opened = cache(open_cell)
    for cells, home in {((*one.train_cells, one.test_cell), one.home) for one in fits}:
        check_alike(opened(cell, home) for cell in dict.fromkeys(cells))
    paths = {one: fit_path(one, folder) for one in fits}
    kept = {one: _kept(one, path) for one, path in paths.items()}
    missing = [one for one, record in kept.items() if record is None]
    groups = trainings(missing)
    jobs = [(group, [paths[one] for one in group]) for group in groups]
    failures: dict[Fit, BaseException] = {}
    with tqdm(total=len(paths), initial=len(paths) - len(missing), disable=not progress) as bar:
        for number, errors, error in outcomes(
            train_together, jobs, executor=executor, workers=workers
        ):
            group = groups[number]
            bar.update(len(group))
            each = errors if error is None else [error] * len(group)
            failures |= {one: wrong for one, wrong in zip(group, each, strict=True) if wrong}
            if failures:
                bar.set_postfix(failed=len(failures))
    if failures:
        raise GridError(failures, len(paths))
    return [kept[one] or read_record(one, paths[one]) for one in fits]


def _kept(one: Fit, path: Path) -> FitRecord | None:
    """The record of a fit, if there is one; another's or a damaged one is removed, with a warning.

    The place of the store does not count: a store may be moved with its fits.
    """

    def parsed(content: io.BytesIO) -> FitRecord:
        with np.load(content) as arrays:
            whole = {name: arrays[name] for name in arrays.files}
        about, wanted = json.loads(str(whole["about"]))["fit"], json.loads(json.dumps(asdict(one)))
        if about | {"home": one.home} != wanted:
            raise ValueError("it is the record of another fit")
        if not all(np.isfinite(whole[name]).all() for name in whole if name != "about"):
            raise ValueError("not all logits and weights are numbers")
        content.seek(0)
        return replace(read_record(one, content), path=path)

    return read_kept(path, parsed, "trained", remove=True)


def trainings(fits: Sequence[Fit]) -> list[list[Fit]]:
    """The fits in groups that one training serves, those with the most cell types first."""
    groups: dict[Fit, list[Fit]] = {}
    for one in dict.fromkeys(fits):
        groups.setdefault(without_test_cell(one), []).append(one)
    return sorted(groups.values(), key=lambda group: -len(group[0].train_cells))
