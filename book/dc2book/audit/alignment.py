"""The correlations behind the cross-cell training sets, read rightly and one column off.

The training sets and the statistics of pairs are those of `dc2lib.crosscell`.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from dc2lib.crosscell import exact_sets
from dc2lib.datasets import published

KINDS = ("highly", "somewhat")
ALIGNMENTS = ("released", "aligned")


def sets_reproduced() -> pd.DataFrame:
    """How many of the released training sets come out exactly, by kind and reading of the table.

    Returns
    -------
    DataFrame
        Columns kind, alignment, exact, cells.
    """
    rows = []
    for kind in KINDS:
        for alignment in ALIGNMENTS:
            exact, cells = exact_sets(published.rpkm_correlation(alignment), kind)
            rows.append({"kind": kind, "alignment": alignment, "exact": exact, "cells": cells})
    return pd.DataFrame(rows)


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
