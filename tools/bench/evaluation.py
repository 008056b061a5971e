"""Many networks on many cell types: the Test-on-Rest matrix and its AUROCs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sklearn.metrics import roc_auc_score
from torch.utils.data import DataLoader, TensorDataset

from dc2lib.crosscell.transfer import evaluate_all
from dc2lib.datasets import HistoneDataset, open_cell, write_cell
from dc2lib.grid import Fit, FitRecord
from dc2lib.labels import label
from dc2lib.models import build
from dc2lib.scoring import auroc, positive_score
from dc2lib.training import TUNED
from tools.bench.harness import Row, Stage, Task, paired, product_rate
from tools.bench.training import TextbookNetwork

MODELS, PLAIN_MODELS = 8, 3
FULL_SIZE = 55
PLAIN_BATCH = 32
MULTIPLY_ADDS_A_GENE = 90 * 50 * 50 + 900 * 625 + 625 * 125 + 125 * 2


def evaluate(task: Task) -> Row:
    """Models on a test cell type and their AUROCs, against a DataLoader pass and sklearn each."""
    home = task.folder / "evaluated"
    write_cell(task.dataset, home)
    records = untrained(home, task.dataset, MODELS)
    test = task.dataset.take("test")
    run = count()
    found: dict[str, list[float]] = {}

    def ours() -> None:
        path = home / f"{task.threads}-{next(run)}.npz"
        found["ours"] = matrix_column(records, task.dataset.cell, path)

    def plain() -> None:
        found["plain"] = plain_column(records[:PLAIN_MODELS], test)

    limit = product_rate() / MULTIPLY_ADDS_A_GENE
    row = paired(task, "evaluate", ours, plain, work=MODELS * len(test),
                 plain_work=PLAIN_MODELS * len(test), unit="genes/s", limit=limit)
    apart = np.abs(np.subtract(found["ours"][:PLAIN_MODELS], found["plain"])).max()
    minutes = FULL_SIZE**2 * len(test) / row.ours / 60
    note = (f"{MODELS} models (plain {PLAIN_MODELS}, batches of {PLAIN_BATCH}) on 1 of {FULL_SIZE}"
            f" test cell types; {FULL_SIZE} x {FULL_SIZE} would take {minutes:.0f} minutes at this"
            f" rate; AUROCs differ by at most {apart:.0e}; at the limit the ratio would be "
            f"{limit / row.plain:.1f}")
    return replace(row, note=note)


def matrix_column(records: Sequence[FitRecord], cell: str, path: Path) -> list[float]:
    """AUROC of each model on one test cell type, as `dc2lib.crosscell.transfer` computes it."""
    evaluate_all(records, cell, path)
    truth = label(open_cell(cell, records[0].fit.home).take("test"))
    with np.load(path) as arrays:
        return [auroc(truth, positive_score(one)) for one in arrays["logits"]]


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
