"""Write simulated cell types as the files that a user would download."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import csv

from dc2lib.datasets.histone import SPLITS, HistoneDataset
from dc2lib.errors import DataError
from dc2lib.files import replacing

NO_HEADER = csv.WriteOptions(include_header=False, quoting_style="none")


def write_released_csv(dataset: HistoneDataset, folder: str | Path) -> Path:
    """The counts and labels of one cell type in the released layout.

    Rows are ``gene, bin 1..100, a count a mark, label``; the gene is the last six digits of its id.

    Parameters
    ----------
    dataset : HistoneDataset
        With `released_label`.
    folder : path
        Becomes the parent of ``<cell>/classification/{train,valid,test}.csv``.

    Returns
    -------
    Path
        The cell type's folder.

    Raises
    ------
    DataError
        If there are no labels, or two genes agree in the last six digits.
    """
    if dataset.released_label is None:
        raise DataError(f"{dataset.cell}: the released layout holds labels; there are none here.")
    if len({gene[-6:] for gene in dataset.gene_id.tolist()}) < len(dataset):
        raise DataError(f"{dataset.cell}: some genes agree in the last six digits of their ids.")
    target = Path(folder) / dataset.cell
    for split in SPLITS:
        table = _rows(dataset.take(split))
        with replacing(target / "classification" / f"{split}.csv") as unfinished:
            csv.write_csv(table, unfinished, NO_HEADER)
    return target


def write_rpkm_table(datasets: Mapping[str, HistoneDataset], path: str | Path) -> Path:
    """Expression of cell types that share their genes as a table like Roadmap's (gzip).

    As there, the first column is the universal reference E000, and data rows end in a tab.

    Raises
    ------
    DataError
        If the cell types do not have the same genes, or no RPKM text.
    """
    cells = list(datasets.values())
    if not cells or any(cell.rpkm_text is None for cell in cells):
        raise DataError("The RPKM table needs cell types with rpkm_text.")
    genes = cells[0].gene_id
    if any(not np.array_equal(cell.gene_id, genes) for cell in cells):
        raise DataError("The RPKM table needs cell types with the same genes in the same order.")
    reference = np.char.mod("%.3f", np.mean([cell.rpkm for cell in cells], axis=0))
    columns = [genes, reference, *(cell.rpkm_text for cell in cells)]
    lines = ["\t".join(["gene_id", "E000", *datasets])]
    lines += ["\t".join(row) + "\t" for row in zip(*columns, strict=True)]
    content = gzip.compress(("\n".join(lines) + "\n").encode(), mtime=0)
    with replacing(path) as unfinished:
        unfinished.write_bytes(content)
    return Path(path)


def _rows(dataset: HistoneDataset) -> pa.Table:
    n_genes, n_bins, n_marks = dataset.counts.shape
    names = [gene[-6:] for gene in dataset.gene_id.tolist()]
    columns = [np.repeat(names, n_bins), np.tile(np.arange(1, n_bins + 1), n_genes)]
    columns += [dataset.counts[:, :, m].ravel() for m in range(n_marks)]
    columns += [np.repeat(dataset.released_label, n_bins)]
    return pa.table(columns, names=[str(i) for i in range(len(columns))])
