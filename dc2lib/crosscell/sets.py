"""Which cell types each cross-cell experiment trains on (section 3.3 of the paper)."""

from __future__ import annotations

import numpy as np
import pandas as pd

from dc2lib.errors import DataError

THRESHOLDS = {"highly": 0.75, "somewhat": 0.5}
KINDS = ("own", "all", *THRESHOLDS, "random")
EXPERIMENTS = {
    "deepchrome": ("own", True),
    "inclusive_highly": ("highly", True),
    "exclusive_highly": ("highly", False),
    "inclusive_somewhat": ("somewhat", True),
    "exclusive_somewhat": ("somewhat", False),
    "inclusive_random": ("random", True),
    "exclusive_random": ("random", False),
    "inclusive_all": ("all", True),
    "exclusive_all": ("all", False),
}


def training_sets(
    correlation: pd.DataFrame,
    kind: str,
    *,
    inclusive: bool = True,
    n_random: int = 10,
    seed: int = 0,
) -> dict[str, tuple[str, ...]]:
    """Training cell types by test cell type.

    Parameters
    ----------
    correlation : DataFrame (cell, cell)
        Of expression. A cell type without any takes no part, as E128 took none in the paper.
    kind : {"own", "all", "highly", "somewhat", "random"}
        The test cell type itself (the paper's DeepChrome experiment); all; those that correlate
        with it above 0.75 or above 0.5; some drawn at random.
    inclusive : bool
        With the test cell type among them, or without.
    n_random : int
        Size of the random sets (10 in the paper, 8 in its released files); at most all.
    seed : int
        For the random sets. The exclusive set of a test cell type is the inclusive one with another
        cell type in its place.

    Returns
    -------
    dict
        In the order of `correlation`; a test cell type without any training cell type is left out.

    Raises
    ------
    DataError
        If the kind is unknown.
    """
    if kind not in KINDS:
        raise DataError(f"Unknown training sets {kind!r}: use one of {', '.join(KINDS)}.")
    cells = correlation.index[correlation.notna().any(axis=1)].tolist()
    sets = {}
    for number, cell in enumerate(cells):
        others = [other for other in cells if other != cell]
        if kind == "own":
            others = []
        elif kind == "random":
            rng = np.random.default_rng((seed, number))
            others = rng.permutation(others)[: n_random - inclusive].tolist()
        elif kind in THRESHOLDS:
            others = [o for o in others if correlation.loc[cell, o] > THRESHOLDS[kind]]
        chosen = {*others, cell} if inclusive else set(others)
        if chosen:
            sets[cell] = tuple(other for other in cells if other in chosen)
    return sets
