"""What Figures 3, 5, 6 and 9 of the paper show, as tables."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from dc2lib.crosscell.correlation import EXPERIMENTS, training_sets
from dc2lib.datasets import open_cell, published
from dc2lib.errors import DataError
from dc2lib.evaluation.pair_statistics import bootstrap, pearson
from dc2lib.evaluation.scores import positive_score
from dc2lib.evaluation.statistics import Interval
from dc2lib.training.grid_fits import FitRecord

RELEASED_NAMES = {"highly": "high", "somewhat": "somewhat"}
ALIGNMENTS = ("released", "aligned")


def released_sets_reproduced() -> pd.DataFrame:
    """How many of the released training sets come out exactly, by kind and reading of the table.

    A test cell type counts if both its inclusive and its exclusive set are the released ones.

    Returns
    -------
    DataFrame
        Columns kind, alignment (of the RPKM table: released, one column off, or aligned), exact,
        cells.
    """
    rows = []
    for kind in RELEASED_NAMES:
        for alignment in ALIGNMENTS:
            exact, cells = exact_sets(published.rpkm_correlation(alignment), kind)
            rows.append({"kind": kind, "alignment": alignment, "exact": exact, "cells": cells})
    return pd.DataFrame(rows)


def exact_sets(correlation: pd.DataFrame, kind: str) -> tuple[int, int]:
    """How many released training sets of a kind a correlation gives exactly, and of how many."""
    released = published.released_training_sets()
    exact = []
    for side, inclusive in (("inclusive", True), ("exclusive", False)):
        sets = training_sets(correlation, kind, inclusive=inclusive)
        listed = released[f"{side}_{RELEASED_NAMES[kind]}"]
        exact.append({cell for cell, own in listed.items() if set(sets.get(cell, ())) == set(own)})
    return len(exact[0] & exact[1]), len(listed)


def normalised_by_cell(table: pd.DataFrame) -> pd.DataFrame:
    """AUROC (experiment, cell), each cell type stretched from 0 (its worst) to 1 (its best).

    Figure 5 of the paper; NaN where an experiment has no training cell type.
    """
    wide = table.pivot(index="experiment", columns="cell", values="auroc")
    wide = wide.reindex([name for name in EXPERIMENTS if name in wide.index])
    wide = wide[table["cell"].drop_duplicates()]
    low, high = wide.min(), wide.max()
    return (wide - low) / (high - low).where(high > low)


def bar_correlation(
    table: pd.DataFrame, column: str, *, n_resamples: int = 1000, seed: int = 0
) -> Interval:
    """Rank correlation, over the experiments, of mean AUROC with the mean of another column.

    What the bars of Figure 6 show. The interval is from a bootstrap over the test cell types.

    Parameters
    ----------
    table
        As from `dc2lib.crosscell.experiments.experiment_table`, one label rule.
    column
        ``"correlation"`` or ``"genes"``.
    """
    cells = table["cell"].unique()
    by_cell = [
        table.pivot(index="experiment", columns="cell", values=name)[cells].to_numpy(np.float64)
        for name in (column, "auroc")
    ]

    def statistic(drawn: np.ndarray) -> float:
        known = np.isfinite(by_cell[1][:, drawn]).any(1)
        means = [np.nanmean(values[known][:, drawn], axis=1) for values in by_cell]
        return pearson(*(stats.rankdata(one) for one in means))

    estimate, low, high = bootstrap(
        statistic, len(cells), n_resamples=n_resamples, seed=seed
    )
    return Interval(float(estimate), float(low), float(high), len(by_cell[0]))


def size_and_correlation(
    table: pd.DataFrame, *, n_resamples: int = 1000, seed: int = 0
) -> pd.DataFrame:
    """Within test cell types: AUROC on the number of training genes and on correlation, together.

    Least squares of AUROC on log2 of the training genes, the mean correlation of the training cell
    types with the test cell type, and whether that is among them, after taking out each test cell
    type's mean. Intervals from a bootstrap over test cell types.

    Parameters
    ----------
    table
        As from `dc2lib.crosscell.experiments.experiment_table`; several may be stacked.

    Returns
    -------
    DataFrame
        Columns term (``"doubling"``: AUROC a doubling of the training genes; ``"correlation"``:
        AUROC for a correlation of 1 in place of 0; ``"own"``), estimate, low, high, n (rows).
    """
    columns = np.column_stack([
        np.log2(table["genes"]), table["correlation"], table["own"].astype(float), table["auroc"]
    ])
    parts = []
    for cell in table["cell"].unique():
        part = columns[(table["cell"] == cell).to_numpy()]
        parts.append(part - part.mean(0))

    def slopes(drawn: np.ndarray) -> np.ndarray:
        rows = np.concatenate([parts[i] for i in drawn])
        return np.linalg.lstsq(rows[:, :-1], rows[:, -1], rcond=None)[0]

    estimate, low, high = bootstrap(slopes, len(parts), n_resamples=n_resamples, seed=seed)
    return pd.DataFrame(
        {"term": ["doubling", "correlation", "own"], "estimate": estimate, "low": low,
         "high": high, "n": len(table)}
    )


def prediction_shift(one: FitRecord, other: FitRecord, n_bins: int = 20) -> pd.DataFrame:
    """Probability of high expression by one model minus that by another, by RPKM rank (Figure 9).

    Parameters
    ----------
    one, other
        Fits with the same test cell type.
    n_bins
        Bins of equal numbers of test genes, in the order of their RPKM.

    Returns
    -------
    DataFrame
        Columns cell, labels, position (middle of the bin, 0 to 1), mean, low, high (95 % interval
        of the mean over genes), lower, upper (quartiles of the genes), n (genes).

    Raises
    ------
    DataError
        If the fits have different test cell types.
    """
    cell = one.fit.test_cell
    if cell != other.fit.test_cell:
        raise DataError(
            f"one fit is tested on {cell} and the other on {other.fit.test_cell}: expected the"
            " same cell type"
        )
    shift = positive_score(one.test_logits) - positive_score(other.test_logits)
    rpkm = open_cell(cell, one.fit.home).take("test").rpkm
    rows = []
    for number, genes in enumerate(np.array_split(np.argsort(rpkm, kind="stable"), n_bins)):
        values = shift[genes]
        mean = values.mean()
        half = 1.96 * stats.sem(values) if len(values) > 1 else 0.0
        lower, upper = np.quantile(values, [0.25, 0.75])
        rows.append(
            {"cell": cell, "labels": one.fit.labels, "position": (number + 0.5) / n_bins,
             "mean": mean, "low": mean - half, "high": mean + half, "lower": lower,
             "upper": upper, "n": len(values)}
        )
    return pd.DataFrame(rows)
