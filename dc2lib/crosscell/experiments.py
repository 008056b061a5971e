"""The cross-cell experiments as fits, and their results as tables (sections 3.3, 4.2, 4.4)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from scipy import stats

from dc2lib.crosscell.cost import training_size
from dc2lib.crosscell.sets import EXPERIMENTS, training_sets
from dc2lib.datasets import HistoneDataset, open_cell
from dc2lib.errors import DataError
from dc2lib.evaluation.pair_statistics import pearson
from dc2lib.evaluation.scores import positive_score
from dc2lib.evaluation.statistics import Interval, bootstrap_mean_auroc, holm
from dc2lib.labels import label
from dc2lib.training.grid_fits import Fit, FitRecord

BASELINE = "deepchrome"


def planned_experiments(
    base: Fit,
    correlation: pd.DataFrame,
    *,
    experiments: Iterable[str] = tuple(EXPERIMENTS),
    test_cells: Sequence[str] | None = None,
    n_random: int = 10,
    set_seed: int = 0,
) -> dict[tuple[str, str], Fit]:
    """One fit an experiment and test cell type, by (experiment, cell).

    Parameters
    ----------
    base : Fit
        What the fits have in common; its cell types are replaced.
    correlation : DataFrame (cell, cell)
        Of expression, see `training_sets`.
    experiments
        Names of `EXPERIMENTS`.
    test_cells
        Default: every cell type with a training set.
    n_random, set_seed
        Size and seed of the random sets.
    """
    fits = {}
    for name in experiments:
        kind, inclusive = EXPERIMENTS[name]
        sets = training_sets(
            correlation, kind, inclusive=inclusive, n_random=n_random, seed=set_seed
        )
        for cell in test_cells if test_cells is not None else sets:
            if cell in sets:
                fits[name, cell] = replace(base, train_cells=sets[cell], test_cell=cell)
    return fits


def experiment_table(
    records: Mapping[tuple[str, str], FitRecord], correlation: pd.DataFrame
) -> pd.DataFrame:
    """Test AUROC of every experiment and cell type, with what might explain it.

    Returns
    -------
    DataFrame
        Columns experiment, cell, labels, auroc (probability scoring), cells (trained on), genes
        (trained on), correlation (mean over the training cell types; 1 for the test cell type
        itself), own (whether the test cell type is among them), change (auroc minus that of the
        test cell type's own model; NaN where that is missing).
    """
    rows = []
    for (experiment, cell), record in records.items():
        fit = record.fit
        test = _test_genes(cell, fit.home)
        rows.append(
            {
                "experiment": experiment,
                "cell": cell,
                "labels": fit.labels,
                "auroc": record.test_auroc(label(test, fit.labels)),
                "cells": len(fit.train_cells),
                "genes": training_size(fit),
                "correlation": float(correlation.loc[cell, list(fit.train_cells)].mean()),
                "own": cell in fit.train_cells,
            }
        )
    table = pd.DataFrame(rows)
    own = table[table["experiment"] == BASELINE].set_index("cell")["auroc"]
    table["change"] = table["auroc"] - table["cell"].map(own)
    return table


def normalised_by_cell(table: pd.DataFrame) -> pd.DataFrame:
    """AUROC (experiment, cell), each cell type stretched from 0 (its worst) to 1 (its best).

    Figure 5 of the paper; NaN where an experiment has no training cell type.
    """
    wide = table.pivot(index="experiment", columns="cell", values="auroc")
    wide = wide.reindex([name for name in EXPERIMENTS if name in wide.index])
    wide = wide[table["cell"].drop_duplicates()]
    low, high = wide.min(), wide.max()
    return (wide - low) / (high - low).where(high > low)


def experiment_means(
    records: Mapping[tuple[str, str], FitRecord], **options: float
) -> pd.DataFrame:
    """Mean test AUROC of each experiment over its test cell types, with intervals (Figure 6).

    Returns
    -------
    DataFrame
        Columns experiment, estimate, low, high, n (test cell types).
    """
    rows = []
    for name in dict.fromkeys(experiment for experiment, _ in records):
        cells = [cell for experiment, cell in records if experiment == name]
        interval = _mean([records[name, cell] for cell in cells], **options)
        rows.append({"experiment": name, **vars(interval), "n": len(cells)})
    return pd.DataFrame(rows)


def bar_correlation(
    table: pd.DataFrame,
    column: str,
    *,
    n_resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Rank correlation, over the experiments, of mean AUROC with the mean of another column.

    What the bars of Figure 6 show. The interval is from a bootstrap over the test cell types.

    Parameters
    ----------
    table
        As from `experiment_table`, one label rule.
    column
        ``"correlation"`` or ``"genes"``.
    """
    cells = table["cell"].unique()
    wide = [
        table.pivot(index="experiment", columns="cell", values=name)[cells].to_numpy(np.float64)
        for name in (column, "auroc")
    ]

    def bars(drawn: np.ndarray) -> float:
        known = np.isfinite(wide[1][:, drawn]).any(1)
        means = [np.nanmean(one[known][:, drawn], axis=1) for one in wide]
        return pearson(*(stats.rankdata(one) for one in means))

    rng = np.random.default_rng(seed)
    draws = [bars(rng.integers(len(cells), size=len(cells))) for _ in range(n_resamples)]
    low, high = np.nanquantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return Interval(bars(np.arange(len(cells))), float(low), float(high), len(wide[0]))


def against_baseline(
    records: Mapping[tuple[str, str], FitRecord], baseline: str = BASELINE, **options: float
) -> pd.DataFrame:
    """Each experiment minus the baseline on the same test cell types and genes.

    Genes are resampled jointly for all test cell types and, from five on, the test cell types too.
    The p-value is Student's over the differences of the test cell types, Holm-adjusted over the
    experiments; test cell types share training cell types, so it errs on the small side.

    Returns
    -------
    DataFrame
        Columns experiment, estimate, low, high, n (test cell types), pvalue, holm.
    """
    rows = []
    for name in dict.fromkeys(experiment for experiment, _ in records):
        cells = [c for e, c in records if e == name and (baseline, c) in records]
        pairs = [(records[name, c], records[baseline, c]) for c in cells]
        pairs = [(one, other) for one, other in pairs if one.fit != other.fit]
        if name == baseline or not pairs:
            continue
        interval = _mean([one for one, _ in pairs], [other for _, other in pairs], **options)
        row = {"experiment": name, **vars(interval), "n": len(pairs)}
        rows.append(row | {"pvalue": _paired_p(pairs)})
    table = pd.DataFrame(rows)
    if len(table):
        table["holm"] = holm(table["pvalue"].to_numpy())
    return table


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
    if one.fit.test_cell != other.fit.test_cell:
        raise DataError(
            f"one fit is tested on {one.fit.test_cell} and the other on {other.fit.test_cell}:"
            " expected the same cell type"
        )
    shift = positive_score(one.test_logits) - positive_score(other.test_logits)
    rpkm = _test_genes(one.fit.test_cell, one.fit.home).rpkm
    bins = np.array_split(np.argsort(rpkm, kind="stable"), n_bins)
    rows = []
    for number, genes in enumerate(bins):
        values = shift[genes]
        half = 1.96 * stats.sem(values) if len(values) > 1 else 0.0
        lower, upper = np.quantile(values, [0.25, 0.75])
        rows.append(
            {"position": (number + 0.5) / n_bins, "mean": values.mean(),
             "low": values.mean() - half, "high": values.mean() + half, "lower": lower,
             "upper": upper, "n": len(values)}
        )
    table = pd.DataFrame(rows)
    table.insert(0, "cell", one.fit.test_cell)
    table.insert(1, "labels", one.fit.labels)
    return table


def size_and_correlation(
    table: pd.DataFrame, *, n_resamples: int = 1000, level: float = 0.95, seed: int = 0
) -> pd.DataFrame:
    """Within test cell types: AUROC on the number of training genes and on correlation, together.

    Least squares of AUROC on log2 of the training genes, the mean correlation of the training cell
    types with the test cell type, and whether that is among them, after taking out each test cell
    type's mean. Intervals from a bootstrap over test cell types.

    Parameters
    ----------
    table
        As from `experiment_table`; several set-ups may be stacked.

    Returns
    -------
    DataFrame
        Columns term (``"doubling"``: AUROC a doubling of the training genes; ``"correlation"``:
        AUROC for a correlation of 1 in place of 0; ``"own"``), estimate, low, high, n (rows).
    """
    cells = table["cell"].drop_duplicates().tolist()
    design = np.column_stack(
        [np.log2(table["genes"]), table["correlation"], table["own"].astype(float)]
    )
    centred = np.column_stack([design, table["auroc"]])
    parts = []
    for cell in cells:
        part = centred[(table["cell"] == cell).to_numpy()]
        parts.append(part - part.mean(0))
    estimate = _slopes(parts)
    rng = np.random.default_rng(seed)
    draws = np.array([
        _slopes([parts[i] for i in rng.integers(len(parts), size=len(parts))])
        for _ in range(n_resamples)
    ])
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return pd.DataFrame(
        {"term": ["doubling", "correlation", "own"], "estimate": estimate, "low": low,
         "high": high, "n": len(table)}
    )


def _mean(
    records: Sequence[FitRecord], others: Sequence[FitRecord] | None = None, **options: float
) -> Interval:
    tests = [_test_genes(one.fit.test_cell, one.fit.home) for one in records]
    shared = _shared_genes(tests)
    labels = [
        label(test, one.fit.labels)[genes]
        for one, test, genes in zip(records, tests, shared, strict=True)
    ]
    return bootstrap_mean_auroc(
        labels,
        _scores(records, shared),
        None if others is None else _scores(others, shared),
        paired_fits=True,
        **options,
    )


def _scores(records: Sequence[FitRecord], genes: Sequence[np.ndarray]) -> list[np.ndarray]:
    return [
        positive_score(one.test_logits[chosen])[None]
        for one, chosen in zip(records, genes, strict=True)
    ]


def _shared_genes(tests: Sequence[HistoneDataset]) -> list[np.ndarray]:
    """Rows of the genes that all cell types have, in the same order for each."""
    shared = set.intersection(*(set(test.gene_id.tolist()) for test in tests))
    return [
        np.array([row for row, gene in enumerate(test.gene_id.tolist()) if gene in shared])
        for test in tests
    ]


def _paired_p(pairs: Sequence[tuple[FitRecord, FitRecord]]) -> float:
    differences = []
    for one, other in pairs:
        truth = label(_test_genes(one.fit.test_cell, one.fit.home), one.fit.labels)
        differences.append(one.test_auroc(truth) - other.test_auroc(truth))
    if len(differences) < 2 or np.ptp(differences) == 0:
        return 1.0
    return float(stats.ttest_1samp(differences, 0).pvalue)


def _slopes(parts: list[np.ndarray]) -> np.ndarray:
    rows = np.concatenate(parts)
    return np.linalg.lstsq(rows[:, :-1], rows[:, -1], rcond=None)[0]


def _test_genes(cell: str, home: str) -> HistoneDataset:
    return open_cell(cell, home).take("test")
