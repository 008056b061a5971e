"""Difference of expression between two cell types, and one mark out of the others: two studies."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from scipy import stats
from sklearn.ensemble import HistGradientBoostingRegressor

from dc2book.related_work.cached_arrays import kept
from dc2lib.baselines import deepdiff, ernst
from dc2lib.baselines.contract import genes_of, log_counts
from dc2lib.baselines.deepdiff import Pair, correlation, paired
from dc2lib.datasets import SPLITS, HistoneDataset
from dc2lib.errors import DataError
from dc2lib.evaluation.statistics import Interval
from dc2lib.signals import training_genes

N_SWAPPED = 500
METHODS = {
    "deepdiff": "after DeepDiff",
    "boosting": "gradient boosting on differences",
    "linear": "linear regression on differences",
    "level": "level alone (boosting on sums)",
}


def another_cell(cell: str, datasets: Mapping[str, HistoneDataset]) -> HistoneDataset:
    """The first of the cell types that is not the named one.

    Raises
    ------
    DataError
        If there is no other.
    """
    for name, dataset in datasets.items():
        if name != cell:
            return dataset
    raise DataError(
        f"{cell} is the only cell type there is, and its partner is a second one: load more by "
        "`make data`, or simulate more (n_cells)"
    )


def shared_genes(first: HistoneDataset, second: HistoneDataset) -> tuple[HistoneDataset, ...]:
    """Both cell types with the genes that both hold, in one order, split as in the first."""
    _, here, there = np.intersect1d(first.gene_id, second.gene_id, return_indices=True)
    order = np.argsort(here)
    return first.select(here[order]), second.select(there[order])


def change_of_expression(
    first: HistoneDataset, second: HistoneDataset, *, epochs: int, n_train: int = 0, seed: int = 0
) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """Every method's prediction of the log fold change between two cell types.

    Returns
    -------
    table
        Columns method, correlation (an `Interval`, Pearson over test genes, Fisher's z), oddness
        (correlation with minus the answer to the exchanged cell types, over the first `N_SWAPPED`
        test genes), parameters, seconds.
    answers
        By method, the predicted log fold change of the test genes, and ``truth``.
    """
    both = shared_genes(first, second)
    pairs = {
        split: paired(*(genes_of(_part(one, split, n_train, seed), "numeric") for one in both))
        for split in SPLITS
    }
    fits: dict[str, Callable[[], tuple]] = {
        "deepdiff": lambda: deepdiff.fit(pairs["train"], pairs["valid"], epochs=epochs, seed=seed),
        "boosting": lambda: deepdiff.fit_boosting(pairs["train"], seed),
        "linear": lambda: deepdiff.fit_linear(pairs["train"]),
        "level": lambda: _fit_level(pairs["train"], seed),
    }
    test = pairs["test"]
    rows, answers = [], {"truth": test.change}
    for method, fit in fits.items():
        settings = {"method": method, "cells": [one.fingerprint for one in (first, second)]}
        settings |= {"epochs": epochs, "n_train": n_train, "seed": seed}
        found = kept("change", settings, __name__, lambda fit=fit: _answered(fit, test))
        answers[method] = found["answer"]
        rows.append(
            {
                "method": METHODS[method],
                "correlation": correlation_interval(found["answer"], test.change),
                "oddness": correlation(found["answer"][:N_SWAPPED], -found["swapped"]),
                "parameters": int(found["parameters"]),
                "seconds": float(found["seconds"]),
            }
        )
    return pd.DataFrame(rows), answers


def imputed_marks(
    first: HistoneDataset,
    second: HistoneDataset,
    *,
    n_positions: int = 8000,
    n_test: int = 1500,
    seed: int = 0,
) -> dict[str, dict[str, np.ndarray]]:
    """Each mark of the first cell type imputed from its other four, and from the second's too.

    Returns
    -------
    dict
        By mark, for at most ``n_test`` test genes: profile (of the mean profile), others, and
        other_cell (with the same mark in the second cell type), all `ernst.moments_by_gene`
        ``(gene, 5)``; measured and imputed (from the other four), the means of the mark
        ``(gene,)``; and the numeric label ``(gene,)``.
    """
    both = shared_genes(first, second)
    train, test = ([genes_of(one, "numeric", split) for one in both] for split in ("train", "test"))
    test = [one.take(np.arange(min(n_test, len(one)))) for one in test]
    found = {}
    for number, mark in enumerate(first.marks):
        settings = {"mark": mark, "cells": [one.fingerprint for one in (first, second)]}
        settings |= {"n_positions": n_positions, "n_test": n_test, "seed": seed}

        def compute(number: int = number) -> dict[str, np.ndarray]:
            options = {"n_positions": n_positions, "seed": seed}
            own = ernst.impute(train[0].counts, test[0].counts, number, **options)
            more = ernst.impute(
                train[0].counts, test[0].counts, number, **options,
                other_train=train[1].counts, other_test=test[1].counts,
            )
            return {
                "profile": own.profile_moments,
                "others": own.moments,
                "other_cell": more.moments,
                "measured": own.measured.mean(1),
                "imputed": own.imputed.mean(1),
                "label": test[0].label,
            }

        found[mark] = kept("imputed", settings, __name__, compute)
    return found


def correlation_interval(answer: np.ndarray, truth: np.ndarray) -> Interval:
    """Pearson correlation with Fisher's interval; no correlation where the answer is constant."""
    if np.ptp(answer) == 0:
        return Interval(0.0, 0.0, 0.0, len(truth))
    found = stats.pearsonr(answer, truth)
    bounds = found.confidence_interval()
    return Interval(float(found.statistic), float(bounds.low), float(bounds.high), len(truth))


def _part(dataset: HistoneDataset, split: str, n_train: int, seed: int) -> HistoneDataset:
    return training_genes(dataset, n_train, seed) if split == "train" else dataset.take(split)


def _answered(fit: Callable[[], tuple], test: Pair) -> dict[str, np.ndarray | float]:
    start = time.perf_counter()
    predict, parameters = fit()
    seconds = time.perf_counter() - start
    return {
        "answer": predict(test),
        "swapped": predict(test.take(slice(N_SWAPPED)).swapped()),
        "parameters": parameters,
        "seconds": seconds,
    }


def _fit_level(train: Pair, seed: int) -> tuple[Callable[[Pair], np.ndarray], int]:
    """Boosting on the sums of log counts, which cannot tell the cell types apart: a control."""

    def features(pair: Pair) -> np.ndarray:
        return (log_counts(pair.first) + log_counts(pair.second)).reshape(len(pair), -1)

    model = HistGradientBoostingRegressor(
        max_leaf_nodes=15, max_features=0.5, early_stopping=False, random_state=seed
    ).fit(features(train), train.change)
    size = sum(len(tree.nodes) for step in model._predictors for tree in step) + 1
    return lambda pair: model.predict(features(pair)), size
