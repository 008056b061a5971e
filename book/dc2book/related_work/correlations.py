"""How well imputed marks agree with measured ones: intervals over test genes, differences paired.

The bins of a gene are not independent, so whole genes are resampled; a resample is one weighted
mean of the genes' moments, the same genes for every mark and every way to impute it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from dc2book.related_work.pairs import WAYS, correlation_of, moments_by_gene
from dc2lib.evaluation.scores import auroc
from dc2lib.evaluation.statistics import (
    Interval,
    bootstrap_auroc,
    paired_auroc_difference,
    percentile_interval,
)

INPUTS = dict(zip(WAYS, ("mean_profile", "other_marks", "other_marks_and_cell"), strict=True))
RECORDED = {
    "measured_mean_auroc": "measured",
    "imputed_mean_auroc": "imputed",
    "imputed_minus_measured_auroc": "difference",
    "imputed_minus_measured_distance": "further",
}


@dataclass(frozen=True)
class Correlations:
    """Correlations of imputed with measured marks, and the same on resampled genes.

    ``estimate``: float64 (mark, way), in the order of `dc2book.related_work.pairs.WAYS`. ``draws``:
    float64 (resample, mark, way); resamples are shared by all marks and ways, so any difference of
    two entries is paired. ``n``: test genes.
    """

    marks: tuple[str, ...]
    estimate: np.ndarray
    draws: np.ndarray
    n: int

    def interval(self, mark: str, way: str) -> Interval:
        """Of one mark, imputed in one way."""
        place = self.marks.index(mark), WAYS.index(way)
        return percentile_interval(self.estimate[place], self.draws[:, *place], self.n)

    def table(self) -> pd.DataFrame:
        """Of every mark and way: columns mark, inputs (`INPUTS`), estimate, low, high, n."""
        return pd.DataFrame([
            {"mark": mark, "inputs": inputs} | vars(self.interval(mark, way))
            for mark in self.marks
            for way, inputs in INPUTS.items()
        ])

    def mean_gain(self) -> Interval:
        """Mean over the marks of what the other cell type adds to the other marks, paired."""
        both, alone = WAYS.index("other_cell"), WAYS.index("others")
        gain, draws = (one[..., both] - one[..., alone] for one in (self.estimate, self.draws))
        return percentile_interval(gain.mean(), draws.mean(1), self.n)


def correlations(
    imputed: Mapping[str, Mapping[str, np.ndarray]], *, n_resamples: int = 1000, seed: int = 0
) -> Correlations:
    """Correlation over genes and bins of every mark and way to impute it, genes resampled.

    ``imputed``: by mark, moments ``(gene, 5)`` under each of `WAYS`, as `pairs.imputed_marks` gives
    them.
    """
    moments = np.stack([[one[way] for way in WAYS] for one in imputed.values()])
    draws = correlation_of(_resampled(moments, n_resamples, seed))
    return Correlations(tuple(imputed), correlation_of(moments.mean(2)), draws, moments.shape[2])


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

    Returns column mark, and of `Interval` measured, imputed, difference (imputed minus
    measured, paired over genes) and further: the same difference of the distances from 0.5,
    positive where the imputed mean says more about expression in whichever direction it points.
    """
    options = {"n_resamples": n_resamples, "seed": seed}
    rows = []
    for mark, one in imputed.items():
        label, measured, guessed = (one[name] for name in ("label", "measured", "imputed"))
        turned = [
            means if auroc(label, means) >= 0.5 else -means for means in (guessed, measured)
        ]
        rows.append({
            "mark": mark,
            "measured": bootstrap_auroc(label, measured, **options),
            "imputed": bootstrap_auroc(label, guessed, **options),
            "difference": paired_auroc_difference(label, guessed, measured, **options),
            "further": paired_auroc_difference(label, *turned, **options),
        })
    return pd.DataFrame(rows)
