"""Cell types beside each other: how their expression goes together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from dc2lib.datasets import published
from dc2lib.datasets.histone import SPLITS, HistoneDataset
from dc2lib.datasets.rpkm import ALIGNMENTS
from dc2lib.errors import DataError

LEAST_CELLS = 6


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


def correlation_summary(
    correlations: Mapping[str, pd.DataFrame], *, n_resamples: int = 500, seed: int = 0
) -> pd.DataFrame:
    """The heat maps of Figure 3 in numbers, one row a set of genes.

    Parameters
    ----------
    correlations : mapping
        Correlation matrix of the same cell types over each set of genes, training genes first.

    Returns
    -------
    DataFrame
        Columns split, mean, lowest and highest correlation between two cell types, and
        similarity: Pearson correlation of the matrix's entries with the first matrix's, with its
        95 % bootstrap interval similarity_low, similarity_high over cell types (pairs of copies of
        one cell type left out; NaN with fewer than `LEAST_CELLS` cell types).

    Raises
    ------
    DataError
        If there are fewer than three cell types.
    """
    origin = next(iter(correlations.values()))
    first = between_cells(origin)
    if len(first) < 3:
        raise DataError("Comparing correlations needs at least three cell types; store more.")
    rows = []
    for split, matrix in correlations.items():
        pairs = between_cells(matrix)
        similarity = np.corrcoef(first, pairs)[0, 1]
        row = {"mean": pairs.mean(), "lowest": pairs.min(), "highest": pairs.max()}
        low, high = _similarity_interval(origin, matrix, n_resamples, seed)
        ends = {"similarity_low": low, "similarity_high": high}
        rows.append({"split": split, **row, "similarity": similarity, **ends})
    return pd.DataFrame(rows)


def _similarity_interval(
    first: pd.DataFrame, other: pd.DataFrame, n_resamples: int, seed: int
) -> tuple[float, float]:
    if len(first) < LEAST_CELLS:
        return float("nan"), float("nan")
    rng = np.random.default_rng(seed)
    one, two = first.to_numpy(), other.to_numpy()
    above = np.triu_indices(len(first), k=1)
    draws = []
    for _ in range(n_resamples):
        chosen = rng.integers(len(first), size=len(first))
        rows, columns = chosen[above[0]], chosen[above[1]]
        apart = rows != columns
        pairs = rows[apart], columns[apart]
        draws.append(np.corrcoef(one[pairs], two[pairs])[0, 1])
    low, high = np.quantile(draws, [0.025, 0.975])
    return float(low), float(high)


def mean_with_others(correlations: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Mean correlation of every cell type with the others, a table (cell, split)."""
    return pd.DataFrame(
        {
            split: (matrix.sum() - np.diag(matrix)) / (len(matrix) - 1)
            for split, matrix in correlations.items()
        }
    )


def fallen_behind(means: pd.DataFrame, by: float = 0.2) -> dict[str, list[str]]:
    """Cell types that are darker than in training genes, each against its heat map's average.

    Parameters
    ----------
    means
        As from `mean_with_others`.
    by
        By more than this much correlation.

    Returns
    -------
    dict
        Cell types by split, ``"valid"`` and ``"test"``.
    """
    centred = means - means.mean()
    return {
        split: means.index[centred[split] < centred["train"] - by].tolist()
        for split in ("valid", "test")
    }


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
