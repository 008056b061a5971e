"""Results of the cross-cell experiments as tables: sections 3.3, 4.2 and 4.4 of the paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy import stats

from dc2lib.crosscell.experiments import training_size
from dc2lib.datasets import HistoneDataset, open_cell
from dc2lib.datasets.gene_windows import genome_blocks
from dc2lib.evaluation.scores import positive_score
from dc2lib.evaluation.statistics import Interval, bootstrap_mean_auroc, holm
from dc2lib.labels import label
from dc2lib.training.fit import levelled_off
from dc2lib.training.grid_fits import FitRecord

BASELINE = "deepchrome"


def converged(records: Mapping[tuple[str, str], FitRecord]) -> pd.DataFrame:
    """Share of the fits of each experiment whose validation curve has levelled off.

    Columns experiment, estimate, n (fits).
    """
    table = pd.DataFrame([
        {"experiment": name, "off": levelled_off(one.history["valid_auroc"])}
        for (name, _), one in records.items()
    ])
    grouped = table.groupby("experiment", sort=False)["off"]
    return grouped.agg(estimate="mean", n="size").reset_index()


def experiment_table(
    records: Mapping[tuple[str, str], FitRecord], correlation: pd.DataFrame
) -> pd.DataFrame:
    """Test AUROC of every experiment and cell type, with what might explain it.

    Columns experiment, cell, labels, auroc (probability scoring), cells and genes (trained on),
    correlation (mean over the training cell types; 1 for the test cell type itself), own (whether
    the test cell type is among them), change (auroc minus that of the test cell type's own model;
    NaN where that is missing).
    """
    table = pd.DataFrame([
        {"experiment": experiment, "cell": cell, "labels": one.fit.labels,
         "auroc": _test_auroc(one), "cells": len(one.fit.train_cells),
         "genes": training_size(one.fit),
         "correlation": float(correlation.loc[cell, list(one.fit.train_cells)].mean()),
         "own": cell in one.fit.train_cells}
        for (experiment, cell), one in records.items()
    ])  # fmt: skip
    own = table[table["experiment"] == BASELINE].set_index("cell")["auroc"]
    return table.assign(change=table["auroc"] - table["cell"].map(own))


def auroc_table(
    by_rule: Mapping[str, Mapping[tuple[str, str], FitRecord]], **options: float
) -> pd.DataFrame:
    """Test AUROC of each fit with its interval over stretches of the genome.

    Columns experiment, cell, labels, estimate, low, high, n (genes).
    """
    rows = []
    for rule, records in by_rule.items():
        for (experiment, cell), record in records.items():
            tags = {"experiment": experiment, "cell": cell, "labels": rule}
            rows.append(tags | vars(_mean([record], **options)))
    return pd.DataFrame(rows)


def experiment_means(
    records: Mapping[tuple[str, str], FitRecord], **options: float
) -> pd.DataFrame:
    """Mean test AUROC of each experiment over its test cell types, with intervals (Figure 6).

    Columns experiment, estimate, low, high, n (test cell types); ``options`` are those of
    `dc2lib.evaluation.statistics.bootstrap_mean_auroc`.
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

    Stretches of the genome are resampled jointly for all test cell types and, from five on, the
    test cell types too.
    The p-value is Student's over the differences of the test cell types, Holm-adjusted over the
    experiments; test cell types share training cell types, so it errs on the small side.

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
    """Mean test AUROC, or mean difference to others, over stretches of the genome and cells."""
    tests = [_test_genes(one) for one in records]
    labels = [label(test, one.fit.labels) for test, one in zip(tests, records, strict=True)]
    scores = [[positive_score(one.test_logits) for one in fits or ()] for fits in (records, others)]
    return bootstrap_mean_auroc(
        labels, scores[0], scores[1] or None, paired_fits=True,
        blocks=[genome_blocks(test.gene_id) for test in tests], **options,
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
