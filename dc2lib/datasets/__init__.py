"""Data of the book: measured and simulated cell types, expression, digits, published figures.

Ways in: `roadmap` (the released archive), `peaks`, `tracks`, `binned`, `released` (CSV); they end
in a `HistoneDataset` (`histone`), which `store` keeps on disk and `load_cells` opens.
``python -m dc2lib.datasets``, which ``make data`` calls, fills the store.

>>> from dc2lib.datasets.simulated import simulate
>>> simulate(n_cells=1, n_genes=300).datasets["S001"]
HistoneDataset(S001, simulated: 300 genes x 100 bins x 5 marks)
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dc2lib.datasets.histone import (
    MARKS,
    SOURCES,
    SPLITS,
    UNITS,
    HistoneDataset,
    check_alike,
    shared_marks,
)
from dc2lib.datasets.released import read_csv_folder
from dc2lib.datasets.rpkm import check_cell, read_rpkm
from dc2lib.datasets.store import list_cells, open_cell, write_cell
from dc2lib.errors import DataError
from dc2lib.files import data_home

__all__ = [
    "MARKS",
    "SOURCES",
    "SPLITS",
    "UNITS",
    "HistoneDataset",
    "check_alike",
    "data_home",
    "list_cells",
    "load_cells",
    "open_cell",
    "read_csv_folder",
    "read_rpkm",
    "resolve_source",
    "shared_marks",
    "store_of",
    "write_cell",
]


def resolve_source(data: str = "auto") -> str:
    """Where cell types come from: ``"roadmap"``, which is the store, or ``"simulated"``.

    Parameters
    ----------
    data : {"auto", "roadmap", "simulated"}
        ``"auto"`` means roadmap if the store holds a cell type, else simulated. The other measured
        sources of a `HistoneDataset` mean the store too.
    """
    if data in SOURCES:
        return "simulated" if data == "simulated" else "roadmap"
    if data != "auto":
        raise DataError(
            f"Unknown data source {data!r}: use auto, roadmap (the store, your own cell types too)"
            " or simulated; a cell type is named in `cells`."
        )
    return "roadmap" if list_cells() else "simulated"


def store_of(data: str = "auto", n_cells: int = 8, n_genes: int = 4000, seed: int = 0) -> Path:
    """Home folder of the store that holds a chapter's cell types, for `open_cell` and `Fit`.

    Simulated cell types, of that size and seed, are made where they are missing and kept beside the
    measured ones. Raises DataError if the store is empty and ``data`` is ``"roadmap"``.
    """
    if resolve_source(data) == "simulated":
        from dc2lib.datasets.simulated import stored_simulation

        return stored_simulation(n_cells, n_genes, seed)
    if not list_cells():
        raise DataError(
            f"The store {data_home()} holds no cell type. Fill it with `make data`, or use"
            " data='simulated'."
        )
    return data_home().absolute()


def load_cells(
    data: str = "auto",
    cells: Sequence[str] | str | None = None,
    n_cells: int = 8,
    n_genes: int = 4000,
    seed: int = 0,
    *,
    marks: Sequence[str] = MARKS,
    unit: str | None = None,
) -> dict[str, HistoneDataset]:
    """The cell types that a chapter works on, by name.

    Raises DataError if a name does not exist (the nearest is suggested), or the store is empty or
    holds a simulated cell type.

    Parameters
    ----------
    data : {"auto", "roadmap", "simulated"}
        ``"roadmap"`` is the store, your own cell types too; see `resolve_source`.
    cells : sequence of str, or str with names separated by spaces, optional
        Default: all that are simulated, or those stored cell types that have all the `marks`, the
        ones with counts of reads first; where none has them all, every stored one.
    n_cells, n_genes, seed : int
        Size and seed of the simulation; unused for stored cell types.
    marks : sequence of str
        Marks that a stored cell type must have to be taken without being named.
    unit : str, optional
        Take only cell types measured in this unit (`UNITS`) without being named.
    """
    wanted = cells.replace(",", " ").split() if isinstance(cells, str) else list(cells or ())
    home = store_of(data, n_cells, n_genes, seed)
    if resolve_source(data) == "roadmap":
        stored = {cell: open_cell(cell) for cell in wanted or list_cells()}
        if made := [cell for cell, one in stored.items() if one.source == "simulated"]:
            raise DataError(
                f"{made[0]} in the store {data_home()} is simulated, and would pass for measured:"
                " use data='simulated', or another store (DC2LIB_DATA)."
            )
        if wanted:
            return stored
        chosen = {
            cell: one
            for cell, one in stored.items()
            if set(marks) <= set(one.marks) and unit in (None, one.unit)
        }
        chosen = chosen or stored
        return dict(sorted(chosen.items(), key=lambda item: item[1].unit != "reads"))
    known = [f"S{number + 1:03d}" for number in range(n_cells)]
    for cell in wanted:
        check_cell(cell, known, "the simulation")
    return {cell: open_cell(cell, home) for cell in wanted or known}
