"""The cross-cell experiments as fits, and their results as tables (sections 3.3, 4.2, 4.4)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import reduce

import numpy as np
import pandas as pd
from scipy import stats

from dc2lib.crosscell.cost import training_size
from dc2lib.crosscell.sets import EXPERIMENTS, training_sets
from dc2lib.datasets import HistoneDataset, open_cell
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
        for cell in sets if test_cells is None else test_cells:
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
    table = pd.DataFrame([
        {
            "experiment": experiment,
            "cell": cell,
            "labels": record.fit.labels,
            "auroc": _test_auroc(record),
            "cells": len(record.fit.train_cells),
            "genes": training_size(record.fit),
            "correlation": float(correlation.loc[cell, list(record.fit.train_cells)].mean()),
            "own": cell in record.fit.train_cells,
        }
        for (experiment, cell), record in records.items()
    ])
    own = table[table["experiment"] == BASELINE].set_index("cell")["auroc"]
    return table.assign(change=table["auroc"] - table["cell"].map(own))


def experiment_means(
    records: Mapping[tuple[str, str], FitRecord], **options: float
) -> pd.DataFrame:
    """Mean test AUROC of each experiment over its test cell types, with intervals (Figure 6).

    ``options`` are those of `dc2lib.evaluation.statistics.bootstrap_mean_auroc`.

    Returns
    -------
    DataFrame
        Columns experiment, estimate, low, high, n (test cell types).
    """
    rows = []
    for name in dict.fromkeys(experiment for experiment, _ in records):
        own = [record for (experiment, _), record in records.items() if experiment == name]
        rows.append({"experiment": name, **vars(_mean(own, **options)), "n": len(own)})
    return pd.DataFrame(rows)


def against_baseline(
    records: Mapping[tuple[str, str], FitRecord], **options: float
) -> pd.DataFrame:
    """Each experiment minus `BASELINE`, the own model, on the same test cell types and genes.

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
        pairs = [
            (record, records[BASELINE, cell])
            for (experiment, cell), record in records.items()
            if experiment == name and (BASELINE, cell) in records
        ]
        pairs = [(one, other) for one, other in pairs if one.fit != other.fit]
        if name == BASELINE or not pairs:
            continue
        interval = _mean(*zip(*pairs, strict=True), **options)
        row = {"experiment": name, **vars(interval), "n": len(pairs)}
        rows.append(row | {"pvalue": _paired_p(pairs)})
    table = pd.DataFrame(rows)
    return table.assign(holm=holm(table["pvalue"].to_numpy())) if len(table) else table


def _mean(
    records: Sequence[FitRecord], others: Sequence[FitRecord] | None = None, **options: float
) -> Interval:
    """Mean test AUROC, or mean difference to others, on the genes that all test cells share."""
    tests = [_test_genes(one) for one in records]
    shared = reduce(np.intersect1d, [test.gene_id for test in tests])
    genes = [np.isin(test.gene_id, shared) for test in tests]

    def scores(fits: Sequence[FitRecord]) -> list[np.ndarray]:
        return [
            positive_score(one.test_logits[rows]) for one, rows in zip(fits, genes, strict=True)
        ]

    labels = [
        label(test, one.fit.labels)[rows]
        for test, one, rows in zip(tests, records, genes, strict=True)
    ]
    return bootstrap_mean_auroc(
        labels, scores(records), None if others is None else scores(others), paired_fits=True,
        **options,
    )


def _paired_p(pairs: Sequence[tuple[FitRecord, FitRecord]]) -> float:
    differences = [_test_auroc(one) - _test_auroc(other) for one, other in pairs]
    if len(differences) < 2 or np.ptp(differences) == 0:
        return 1.0
    return float(stats.ttest_1samp(differences, 0).pvalue)


def _test_auroc(record: FitRecord) -> float:
    return record.test_auroc(label(_test_genes(record), record.fit.labels))


def _test_genes(record: FitRecord) -> HistoneDataset:
    return open_cell(record.fit.test_cell, record.fit.home).take("test")
