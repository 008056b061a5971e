"""Time each stage of the library against the plain way of doing it: ``make bench``.

Ours and the plain way run in turn, in one process, on the same data; a row quotes medians and the
median of the ratios pair by pair, so that a machine whose speed drifts does not decide.  Results go
to ``_build/bench.json``.  Nothing here is a test: no time is ever asserted.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from sklearn.metrics import roc_auc_score
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from dc2lib.datasets import HistoneDataset, open_cell, write_cell
from dc2lib.datasets.released import read_csv_folder
from dc2lib.datasets.simulated import simulate
from dc2lib.labels import label
from dc2lib.linear import fit_linear
from dc2lib.models import build
from dc2lib.statistics import bootstrap_auroc
from dc2lib.training import PAPER, fit

OUTPUT = Path("_build") / "bench.json"
MULTIPLY_ADDS_A_SAMPLE = 4.745e6 / 2


@dataclass(frozen=True)
class Row:
    """One stage: medians of both ways, how much faster ours is, and its share of what is possible.

    ``ours`` and ``plain`` are rates in ``unit`` (more is better); ``share_of_limit`` is ours over
    the rate that the machine's matrix product allows, where that is the limit.
    """

    name: str
    ours: float
    plain: float
    ratio: float
    unit: str
    share_of_limit: float | None
    threads: int
    pairs: int


def main() -> None:
    """Run the stages that are named, or all, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help=f"stages, of {', '.join(STAGES)}; default all")
    parser.add_argument("--pairs", type=int, default=5, help="runs of each way (default 5)")
    parser.add_argument("--genes", type=int, default=19_802, help="genes of the cell type")
    options = parser.parse_args()
    unknown = set(options.names) - set(STAGES)
    if unknown:
        parser.error(f"no stage {', '.join(sorted(unknown))}; there are {', '.join(STAGES)}")
    dataset = simulate(n_cells=1, n_genes=options.genes, seed=0).datasets["S001"]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            for name in options.names or STAGES:
                if threads > 1 and name not in THREADED:
                    continue
                row = STAGES[name](dataset, Path(folder), options.pairs, threads)
                rows.append(row)
                print(f"{row.name:18} {row.threads} thread(s)  ours {row.ours:12,.1f}  plain "
                      f"{row.plain:12,.1f} {row.unit:12} ratio {row.ratio:8.1f}", flush=True)
    OUTPUT.parent.mkdir(exist_ok=True)
    about = {"machine": platform.processor() or platform.machine(), "genes": options.genes}
    OUTPUT.write_text(json.dumps({"about": about, "rows": [asdict(row) for row in rows]}, indent=1))
    print(f"written to {OUTPUT}")


def paired(
    name: str,
    ours: Callable[[], object],
    plain: Callable[[], object],
    *,
    work: float,
    unit: str,
    pairs: int,
    threads: int,
    limit: float | None = None,
) -> Row:
    """Run both ways in turn after a warm-up; ``work`` units are done by one run."""
    ours()
    times = [(_seconds(ours), _seconds(plain)) for _ in range(pairs)]
    rates = [statistics.median(work / one[side] for one in times) for side in (0, 1)]
    ratio = statistics.median(slow / fast for fast, slow in times)
    share = None if limit is None else rates[0] / limit
    return Row(name, *rates, ratio, unit, share, threads, pairs)


def csv_to_store(dataset: HistoneDataset, folder: Path, pairs: int, threads: int) -> Row:
    """Released CSV files to the store, against reading their rows with ``csv.DictReader``."""
    source = folder / "csv"
    if not source.exists():
        _write_csv(dataset, source)
    files = sorted(source.glob("*.csv"))

    def plain() -> None:
        for path in files:
            with path.open(newline="") as file:
                for row in csv.DictReader(file, FIELDS):
                    [int(row[mark]) for mark in dataset.marks]

    def ours() -> None:
        write_cell(read_csv_folder(source, cell="S001"), folder / "store")

    return paired("csv_to_store", ours, plain, work=len(dataset) * 100, unit="rows/s", pairs=pairs,
                  threads=threads)


def store_open(dataset: HistoneDataset, folder: Path, pairs: int, threads: int) -> Row:
    """Opening a stored cell type, against loading its counts from a compressed NumPy file."""
    write_cell(dataset, folder / "store")
    compressed = folder / "plain.npz"
    np.savez_compressed(compressed, counts=dataset.counts)

    def plain() -> None:
        with np.load(compressed) as arrays:
            arrays["counts"]

    return paired("store_open", lambda: open_cell("S001", folder / "store"), plain, work=1,
                  unit="cells/s", pairs=pairs, threads=threads)


def train_one(dataset: HistoneDataset, folder: Path, pairs: int, threads: int) -> Row:
    """One epoch of the max-pooling network, against a textbook loop over a DataLoader."""
    train, valid = dataset.take("train"), dataset.take("valid").select(np.arange(64))
    labels = label(train)
    valid_labels = np.arange(64) % 2
    recipe = replace(PAPER, epochs=1)

    def ours() -> None:
        fit(build("deepchrome_max"), train.counts, labels, valid.counts, valid_labels,
            recipe=recipe, device="cpu")

    def plain() -> None:
        signal = torch.from_numpy(train.counts.astype(np.float32)).transpose(1, 2).contiguous()
        pairs_ = TensorDataset(signal, torch.from_numpy(labels.astype(np.int64)))
        model = _TextbookNetwork()
        optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
        for batch, truth in DataLoader(pairs_, batch_size=32, shuffle=True):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(batch), truth).backward()
            optimizer.step()

    limit = _product_rate() / MULTIPLY_ADDS_A_SAMPLE
    return paired("train_one", ours, plain, work=len(train), unit="genes/s", pairs=pairs,
                  threads=threads, limit=limit)


def linear_all_cells(dataset: HistoneDataset, folder: Path, pairs: int, threads: int) -> Row:
    """Five restarts on eight cell types at once, against one model after the other."""
    recipe = replace(PAPER, epochs=3)
    cells = [replace(dataset, cell=f"S{number:03d}") for number in range(8)]
    seeds = range(5)

    def plain() -> None:
        for one in cells:
            train, valid = one.take("train"), one.take("valid")
            for seed in seeds:
                fit(build("linear", seed=seed), train.counts, label(train), valid.counts,
                    label(valid), recipe=recipe, seed=seed, device="cpu")

    return paired("linear_all_cells", lambda: fit_linear(cells, recipe=recipe, seeds=seeds), plain,
                  work=len(cells) * len(seeds), unit="models/s", pairs=min(pairs, 3),
                  threads=threads)


def bootstrap(dataset: HistoneDataset, folder: Path, pairs: int, threads: int) -> Row:
    """200 bootstrap AUROCs, against scikit-learn on each resample."""
    rng = np.random.default_rng(0)
    labels = label(dataset)
    scores = rng.normal(labels, 1.0)

    def plain() -> None:
        for _ in range(200):
            drawn = rng.integers(len(labels), size=len(labels))
            roc_auc_score(labels[drawn], scores[drawn])

    return paired("bootstrap", lambda: bootstrap_auroc(labels, scores, n_resamples=200), plain,
                  work=200, unit="resamples/s", pairs=pairs, threads=threads)


STAGES = {
    "csv_to_store": csv_to_store,
    "store_open": store_open,
    "train_one": train_one,
    "linear_all_cells": linear_all_cells,
    "bootstrap": bootstrap,
}
THREADED = {"train_one"}
FIELDS = ("gene", "bin", "H3K27me3", "H3K36me3", "H3K4me1", "H3K4me3", "H3K9me3", "label")


class _TextbookNetwork(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(
            nn.Conv1d(5, 50, 10), nn.ReLU(), nn.MaxPool1d(5), nn.Flatten(), nn.Dropout(0.5),
            nn.Linear(900, 625), nn.ReLU(), nn.Linear(625, 125), nn.ReLU(), nn.Linear(125, 2),
        )


def _seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def _product_rate(size: int = 1024) -> float:
    """Multiply-adds a second of a large matrix product, now, with the threads set."""
    a = torch.rand(size, size)
    a @ a
    return size**3 / min(_seconds(lambda: a @ a) for _ in range(5))


def _write_csv(dataset: HistoneDataset, folder: Path) -> None:
    folder.mkdir(parents=True)
    labels = dataset.released_label
    for split in ("train", "valid", "test"):
        lines = io.StringIO()
        for gene in np.flatnonzero(dataset.split == split):
            name = dataset.gene_id[gene][-6:]
            for bin_, row in enumerate(dataset.counts[gene], 1):
                lines.write(f"{name},{bin_},{','.join(map(str, row))},{labels[gene]}\n")
        (folder / f"{split}.csv").write_text(lines.getvalue())


if __name__ == "__main__":
    main()
