"""How seconds grow with the work: genes read, genes trained on, models evaluated, samples drawn."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import replace
from itertools import count

import numpy as np

from dc2lib.crosscell.transfer import evaluate_all
from dc2lib.datasets import HistoneDataset, read_csv_folder, write_cell
from dc2lib.datasets.simulated import write_released_csv
from dc2lib.labels import label
from dc2lib.models.deepchrome import build
from dc2lib.models.gan import build_histone_gan
from dc2lib.probing import monte_carlo_probe
from dc2lib.training.fit import TUNED, fit
from tools.bench.evaluation import untrained
from tools.bench.harness import Row, Stage, Task, seconds

SHARES = (1 / 4, 1 / 2, 1)
REPEATS = 3


def growth(task: Task) -> list[Row]:
    """Seconds at a quarter, half and the whole of the work, medians of three."""
    rows = []
    for name, make, whole, unit in (
        ("growth:csv_to_store", _reading, len(task.dataset), "genes"),
        ("growth:train_one", _training, len(task.dataset.take("train")), "genes"),
        ("growth:evaluate", _evaluating, 8, "models"),
        ("growth:probe", _probing, 32_768, "samples"),
    ):
        for share in SHARES:
            work = int(whole * share)
            run = make(task, work)
            run()
            taken = statistics.median(seconds(run) for _ in range(REPEATS))
            rows.append(Row(f"{name}:{share:g}", taken, None, None, "s", None, task.threads,
                            REPEATS, unit, work))
    return rows


def _reading(task: Task, n_genes: int) -> Callable[[], object]:
    folder = write_released_csv(_thinned(task.dataset, n_genes), task.folder / f"{n_genes}-genes")
    return lambda: write_cell(read_csv_folder(folder, cell="S001"), task.folder / "growth")


def _training(task: Task, n_genes: int) -> Callable[[], object]:
    train, valid = task.dataset.take("train"), task.dataset.take("valid").select(np.arange(64))
    train, recipe = train.select(np.arange(n_genes)), replace(TUNED, epochs=1)
    return lambda: fit(build("deepchrome_max"), train.counts, label(train), valid.counts,
                       np.arange(64) % 2, recipe=recipe, device="cpu")


def _evaluating(task: Task, n_models: int) -> Callable[[], object]:
    home = task.folder / "growth"
    write_cell(task.dataset, home)
    records, run = untrained(home, task.dataset, n_models), count()
    cell = task.dataset.cell
    return lambda: evaluate_all(records, cell, home / f"{n_models}-{next(run)}.npz")


def _probing(task: Task, n_samples: int) -> Callable[[], object]:
    generator, _ = build_histone_gan(0)
    classifier = build("deepchrome_max").eval()
    return lambda: monte_carlo_probe(generator.eval(), classifier, n_samples, 100, device="cpu")


def _thinned(dataset: HistoneDataset, n_genes: int) -> HistoneDataset:
    return dataset.select(np.linspace(0, len(dataset) - 1, n_genes).astype(int))


STAGES = (Stage("growth", growth),)
