"""Many networks on many cell types: the Test-on-Rest matrix and its AUROCs."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from itertools import count
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sklearn.metrics import roc_auc_score
from torch.utils.data import DataLoader, TensorDataset

from dc2lib.crosscell.transfer import transfer
from dc2lib.datasets import HistoneDataset, open_cell, write_cell
from dc2lib.fast.matrix_form import MODELS_AT_ONCE, MODELS_BY_SAMPLES_AT_ONCE, SAMPLES_AT_ONCE
from dc2lib.labels import label
from dc2lib.models.deepchrome import POOL_WIDTH, build
from dc2lib.training.fit import TUNED
from dc2lib.training.grid_fits import Fit, FitRecord
from tools.bench.harness import Row, Stage, Task, faster_threads, paired, product_rate, seconds
from tools.bench.training import TextbookNetwork

MODELS, CELLS, PLAIN_MODELS = 8, 4, 2
FULL_SIZE = 55
PLAIN_BATCH, PRODUCTS = 32, 200
MULTIPLY_ADDS_A_GENE = 90 * 50 * 50 + 900 * 625 + 625 * 125 + 125 * 2


def evaluate(task: Task) -> Row:
    """Test-on-Rest and its AUROCs, against a DataLoader pass and a scikit-learn call each.

    With two threads ours are two processes of one thread, as `transfer(workers=2)` starts them,
    and the plain way has both threads, or one where that is faster.
    """
    home = task.folder / "evaluated"
    records = own_models(home, task.dataset, MODELS)
    cells = list(records)[:CELLS]
    test, run = task.dataset.take("test"), count()
    found: dict[str, np.ndarray] = {}
    with ProcessPoolExecutor(task.threads, get_context("spawn")) as pool:
        executor = pool if task.threads > 1 else None

        def ours() -> None:
            folder = home / f"{task.threads}-{next(run)}"
            table = transfer(records, folder, cells=cells, executor=executor, workers=1)
            found["ours"] = table.to_numpy()

        models = list(records.values())[:PLAIN_MODELS]
        few = test.select(np.arange(min(1000, len(test))))
        threads = faster_threads(lambda: plain_column(models[:1], few), task.threads)

        def plain() -> None:
            torch.set_num_threads(threads)
            found["plain"] = np.array(plain_column(models, test))
            torch.set_num_threads(task.threads)

        limit = product_rate() / MULTIPLY_ADDS_A_GENE
        row = paired(task, "evaluate", ours, plain, work=MODELS * CELLS * len(test),
                     plain_work=PLAIN_MODELS * len(test), unit="genes/s", limit=limit)
    apart = np.abs(found["ours"][:PLAIN_MODELS, 0] - found["plain"]).max()
    minutes = FULL_SIZE**2 * len(test) / row.ours / 60
    processes = ""
    if task.threads > 1:
        processes = (f"{task.threads} processes of one thread; the plain way with {threads} "
                     "thread(s), which was faster for it; ")
    products = task.threads * rate_of_products()
    note = (f"{processes}{MODELS} models x {CELLS} cell types (plain {PLAIN_MODELS} x 1, "
            f"batches of {PLAIN_BATCH}); "
            f"{FULL_SIZE} x {FULL_SIZE} would take {minutes:.0f} minutes at this rate; AUROCs "
            f"differ by at most {apart:.0e}; the networks' products at their own sizes, and "
            f"nothing else, would be a ratio of {products / row.plain:.1f}")
    return replace(row, note=note)


def rate_of_products() -> float:
    """Genes a second of one network's matrix products alone, at the sizes of the matrix form.

    One thread, the filters of several networks side by side.
    """
    model, before = build("deepchrome_max"), torch.get_num_threads()
    some, rows = MODELS_BY_SAMPLES_AT_ONCE // MODELS_AT_ONCE, model.positions
    sizes = [(some * rows, model.convolution.weight[0].numel(),
              MODELS_AT_ONCE * model.convolution.out_channels)] * POOL_WIDTH
    sizes += [(SAMPLES_AT_ONCE, layer.in_features, layer.out_features)
              for layer in (model.hidden1, model.hidden2, model.output)]
    shares = [MODELS_AT_ONCE * some] * POOL_WIDTH + [SAMPLES_AT_ONCE] * 3
    torch.set_num_threads(1)
    taken = 0.0
    for (n, k, m), genes in zip(sizes, shares, strict=True):
        a, b, out = torch.zeros(n, k), torch.zeros(k, m), torch.zeros(n, m)
        taken += statistics.median(
            seconds(lambda a=a, b=b, out=out: torch.mm(a, b, out=out)) for _ in range(PRODUCTS)
        ) / genes
    torch.set_num_threads(before)
    return 1 / taken


def own_models(home: Path, dataset: HistoneDataset, n_cells: int) -> dict[str, FitRecord]:
    """A store of cell types with the same genes, and a model of initial weights for each."""
    cells = [f"S{number:03d}" for number in range(1, n_cells + 1)]
    for cell in cells:
        write_cell(replace(dataset, cell=cell), home)
    records = untrained(home, open_cell(cells[0], home), n_cells)
    return dict(zip(cells, records, strict=True))


def plain_column(records: Sequence[FitRecord], test: HistoneDataset) -> list[float]:
    """The same with one pass of a DataLoader and one call of scikit-learn a model."""
    signal = torch.from_numpy(np.log1p(test.counts.astype(np.float32)))
    truth = label(test)
    genes = TensorDataset(signal.transpose(1, 2), torch.from_numpy(truth.astype(np.int64)))
    found = []
    for record in records:
        model = textbook_network(record)
        parts = []
        with torch.no_grad():
            for batch, _ in DataLoader(genes, batch_size=PLAIN_BATCH):
                parts.append(torch.softmax(model(batch), 1)[:, 1])
        found.append(roc_auc_score(truth, torch.cat(parts).numpy()))
    return found


def textbook_network(record: FitRecord) -> TextbookNetwork:
    """The fitted model in a tutorial's layers, which flatten filter by filter."""
    weights = {name: torch.from_numpy(value) for name, value in record.weights().items()}
    hidden = weights["hidden1.weight"]
    n_filters = len(weights["convolution.bias"])
    weights["hidden1.weight"] = hidden.unflatten(1, (-1, n_filters)).transpose(1, 2).flatten(1)
    model = TextbookNetwork().eval()
    model.load_state_dict(dict(zip(model.state_dict(), weights.values(), strict=True)))
    return model


def untrained(
    home: Path, dataset: HistoneDataset, n_models: int, folder: Path | None = None
) -> list[FitRecord]:
    """Records of networks with initial weights, which take as long as trained ones.

    Parameters
    ----------
    home
        Store that holds the cell type.
    folder
        Where the weights are written; default the same.
    """
    cell, none = dataset.cell, np.empty((0, 2), np.float32)
    records = []
    for seed in range(n_models):
        fit = Fit("deepchrome_max", TUNED, (cell,), cell, str(home), seed=seed)
        path = (folder or home) / f"model-{seed}.npz"
        weights = build(fit.model, seed=seed).state_dict()
        np.savez(path, **{f"weights.{name}": value.numpy() for name, value in weights.items()})
        records.append(FitRecord(fit, none, none, pd.DataFrame(), 0, 0.0, path))
    return records


STAGES = (Stage("evaluate", evaluate, threads=(1, 2)),)
