"""How well imputed marks agree with measured ones: intervals over test genes, differences paired.

The bins of a gene are not independent, so whole genes are resampled; a resample is one weighted
mean of the genes' moments, the same genes for every mark and every way to impute it.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from dc2book.related_work.pairs import WAYS, correlation_of, moments_by_gene
from dc2lib.evaluation import statistics
from dc2lib.evaluation.scores import auroc
from dc2lib.evaluation.statistics import Interval, percentile_interval

INPUTS = dict(zip(WAYS, ("mean_profile", "other_marks", "other_marks_and_cell"), strict=True))


def correlations(
    imputed: Mapping[str, Mapping[str, np.ndarray]], *, n_resamples: int = 1000, seed: int = 0
) -> tuple[pd.DataFrame, Interval]:
    """Correlation over genes and bins of every mark and way to impute it, genes resampled.

    ``imputed``: by mark, moments ``(gene, 5)`` under each of `WAYS`, as `pairs.imputed_marks` gives
    them.

    Returns columns mark, inputs (`INPUTS`), estimate, low, high, n (test genes); and the mean over
    the marks of what the other cell type adds to the other marks, paired.
    """
    moments = np.stack([[one[way] for way in WAYS] for one in imputed.values()])
    n = moments.shape[2]
    estimate = correlation_of(moments.mean(2))  # (mark, way)
    draws = correlation_of(_resampled(moments, n_resamples, seed))  # (resample, mark, way)
    both, alone = WAYS.index("other_cell"), WAYS.index("others")
    gain, gain_draws = (one[..., both] - one[..., alone] for one in (estimate, draws))
    return pd.DataFrame([
        {"mark": mark, "inputs": inputs}
        | vars(percentile_interval(estimate[i, j], draws[:, i, j], n))
        for i, mark in enumerate(imputed) for j, inputs in enumerate(INPUTS.values())
    ]), percentile_interval(gain.mean(), gain_draws.mean(1), n)


def correlation_difference(
    truth: np.ndarray, first: np.ndarray, second: np.ndarray, *, n_resamples: int = 1000,
    seed: int = 0,
) -> Interval:
    """Pearson correlation of one answer with the truth minus that of another, paired bootstrap.

    ``truth``, ``first``, ``second``: all ``(gene,)``; the genes are resampled jointly. A constant
    answer has no correlation.
    """
    moments = np.stack([moments_by_gene(one[:, None], truth[:, None]) for one in (first, second)])
    estimate = correlation_of(moments.mean(1))
    draws = correlation_of(_resampled(moments, n_resamples, seed))
    return percentile_interval(estimate[0] - estimate[1], draws[:, 0] - draws[:, 1], len(truth))


def _resampled(moments: np.ndarray, n_resamples: int, seed: int) -> np.ndarray:
    """Moments ``(..., gene, 5)`` averaged over genes that are drawn, ``(resample, ..., 5)``."""
    n = moments.shape[-2]
    drawn = np.random.default_rng(seed).integers(n, size=(n_resamples, n))
    weights = np.stack([np.bincount(row, minlength=n) for row in drawn]) / n
    return np.tensordot(weights, moments, axes=(1, moments.ndim - 2))


def expression_aurocs(
    imputed: Mapping[str, Mapping[str, np.ndarray]], *, n_resamples: int = 1000, seed: int = 0
) -> pd.DataFrame:
    """How a mark's mean ranks the genes by expression, as measured and as imputed.

    ``imputed``: by mark, measured and imputed means and label, each ``(gene,)``.

    Returns columns key, mark, estimate, low, high, n.  Keys are the AUROCs of both means, their
    paired difference, and ``imputed_minus_measured_distance``: the same difference of the distances
    from 0.5, positive where the imputed mean says more about expression in whichever direction it
    points.
    """
    options = {"n_resamples": n_resamples, "seed": seed}
    rows = []
    for mark, one in imputed.items():
        label, measured, guessed = (one[name] for name in ("label", "measured", "imputed"))
        turned = [means if auroc(label, means) >= 0.5 else -means for means in (guessed, measured)]
        difference = statistics.paired_auroc_difference
        rows += [{"key": key, "mark": mark} | vars(found) for key, found in {
            "measured_mean_auroc": statistics.bootstrap_auroc(label, measured, **options),
            "imputed_mean_auroc": statistics.bootstrap_auroc(label, guessed, **options),
            "imputed_minus_measured_auroc": difference(label, guessed, measured, **options),
            "imputed_minus_measured_distance": difference(label, *turned, **options),
        }.items()]
    return pd.DataFrame(rows)
