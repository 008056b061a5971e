"""Every cell type's own model on every cell type (Test-on-Rest, section 3.3 of the paper)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from dc2lib.cache import code_digest
from dc2lib.datasets import data_home, open_cell
from dc2lib.evaluation.scores import auroc, positive_score
from dc2lib.fast.matrix_form import matrix_forms
from dc2lib.files import atomic_write
from dc2lib.labels import label
from dc2lib.signals import to_signal
from dc2lib.training.executors import outcomes
from dc2lib.training.fit import default_device
from dc2lib.training.grid_fits import FitRecord
from dc2lib.training.pooled_counts import PooledCounts, part_of, rows_of

BATCH = 4096


def transfer(
    records: Mapping[str, FitRecord],
    folder: Path | str | None = None,
    *,
    cells: Sequence[str] | None = None,
    scoring: str = "probability",
    executor: Executor | None = None,
    workers: int | None = None,
) -> pd.DataFrame:
    """AUROC of each cell type's own model on the test genes of each cell type.

    One pass a test cell type: its genes are read once and shown to all models. The logits are kept
    on disk, so that nothing is evaluated twice.

    Parameters
    ----------
    records
        The own model of each cell type, all of one architecture, label rule and orientation.
    folder
        Where the logits are kept; default ``transfer`` in the data folder.
    cells
        Test cell types; default those of the records.
    scoring
        Score rule.
    executor, workers
        As for `dc2lib.training.grid.run_grid`.

    Returns
    -------
    DataFrame (training cell, test cell)
        The diagonal holds the own models, where the cell types are those of the records.

    Raises
    ------
    RuntimeError
        If a test cell type could not be evaluated.
    """
    place = Path(folder) if folder is not None else data_home() / "transfer"
    place.mkdir(parents=True, exist_ok=True)
    models = list(records.values())
    names = {cell: _key(models, cell) for cell in (records if cells is None else cells)}
    paths = {cell: (place / f"{name}.npz").absolute() for cell, name in names.items()}
    missing = [cell for cell, path in paths.items() if not path.exists()]
    jobs = [(models, cell, paths[cell]) for cell in missing]
    for number, _, error in outcomes(evaluate_all, jobs, executor=executor, workers=workers):
        if error is not None:
            raise RuntimeError(f"test cell type {missing[number]}: {error!r}") from error
    columns = {}
    for cell, path in paths.items():
        with np.load(path) as arrays:
            logits = arrays["logits"]
        test = open_cell(cell, models[0].fit.home).take("test")
        truth = label(test, models[0].fit.labels)
        columns[cell] = [auroc(truth, positive_score(one, scoring)) for one in logits]
    table = pd.DataFrame(columns, index=list(records))
    return table.rename_axis(index="train_cell", columns="test_cell")


def evaluate_all(records: Sequence[FitRecord], cell: str, path: Path) -> None:
    """Write the logits ``(model, gene, 2)`` of all models on one cell type's test genes.

    Each batch is read and transformed once for all models.  On a CPU the networks run as matrix
    products (`dc2lib.fast.matrix_form`), whose logits are those of the modules up to rounding.
    """
    if path.exists():
        return
    fit = records[0].fit
    dataset, device = open_cell(cell, fit.home), default_device()
    counts = PooledCounts([part_of(dataset, rows_of(dataset, "test"), fit.orientation)])
    models = [record.load_model(counts.shape[1:]).to(device) for record in records]
    every = matrix_forms(models) if device.type == "cpu" else (
        lambda signal: (model(signal) for model in models)
    )
    logits = np.empty((len(models), len(counts), 2), np.float32)
    with torch.inference_mode():
        for start in range(0, len(counts), BATCH):
            signal = to_signal(counts[start : start + BATCH], fit.recipe.transform, device)
            for number, found in enumerate(every(signal)):
                logits[number, start : start + BATCH] = found.cpu().numpy()
    counts.release()
    with atomic_write(path) as temporary:
        np.savez(temporary, logits=logits)


def _key(records: Sequence[FitRecord], cell: str) -> str:
    dataset = open_cell(cell, records[0].fit.home)
    keys = [record.path.stem for record in records]
    text = json.dumps([keys, dataset.fingerprint, code_digest(__name__)])
    return hashlib.sha256(text.encode()).hexdigest()[:32]
