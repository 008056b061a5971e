"""Reading and opening data, and the bootstrap of an AUROC."""

from __future__ import annotations

import csv
import hashlib
from dataclasses import replace

import numpy as np
from sklearn.metrics import roc_auc_score

from dc2lib.datasets import open_cell, read_csv_folder, write_cell
from dc2lib.datasets.simulated import write_released_csv
from dc2lib.evaluation.statistics import bootstrap_auroc
from dc2lib.labels import label
from tools.bench.harness import Row, Stage, Task, paired, seconds

FIELDS = ("gene", "bin", "H3K27me3", "H3K36me3", "H3K4me1", "H3K4me3", "H3K9me3", "label")


def csv_to_store(task: Task) -> Row:
    """Released CSV files to the store, against reading their rows with ``csv.DictReader``."""
    source = write_released_csv(task.dataset, task.folder / "csv")
    files = sorted(source.rglob("*.csv"))

    def plain() -> None:
        for path in files:
            with path.open(newline="") as file:
                for row in csv.DictReader(file, FIELDS):
                    [int(row[mark]) for mark in task.dataset.marks]

    def ours() -> None:
        write_cell(read_csv_folder(source, cell="S001"), task.folder / "store")

    counts = np.ascontiguousarray(task.dataset.counts)
    row = paired(task, "csv_to_store", ours, plain, work=len(task.dataset) * 100, unit="rows/s")
    hashing = 2 * seconds(lambda: hashlib.sha256(counts).digest())
    whole = len(task.dataset) * 100 / row.ours
    return replace(row, note=f"SHA-256 over the counts, for content and file, takes "
                   f"{hashing:.3f} s of processor time beside {whole:.3f} s in all")


def store_open(task: Task) -> Row:
    """Opening a stored cell type, against loading its counts from a compressed NumPy file."""
    write_cell(task.dataset, task.folder / "store")
    compressed = task.folder / "plain.npz"
    np.savez_compressed(compressed, counts=task.dataset.counts)

    def plain() -> None:
        with np.load(compressed) as arrays:
            arrays["counts"]

    first = seconds(lambda: open_cell("S001", task.folder / "store")) / 3
    row = paired(task, "store_open", lambda: open_cell("S001", task.folder / "store"), plain,
                 work=3, unit="splits/s")
    note = (f"{1000 / row.ours:.2f} ms a split, memory-mapped; {1000 * first:.2f} ms when a process"
            " opens it first and checks the SHA-256")
    return replace(row, note=note)


def bootstrap(task: Task) -> Row:
    """200 bootstrap AUROCs, against scikit-learn on each resample."""
    rng = np.random.default_rng(0)
    labels = label(task.dataset)
    scores = rng.normal(labels, 1.0)

    def plain() -> None:
        for _ in range(200):
            drawn = rng.integers(len(labels), size=len(labels))
            roc_auc_score(labels[drawn], scores[drawn])

    return paired(task, "bootstrap", lambda: bootstrap_auroc(labels, scores, n_resamples=200),
                  plain, work=200, unit="resamples/s")


STAGES = (
    Stage("csv_to_store", csv_to_store),
    Stage("store_open", store_open),
    Stage("bootstrap", bootstrap),
)
