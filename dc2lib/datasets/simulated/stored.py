"""Simulated cell types kept in a store of their own, so that chapters and workers share them."""

from __future__ import annotations

import hashlib
import inspect
import json
import os
from pathlib import Path

from dc2lib.cache import code_digest
from dc2lib.datasets.histone import HistoneDataset
from dc2lib.datasets.simulated.study import iter_cells, simulate
from dc2lib.datasets.store import cells_folder, list_cells, temporary_folder, write_cell
from dc2lib.files import data_home


def stored_simulation(
    n_cells: int = 8, n_genes: int = 4000, seed: int = 0, **parameters: bool | float | int | str
) -> Path:
    """Store (home folder) that holds the cell types of `simulate`, made where they are missing.

    Parameters
    ----------
    n_cells, n_genes, seed
        As for `simulate`.
    parameters
        Further parameters of `simulate`; plain values only, since they name the folder.

    Returns
    -------
    Path
        For `dc2lib.datasets.open_cell(cell, home)`. The folder's name is a hash of the parameters
        and of the simulator's code, so a changed simulator never serves old cells.
    """
    bound = inspect.signature(simulate).bind(n_cells, n_genes, seed, **parameters)
    settings = json.dumps([bound.arguments, code_digest(simulate.__module__)], sort_keys=True)
    name = hashlib.sha256(settings.encode()).hexdigest()[:16]
    home = data_home() / "simulated" / name
    stored = set(list_cells(home))
    if len(stored) < n_cells:
        for dataset, _ in iter_cells(*bound.args, **bound.kwargs):
            if dataset.cell not in stored:
                _add(dataset, home)
    return home


def _add(dataset: HistoneDataset, home: Path) -> None:
    """Store a cell type, unless another process, which makes the same, has done so meanwhile."""
    folder = cells_folder(home)
    folder.mkdir(parents=True, exist_ok=True)
    with temporary_folder(folder, dataset.cell) as aside:
        made = write_cell(dataset, aside)
        try:
            os.rename(made, folder / dataset.cell)
        except OSError:
            if dataset.cell not in list_cells(home):
                raise
