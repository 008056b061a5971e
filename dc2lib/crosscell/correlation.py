"""Cell types beside each other: how their expression goes together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from dc2lib.datasets import published
from dc2lib.datasets.histone import SPLITS, HistoneDataset
from dc2lib.datasets.rpkm import ALIGNMENTS
from dc2lib.errors import DataError


def expression_correlation(
    rpkm: pd.DataFrame, genes: Sequence[str] | None = None, *, normalise: bool = False
) -> pd.DataFrame:
    """Pearson correlation of raw RPKM between cell types (section 3.3 of the paper).

    Parameters
    ----------
    rpkm : DataFrame (gene, cell)
        Expression by gene id and cell type, such as ``read_rpkm(path).frame()``.
    genes : sequence of str, optional
        Gene ids to use, each counted once; default all.
    normalise : bool
        Stretch the matrix so that its smallest entry is 0 and its largest 1, as in Figure 3.

    Returns
    -------
    DataFrame (cell, cell)
        NaN for a cell type without expression or without any variation.

    Raises
    ------
    DataError
        If a gene is not in `rpkm`, or fewer than three genes are left.
    """
    if genes is not None:
        chosen = pd.Index(genes).unique()
        absent = chosen.difference(rpkm.index)
        if len(absent):
            raise DataError(
                f"{len(absent):,} gene(s) have no expression: {', '.join(absent[:5])};"
                " leave them out or complete the table."
            )
        rpkm = rpkm.loc[chosen]
    if len(rpkm) < 3:
        raise DataError(f"A correlation needs at least 3 genes, and there are {len(rpkm)}.")
    values = rpkm.to_numpy(dtype=np.float64)
    centred = values - values.mean(axis=0)
    scale = np.sqrt((centred**2).sum(axis=0))
    centred /= np.where(scale > 0, scale, np.nan)
    correlation = np.clip(centred.T @ centred, -1, 1)
    if normalise:
        low, high = np.nanmin(correlation), np.nanmax(correlation)
        correlation = (correlation - low) / (high - low) if high > low else correlation
    return pd.DataFrame(correlation, index=rpkm.columns, columns=rpkm.columns)


def between_cells(correlation: pd.DataFrame) -> np.ndarray:
    """The entries above the diagonal, one a pair of cell types: float64 (pair,)."""
    return correlation.to_numpy()[np.triu_indices(len(correlation), k=1)]


def expression_of(datasets: Mapping[str, HistoneDataset]) -> pd.DataFrame:
    """RPKM of the genes that all datasets share, as a table (gene, cell).

    Raises
    ------
    DataError
        If a dataset has no expression, or they share no gene.
    """
    columns = {}
    for cell, dataset in datasets.items():
        if dataset.rpkm is None:
            raise DataError(f"{cell} has no expression (RPKM); fill the store with `make data`.")
        columns[cell] = pd.Series(dataset.rpkm, index=dataset.gene_id)
    table = pd.concat(columns, axis=1, join="inner")
    if table.empty:
        raise DataError(f"The cell types {', '.join(columns)} share no gene.")
    return table


def genes_by_split(datasets: Mapping[str, HistoneDataset]) -> dict[str, list[str]]:
    """Gene ids of each split, those that all datasets share and place alike, in order."""
    splits = [pd.Series(data.split, index=data.gene_id) for data in datasets.values()]
    table = pd.concat(splits, axis=1, join="inner")
    alike = table.nunique(axis=1) == 1
    return {split: table.index[alike & (table.iloc[:, 0] == split)].tolist() for split in SPLITS}


def correlation_summary(correlations: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The heat maps of Figure 3 in numbers, one row a set of genes.

    Parameters
    ----------
    correlations : mapping
        Correlation matrix of the same cell types over each set of genes, training genes first.

    Returns
    -------
    DataFrame
        Columns split, mean, lowest and highest correlation between two cell types, and
        similarity: Pearson correlation of the matrix's entries with the first matrix's.

    Raises
    ------
    DataError
        If there are fewer than three cell types.
    """
    first = between_cells(next(iter(correlations.values())))
    if len(first) < 3:
        raise DataError("Comparing correlations needs at least three cell types; store more.")
    rows = []
    for split, matrix in correlations.items():
        pairs = between_cells(matrix)
        similarity = np.corrcoef(first, pairs)[0, 1]
        row = {"mean": pairs.mean(), "lowest": pairs.min(), "highest": pairs.max()}
        rows.append({"split": split, **row, "similarity": similarity})
    return pd.DataFrame(rows)


def mean_with_others(correlations: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Mean correlation of every cell type with the others, a table (cell, split)."""
    return pd.DataFrame(
        {
            split: (matrix.sum() - np.diag(matrix)) / (len(matrix) - 1)
            for split, matrix in correlations.items()
        }
    )


def one_column_off(rpkm: pd.DataFrame) -> pd.DataFrame:
    """Every cell type with the expression of the next column; the last one comes out empty (NaN).

    What a reader gets from Roadmap's table that takes its header for one column too few, as the
    released code did.
    """
    return rpkm.shift(-1, axis=1)


def study_correlation(
    datasets: Mapping[str, HistoneDataset], alignment: str = "aligned", *, log: bool = False
) -> pd.DataFrame:
    """Correlation of expression between the cell types of a study, over training genes.

    Between Roadmap's cell types it is that of the whole table's first 6,601 rows, as the paper
    computed it; otherwise that of the training genes which all datasets share.

    Parameters
    ----------
    alignment : {"aligned", "released"}
        ``"released"``: columns one off (see `one_column_off`).
    log : bool
        Correlate log (1 + RPKM) in place of RPKM, which a few genes dominate; aligned only.

    Returns
    -------
    DataFrame (cell, cell)
        NaN for a cell type without a column.

    Raises
    ------
    DataError
        If the alignment is unknown, or logarithms are asked for with columns one off.
    """
    if alignment not in ALIGNMENTS or (log and alignment != "aligned"):
        raise DataError(f"No correlation for alignment {alignment!r} with log={log}.")
    cells = list(datasets)
    measured = all(data.source == "roadmap" for data in datasets.values())
    known = published.rpkm_correlation("log" if log else alignment) if measured else None
    if known is not None and set(cells) <= set(known.index):
        return known.loc[cells, cells]
    rpkm = expression_of(datasets).loc[genes_by_split(datasets)["train"]]
    rpkm = one_column_off(rpkm) if alignment == "released" else rpkm
    return expression_correlation(np.log1p(rpkm) if log else rpkm)
