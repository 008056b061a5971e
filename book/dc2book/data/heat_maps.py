"""The heat maps of Figure 3 in numbers: how alike they are, and which of their lines are dark."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from dc2lib.evaluation.pair_statistics import bootstrap

MIN_CELLS = 6
FEWEST_CELLS = 3


def stretched(correlation: pd.DataFrame) -> pd.DataFrame:
    """A heat map from 0, its smallest entry, to 1, its largest."""
    low, high = correlation.min(axis=None), correlation.max(axis=None)
    return (correlation - low) / (high - low) if high > low else correlation


def correlation_summary(
    correlations: Mapping[str, pd.DataFrame], *, n_resamples: int = 500, seed: int = 0
) -> pd.DataFrame:
    """What each heat map holds, and how alike it is to the first, one row per set of genes.

    ``correlations``: correlation matrix of the same cell types over each set of genes, training
    genes first.

    Returns columns split, mean, lowest and highest correlation between two cell types, and
    similarity: Pearson correlation of the matrix's entries with the first matrix's, with its 95 %
    bootstrap interval low, high over cell types (pairs of copies of one cell type left out; NaN
    with fewer than `MIN_CELLS` cell types).  All are NaN with fewer than `FEWEST_CELLS` cell types.
    """
    first = next(iter(correlations.values())).to_numpy()
    n = len(first)
    if n < FEWEST_CELLS:
        columns = ("mean", "lowest", "highest", "similarity", "low", "high")
        return pd.DataFrame({"split": list(correlations)} | dict.fromkeys(columns, np.nan))
    above = np.triu_indices(n, k=1)
    rows = []
    for split, table in correlations.items():
        matrix = table.to_numpy()

        def similarity(drawn: np.ndarray, matrix: np.ndarray = matrix) -> float:
            if len(np.unique(drawn)) < FEWEST_CELLS:  # one pair, which correlates with nothing
                return np.nan
            pairs = drawn[above[0]], drawn[above[1]]
            apart = pairs[0] != pairs[1]
            return np.corrcoef(first[pairs][apart], matrix[pairs][apart])[0, 1]

        found = [similarity(np.arange(n)), np.nan, np.nan] if n < MIN_CELLS else bootstrap(
            similarity, n, n_resamples=n_resamples, seed=seed)
        of_pairs = matrix[above]
        rows.append({"split": split, "mean": of_pairs.mean(), "lowest": of_pairs.min(),
                     "highest": of_pairs.max(),
                     **dict(zip(("similarity", "low", "high"), map(float, found), strict=True))})
    return pd.DataFrame(rows)


def long_table(matrices: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Heat maps by split as a table: columns cell, other, correlation, split."""
    return pd.concat([
        matrix.rename_axis("cell").reset_index()
        .melt("cell", var_name="other", value_name="correlation").assign(split=split)
        for split, matrix in matrices.items()
    ])


def dark_lines(
    correlations: Mapping[str, pd.DataFrame], by: float = 0.2
) -> dict[str, list[str]]:
    """Cell types that are darker than in training genes by more than so much correlation.

    A cell type's darkness is its mean correlation with the others against its heat map's average.

    Returns cell types by split, ``"valid"`` and ``"test"``.
    """
    means = pd.DataFrame({split: (matrix.sum() - np.diag(matrix)) / (len(matrix) - 1)
                          for split, matrix in correlations.items()})
    centred = means - means.mean()
    return {split: means.index[centred[split] < centred["train"] - by].tolist()
            for split in ("valid", "test")}
