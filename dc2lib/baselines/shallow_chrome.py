"""Logistic regression on a few robust features a mark (after ShallowChrome, Frasca et al. 2022).

Source: doi:10.1186/s12859-022-04687-x.  There: one number a mark, read from peaks that a peak
caller finds near the TSS.  Peaks need the alignments, which the released data do not hold; the
highest level that a mark keeps over five bins stands in, alone or beside the mark's mean and the
share of bins in which it lies above its own background.
"""

from __future__ import annotations

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from dc2lib.baselines.contract import Fitted, Genes, Setting, log_counts

CANDIDATES: tuple[Setting, ...] = (
    {"features": "peak"},
    {"features": "peak, mean and breadth"},
    {"features": "peak and mean"},
)
WIDTH = 5


def fit(train: Genes, valid: Genes, setting: Setting, seed: int) -> Fitted:
    """Logistic regression on one, two or three numbers a mark."""
    background = np.quantile(log_counts(train.counts), 0.75, axis=(0, 1))
    names = str(setting["features"])

    def features(counts: np.ndarray) -> np.ndarray:
        return robust_features(counts, background, names)

    regression = LogisticRegression(C=100.0, max_iter=2000)
    model = make_pipeline(StandardScaler(), regression)
    model.fit(features(train.counts), train.label)
    return Fitted(
        lambda counts: model.decision_function(features(counts)),
        parameters=regression.coef_.size + 1,
        about={"coefficients": regression.coef_[0]},
    )


def robust_features(counts: np.ndarray, background: np.ndarray, names: str) -> np.ndarray:
    """The named features of each mark, float64 ``(gene, feature)``.

    ``peak``: the highest mean log count over `WIDTH` bins next to each other; ``mean``: the mean
    log count; ``breadth``: the share of bins above the mark's background ``(mark,)``.
    """
    signal = log_counts(counts).astype(np.float64)
    windows = np.lib.stride_tricks.sliding_window_view(signal, min(WIDTH, signal.shape[1]), axis=1)
    parts = [windows.mean(-1).max(1)]
    if "mean" in names:
        parts.append(signal.mean(1))
    if "breadth" in names:
        parts.append((signal > background).mean(1))
    return np.concatenate(parts, axis=1)
