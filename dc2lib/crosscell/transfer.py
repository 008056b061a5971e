"""Every cell type's own model on every cell type (Test-on-Rest, section 3.3 of the paper)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from dc2lib.cache import cache_path, cached
from dc2lib.datasets import check_alike, open_cell
from dc2lib.evaluation.scores import auroc, positive_score
from dc2lib.fast.matrix_form import matrix_form
from dc2lib.labels import label
from dc2lib.models.networks import evaluating
from dc2lib.signals import PooledCounts, to_signal
from dc2lib.training.executors import outcomes
from dc2lib.training.fit import default_device
from dc2lib.training.grid_fits import FitRecord

BATCH = 4096


def transfer(
    records: Mapping[str, FitRecord],
    home: Path | str | None = None,
    *,
    scored_on: str | None = None,
    cells: Sequence[str] | None = None,
    executor: Executor | None = None,
    workers: int | None = None,
) -> pd.DataFrame:
    """AUROC of each cell type's own model on the test genes of each cell type, or of those named.

    One pass a test cell type: its genes are read once and shown to all models, which are of one
    architecture and orientation.  The logits are kept on disk, in the folder ``transfer`` of the
    data folder or of ``home``, so that nothing is evaluated twice.  They are scored on the labels
    of a rule, by default that of the first model.  Executor and workers are as for `run_grid`.

    A table (training cell, test cell); DataError if cell types differ in marks, bins or unit,
    RuntimeError if one could not be evaluated.
    """
    models = list(records.values())
    named = {*(cells or records), *(cell for one in models for cell in one.fit.train_cells)}
    check_alike(open_cell(cell, models[0].fit.home) for cell in sorted(named))
    names = list(records if cells is None else cells)
    jobs = [(models, cell, home) for cell in names]
    missing = [
        job for job in jobs
        if not cache_path("transfer", _settings(*job[:2]), code=__name__, home=home).exists()
    ]  # fmt: skip
    for number, _, error in outcomes(cell_logits, missing, executor=executor, workers=workers):
        if error is not None:
            raise RuntimeError(f"test cell type {missing[number][1]}: {error!r}") from error
    columns = {}
    for job in jobs:
        test = open_cell(job[1], models[0].fit.home).take("test")
        truth = label(test, scored_on or models[0].fit.labels)
        scores = [positive_score(logits) for logits in cell_logits(*job)]
        columns[job[1]] = [auroc(truth, score) for score in scores]
    table = pd.DataFrame(columns, index=list(records))
    return table.rename_axis(index="train_cell", columns="test_cell")


def cell_logits(
    records: Sequence[FitRecord], cell: str, home: Path | str | None = None
) -> np.ndarray:
    """Logits ``(model, gene, 2)`` of all models on one cell type's test genes, kept on disk.

    Each batch is read and transformed once for all models.
    """
    arrays = cached("transfer", _settings(records, cell), lambda: _logits(records, cell),
                    code=__name__, home=home)
    return arrays["logits"]


def _logits(records: Sequence[FitRecord], cell: str) -> dict[str, np.ndarray]:
    fit = records[0].fit
    dataset, device = open_cell(cell, fit.home), default_device()
    counts = PooledCounts([(dataset, np.flatnonzero(dataset.split == "test"))], fit.orientation)
    models = [record.load_model(counts.shape[1:]).to(device) for record in records]
    networks = [matrix_form(model) if device.type == "cpu" else model for model in models]
    logits = np.empty((len(models), len(counts), 2), np.float32)
    with evaluating(*models), torch.inference_mode():
        for start in range(0, len(counts), BATCH):
            signal = to_signal(counts[start : start + BATCH], fit.recipe.transform, device)
            for number, network in enumerate(networks):
                logits[number, start : start + BATCH] = network(signal).cpu().numpy()
    counts.release()
    return {"logits": logits}


def _settings(records: Sequence[FitRecord], cell: str) -> dict[str, object]:
    data = open_cell(cell, records[0].fit.home).fingerprint
    return {"fits": [record.path.stem for record in records], "data": data}
