"""Difference of expression between two cell types, and one mark out of the others: two studies."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from dc2lib.baselines import deepdiff, ernst
from dc2lib.baselines.contract import genes_of, log_counts
from dc2lib.baselines.deepdiff import Pair, correlation, paired
from dc2lib.cache import cached
from dc2lib.datasets import HistoneDataset, check_alike
from dc2lib.datasets.histone import SPLITS
from dc2lib.evaluation.statistics import Interval
from dc2lib.signals import training_genes

N_SWAPPED = 500
WAYS = ("profile", "others", "other_cell")
ROUNDING = 1e-12


def pair_of(
    first: HistoneDataset, datasets: Mapping[str, HistoneDataset]
) -> tuple[HistoneDataset, HistoneDataset] | None:
    """A cell type and the first other one of its unit, both with the marks that they share.

    None if there is no such other one, or they share no mark.
    """
    for other in datasets.values():
        marks = [mark for mark in first.marks if mark in other.marks]
        if other.cell != first.cell and other.unit == first.unit and marks:
            return first.with_marks(marks), other.with_marks(marks)
    return None


def shared_genes(first: HistoneDataset, second: HistoneDataset) -> tuple[HistoneDataset, ...]:
    """Both cell types with the genes that both hold, in one order, split as in the first.

    Raises DataError if they differ in marks, bins or unit.
    """
    check_alike((first, second))
    _, here, there = np.intersect1d(first.gene_id, second.gene_id, return_indices=True)
    order = np.argsort(here)
    return first.select(here[order]), second.select(there[order])


def change_of_expression(
    first: HistoneDataset, second: HistoneDataset, *, epochs: int, n_train: int = 0, seed: int = 0
) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """Every method's prediction of the log fold change between two cell types.

    Methods are ``deepdiff`` and, for comparison, gradient boosting and linear regression on the
    differences and boosting on the sums (``level``).

    Returns columns method, estimate, low, high, n (Pearson over test genes, Fisher's interval),
    oddness (correlation with minus the answer to the exchanged cell types, over the first
    `N_SWAPPED` test genes), parameters, seconds; and by method the predicted log fold change of the
    test genes, and ``truth``.
    """
    both = shared_genes(first, second)
    train, valid, test = (
        paired(*(genes_of(_part(one, split, n_train, seed), "numeric") for one in both))
        for split in SPLITS
    )
    fits: dict[str, Callable[[], tuple]] = {
        "deepdiff": lambda: deepdiff.fit(train, valid, epochs=epochs, seed=seed),
        "boosting": lambda: deepdiff.fit_boosting(train, seed),
        "linear": lambda: deepdiff.fit_linear(train),
        "level": lambda: deepdiff.fit_level(train, seed),
    }
    settings = {"cells": [one.fingerprint for one in (first, second)]}
    settings |= {"epochs": epochs, "n_train": n_train, "seed": seed}
    rows, answers = [], {"truth": test.change}
    for method, fit in fits.items():
        result = cached("related", settings | {"change": method},
                        lambda fit=fit: _answered(fit, test), code=__name__)
        answers[method] = result["answer"]
        rows.append({
            "method": method,
            **vars(correlation_interval(result["answer"], test.change)),
            "oddness": correlation(result["answer"][:N_SWAPPED], -result["swapped"]),
            "parameters": int(result["parameters"]),
            "seconds": float(result["seconds"]),
        })
    return pd.DataFrame(rows), answers


def imputed_marks(
    first: HistoneDataset, second: HistoneDataset, *, n_positions: int = 8000, n_test: int = 1500,
    seed: int = 0,
) -> dict[str, dict[str, np.ndarray]]:
    """Each mark of the first cell type imputed from its other four, and from the second's too.

    Returns by mark, for at most ``n_test`` test genes: under each of `WAYS`, `moments_by_gene`
    ``(gene, 5)`` of the mean profile of the training genes, of the mark imputed from the others
    and from the same mark in the second cell type too; measured and imputed (from the others),
    the means of the mark ``(gene,)``; and the numeric label ``(gene,)``.
    """
    both = shared_genes(first, second)
    train, test = ([genes_of(one, "numeric", split) for one in both] for split in ("train", "test"))
    test = [one.take(np.arange(min(n_test, len(one)))) for one in test]
    options = {"n_positions": n_positions, "seed": seed}

    def compute(mark: int) -> dict[str, np.ndarray]:
        inputs = train[0].counts, test[0].counts, mark
        others = ernst.impute(*inputs, **options)
        other_cell = ernst.impute(*inputs, other_train=train[1].counts,
                                  other_test=test[1].counts, **options)
        measured = log_counts(test[0].counts[:, :, mark])
        profile = log_counts(train[0].counts[:, :, mark]).mean(0)
        return {
            "profile": moments_by_gene(np.broadcast_to(profile, measured.shape), measured),
            "others": moments_by_gene(others, measured),
            "other_cell": moments_by_gene(other_cell, measured),
            "measured": measured.mean(1),
            "imputed": others.astype(np.float32).mean(1),
            "label": test[0].label,
        }

    settings: dict[str, Any] = {"cells": [one.fingerprint for one in (first, second)]}
    settings |= options | {"n_test": n_test}
    return {
        mark: cached("related", settings | {"imputed": mark},
                     lambda number=number: compute(number), code=__name__)
        for number, mark in enumerate(first.marks)
    }


def moments_by_gene(answer: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """What a correlation over genes and bins needs of each gene, float64 ``(gene, 5)``.

    Means over the bins of the answer, the truth, both squared and their product; the answer and the
    truth ``(gene, bin)`` are counted from their first values, which no correlation notices.
    """
    first, second = (one.astype(np.float64) - np.float64(one.flat[0]) for one in (answer, truth))
    parts = first, second, first**2, second**2, first * second
    return np.stack([part.mean(1) for part in parts], axis=1)


def correlation_of(moments: np.ndarray) -> np.ndarray:
    """Pearson correlation ``(...)`` from moments ``(..., 5)``; 0 where either side is constant.

    The moments are those of `moments_by_gene`, averaged over the genes.
    """
    answer, truth, answer_square, truth_square, product = np.moveaxis(moments, -1, 0)
    spreads = answer_square - answer**2, truth_square - truth**2
    varies = (spreads[0] > ROUNDING * answer_square) & (spreads[1] > ROUNDING * truth_square)
    scale = np.sqrt(np.where(varies, spreads[0] * spreads[1], 1))
    return np.where(varies, (product - answer * truth) / scale, 0.0)


def correlation_interval(answer: np.ndarray, truth: np.ndarray) -> Interval:
    """Pearson correlation with Fisher's interval; no correlation where the answer is constant."""
    if np.ptp(answer) == 0:
        return Interval(0.0, 0.0, 0.0, len(truth))
    result = stats.pearsonr(answer, truth)
    bounds = result.confidence_interval()
    return Interval(float(result.statistic), float(bounds.low), float(bounds.high), len(truth))


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
