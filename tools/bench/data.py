"""Reading and opening data, and the bootstrap of an AUROC."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score

from dc2lib.datasets import HistoneDataset, open_cell, write_cell
from dc2lib.datasets.released import read_csv_folder
from dc2lib.labels import label
from dc2lib.statistics import bootstrap_auroc
from tools.bench.harness import Row, Stage, Task, paired

FIELDS = ("gene", "bin", "H3K27me3", "H3K36me3", "H3K4me1", "H3K4me3", "H3K9me3", "label")


def csv_to_store(task: Task) -> Row:
    """Released CSV files to the store, against reading their rows with ``csv.DictReader``."""
    source = task.folder / "csv"
    if not source.exists():
        write_csv(task.dataset, source)
    files = sorted(source.glob("*.csv"))

    def plain() -> None:
        for path in files:
            with path.open(newline="") as file:
                for row in csv.DictReader(file, FIELDS):
                    [int(row[mark]) for mark in task.dataset.marks]

    def ours() -> None:
        write_cell(read_csv_folder(source, cell="S001"), task.folder / "store")

    return paired(task, "csv_to_store", ours, plain, work=len(task.dataset) * 100, unit="rows/s")


def store_open(task: Task) -> Row:
    """Opening a stored cell type, against loading its counts from a compressed NumPy file."""
    write_cell(task.dataset, task.folder / "store")
    compressed = task.folder / "plain.npz"
    np.savez_compressed(compressed, counts=task.dataset.counts)

    def plain() -> None:
        with np.load(compressed) as arrays:
            arrays["counts"]

    return paired(task, "store_open", lambda: open_cell("S001", task.folder / "store"), plain,
                  work=1, unit="cells/s")


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


def write_csv(dataset: HistoneDataset, folder: Path) -> None:
    """The dataset as three files in the released layout."""
    folder.mkdir(parents=True)
    labels = dataset.released_label
    for split in ("train", "valid", "test"):
        lines = io.StringIO()
        for gene in np.flatnonzero(dataset.split == split):
            name = dataset.gene_id[gene][-6:]
            for bin_, row in enumerate(dataset.counts[gene].tolist(), 1):
                lines.write(f"{name},{bin_},{','.join(map(str, row))},{labels[gene]}\n")
        (folder / f"{split}.csv").write_text(lines.getvalue())


STAGES = (
    Stage("csv_to_store", csv_to_store),
    Stage("store_open", store_open),
    Stage("bootstrap", bootstrap),
)
