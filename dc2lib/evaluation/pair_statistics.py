"""Statistics of pairs of cell types: they share cells, so they are no independent points.

A square table holds one value a pair, row = training cell, column = test cell; its diagonal is not
used.  Intervals come from a two-way bootstrap that draws training and test cells separately (Owen
2007, doi:10.1214/07-AOAS122), p-values from permuting the cells of one table, rows and columns
alike (Mantel 1967, Cancer Res. 27:209).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from dc2lib.errors import DataError
from dc2lib.evaluation.statistics import ENDS, Interval, percentile_interval

MIN_TRAIN_CELLS = 3
SWEEPS = 12
Statistic = Callable[[np.ndarray, np.ndarray], float]


def pearson(driver: np.ndarray, transfer: np.ndarray) -> float:
    """Pearson's r over all pairs, NaN entries left out (Figure 7).

    0 where one side does not vary, NaN where no pair is known.
    """
    use = np.isfinite(driver) & np.isfinite(transfer)
    if not use.any():
        return np.nan
    x, y = driver[use] - driver[use].mean(), transfer[use] - transfer[use].mean()
    scale = np.sqrt((x @ x) * (y @ y))
    return float(x @ y / scale) if scale > 0 else 0.0


def within_test_cells(driver: np.ndarray, transfer: np.ndarray) -> float:
    """Mean over the test cells of the rank correlation over their training cells."""
    correlations = rank_correlations(driver, transfer)
    known = correlations[np.isfinite(correlations)]
    return float(known.mean()) if len(known) else np.nan


def beyond_training_cell(driver: np.ndarray, transfer: np.ndarray) -> float:
    """As `within_test_cells`, after taking out how good each training cell is everywhere."""
    return within_test_cells(*pair_specific(driver, transfer))


def rank_correlations(driver: np.ndarray, transfer: np.ndarray) -> np.ndarray:
    """Spearman's correlation over the training cells of each test cell, ``(test cell,)``.

    0 where one side does not vary, NaN where fewer than three training cells are known.
    """
    use = np.isfinite(driver) & np.isfinite(transfer)
    n = use.sum(0)
    centred = []
    for table in (driver, transfer):
        ranks = np.where(use, rankdata(np.where(use, table, np.inf), axis=0), 0.0)
        centred.append(np.where(use, ranks - ranks.sum(0) / np.maximum(n, 1), 0.0))
    x, y = centred
    scale = np.sqrt((x**2).sum(0) * (y**2).sum(0))
    correlation = (x * y).sum(0) / np.where(scale > 0, scale, 1.0)
    return np.where(n >= MIN_TRAIN_CELLS, correlation, np.nan)


def pair_specific(driver: np.ndarray, transfer: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both tables without the mean of every training and of every test cell.

    A two-way additive fit over the pairs known in both; what is left belongs to the pair.
    """
    use = np.isfinite(driver) & np.isfinite(transfer)
    return _without_means(driver, use), _without_means(transfer, use)


STATISTICS: dict[str, Statistic] = {
    "pearson": pearson,
    "within_test_cells": within_test_cells,
    "beyond_training_cell": beyond_training_cell,
}


def two_way_interval(
    driver: pd.DataFrame,
    transfer: pd.DataFrame,
    statistic: str = "within_test_cells",
    *,
    n_resamples: int = 1000,
    seed: int = 0,
) -> Interval:
    """A statistic of two square tables with its two-way cluster bootstrap 95 % interval.

    The tables are (training cell, test cell), matched by name; the statistic is a name of
    `STATISTICS`.  Raises DataError if there are fewer than four cells.
    """
    x, y = _aligned(driver, transfer)
    compute = STATISTICS[statistic]
    rng = np.random.default_rng(seed)
    draws = []
    for _ in range(n_resamples):
        pairs = np.ix_(*rng.integers(len(x), size=(2, len(x))))
        draws.append(compute(x[pairs], y[pairs]))
    return percentile_interval(compute(x, y), draws, len(x))


def mantel(
    driver: pd.DataFrame,
    transfer: pd.DataFrame,
    statistic: str = "within_test_cells",
    *,
    n_permutations: int = 2000,
    seed: int = 0,
) -> float:
    """Two-sided p-value of a statistic when the driver's cells are permuted.

    Raises DataError if there are fewer than four cells.
    """
    x, y = _aligned(driver, transfer)
    compute = STATISTICS[statistic]
    rng = np.random.default_rng(seed)
    observed = abs(compute(x, y))
    orders = (rng.permutation(len(x)) for _ in range(n_permutations))
    larger = sum(
        not abs(compute(x[np.ix_(order, order)], y)) < observed - 1e-12 for order in orders
    )
    return (larger + 1) / (n_permutations + 1)


def bootstrap(
    statistic: Callable[[np.ndarray], float | np.ndarray],
    n: int,
    *,
    n_resamples: int = 1000,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A statistic of row numbers ``(n,)``, low and high end of its 95 % percentile interval.

    For what is resampled by one kind of unit; resamples whose statistic is NaN do not count.
    """
    rng = np.random.default_rng(seed)
    draws = [statistic(rng.integers(n, size=n)) for _ in range(n_resamples)]
    return np.asarray(statistic(np.arange(n))), *np.nanquantile(draws, ENDS, axis=0)


def each_test_cell(driver: pd.DataFrame, transfer: pd.DataFrame, statistic: str) -> pd.Series:
    """The rank correlation of every test cell, whose mean the statistic is."""
    x, y = _aligned(driver, transfer)
    if statistic == "beyond_training_cell":
        x, y = pair_specific(x, y)
    return pd.Series(rank_correlations(x, y), index=transfer.columns)


def by_training_cell(values: pd.Series) -> pd.DataFrame:
    """A property of the training cell as a driver: the same for all test cells."""
    return pd.DataFrame(dict.fromkeys(values.index, values), dtype=np.float64)


def pair_table(driver: pd.DataFrame, transfer: pd.DataFrame) -> pd.DataFrame:
    """One row a pair of different cells: train_cell, test_cell, driver, auroc, change.

    ``change`` is the AUROC minus that of the test cell's own model, the diagonal of `transfer`.
    """
    rows, columns = np.nonzero(~np.eye(len(transfer), dtype=bool))
    x = driver.loc[transfer.index, transfer.columns]
    return pd.DataFrame(
        {
            "train_cell": transfer.index[rows],
            "test_cell": transfer.columns[columns],
            "driver": x.to_numpy()[rows, columns],
            "auroc": transfer.to_numpy()[rows, columns],
            "change": change_from_own(transfer).to_numpy()[rows, columns],
        }
    )


def change_from_own(transfer: pd.DataFrame) -> pd.DataFrame:
    """AUROC minus that of the test cell's own model (training cell, test cell)."""
    return transfer - np.diag(transfer)


def _aligned(driver: pd.DataFrame, transfer: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    cells = transfer.index.tolist()
    if len(cells) <= MIN_TRAIN_CELLS or transfer.columns.tolist() != cells:
        raise DataError(
            f"transfer between {len(cells)} cell types: a rank correlation needs a square table of"
            f" at least {MIN_TRAIN_CELLS + 1} cell types; store more or simulate them."
        )
    y = transfer.to_numpy(dtype=np.float64).copy()
    np.fill_diagonal(y, np.nan)
    return driver.loc[cells, cells].to_numpy(dtype=np.float64), y


def _without_means(table: np.ndarray, use: np.ndarray) -> np.ndarray:
    left = np.where(use, table, 0.0)
    for _ in range(SWEEPS):
        for axis in (0, 1):
            n = np.maximum(use.sum(axis, keepdims=True), 1)
            left = np.where(use, left - left.sum(axis, keepdims=True) / n, 0.0)
    return np.where(use, np.round(left, 12), np.nan)
