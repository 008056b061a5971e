"""Linear regression of expression on mark totals (Karlic et al. 2010).

Source: doi:10.1073/pnas.0909344107.  There: 38 modifications and one histone variant in CD4+ T
cells, reads within 2 kb of the TSS, logarithms on both sides.  Of those the released data hold five
marks in another cell type, and they stand in; the window is theirs (20 bins on each side) or all.
"""

from __future__ import annotations

import numpy as np
from sklearn.linear_model import LinearRegression

from dc2lib.baselines.contract import Fitted, Genes, Setting, log_totals

CANDIDATES: tuple[Setting, ...] = ({"bins": 20}, {"bins": 50}, {"bins": 10})


def fit(train: Genes, valid: Genes, setting: Setting, seed: int) -> Fitted:
    """Ordinary least squares of log expression on log totals of the marks."""

    def features(counts: np.ndarray) -> np.ndarray:
        return log_totals(middle_bins(counts, int(setting["bins"])))

    model = LinearRegression().fit(features(train.counts), train.expression)
    return Fitted(
        lambda counts: model.predict(features(counts)),
        parameters=model.coef_.size + 1,
        about={"coefficients": model.coef_},
    )


def middle_bins(counts: np.ndarray, each_side: int) -> np.ndarray:
    """The ``each_side`` bins on each side of the TSS, ``(gene, 2 * each_side, mark)``."""
    middle = counts.shape[1] // 2
    return counts[:, max(middle - each_side, 0) : middle + each_side]
