"""The correlations behind the cross-cell training sets, read rightly and one column off.

The training sets themselves come from `dc2lib.crosscell`; here they are compared with the released
ones, and with what predicts the released cross-cell scores.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from dc2lib.datasets import published
from dc2lib.errors import DataError

THRESHOLDS = {"highly": 0.75, "somewhat": 0.5}
RELEASED_NAMES = {"highly": "inclusive_high", "somewhat": "inclusive_somewhat"}
ALIGNMENTS = ("released", "aligned")


def training_sets(correlation: pd.DataFrame, kind: str) -> dict[str, list[str]]:
    """Cell types that correlate with each cell type beyond a threshold, itself among them.

    Section 3.3 of DeepChrome 2.0, the inclusive sets.

    Parameters
    ----------
    correlation : DataFrame (cell, cell)
        Cell types whose correlations are missing take no part.
    kind : {"highly", "somewhat"}
        Above 0.75, or above 0.5.

    Raises
    ------
    DataError
        If the kind is unknown.
    """
    if kind not in THRESHOLDS:
        raise DataError(f"unknown training sets {kind!r}: use {' or '.join(THRESHOLDS)}")
    known = correlation.index[correlation.notna().any(axis=1)]
    table = correlation.loc[known, known]
    above = table > THRESHOLDS[kind]
    return {
        cell: [other for other in known if other == cell or above.loc[cell, other]]
        for cell in known
    }


def sets_reproduced(kind: str, alignment: str) -> tuple[int, int]:
    """How many of the released training sets come out exactly, and how many there are.

    Parameters
    ----------
    kind : {"highly", "somewhat"}
    alignment : {"released", "aligned"}
        How the columns of the RPKM table are read.
    """
    released = published.released_training_sets()[RELEASED_NAMES[kind]]
    made = training_sets(published.rpkm_correlation(alignment), kind)
    exact = sum(set(made.get(cell, ())) == set(cells) for cell, cells in released.items())
    return exact, len(released)


def random_set_sizes() -> dict[int, int]:
    """How many of the released Random sets have each size."""
    sets = published.released_training_sets()
    sizes = [len(cells) for name in ("inclusive_random", "exclusive_random")
             for cells in sets[name].values()]
    return {int(size): int(number) for size, number in zip(*np.unique(sizes, return_counts=True),
                                                           strict=True)}


def transfer_pairs(alignment: str) -> pd.DataFrame:
    """Every released pair of training and test cell: correlation and change of AUROC (Figure 7).

    The change is the AUROC of the model trained elsewhere minus that of the test cell's own model
    (run ``deepchrome``).

    Returns
    -------
    DataFrame
        Columns train_cell, test_cell, correlation, change, flipped (share of the training cell's
        labels).
    """
    scores = published.released_test_on_rest()
    results = published.released_results().query("experiment == 'deepchrome'")
    own = results.set_index("cell")["test_auroc"]
    correlation = published.rpkm_correlation(alignment)
    pairs = scores.rename_axis(columns="test_cell").stack().rename("auroc").reset_index()
    pairs = pairs.dropna(subset=["auroc"])
    pairs["change"] = pairs["auroc"] - own.loc[pairs["test_cell"]].to_numpy()
    pairs["correlation"] = [
        correlation.loc[row.train_cell, row.test_cell] for row in pairs.itertuples()
    ]
    pairs["flipped"] = (
        published.label_audit()["labels_flipped"].loc[pairs["train_cell"]].to_numpy()
    )
    return pairs[["train_cell", "test_cell", "correlation", "change", "flipped"]]


def pearson(x: np.ndarray, y: np.ndarray) -> float:
    """Pearson's correlation of the complete pairs."""
    complete = np.isfinite(x) & np.isfinite(y)
    return float(np.corrcoef(np.asarray(x)[complete], np.asarray(y)[complete])[0, 1])
