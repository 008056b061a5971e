"""DeepChrome: a convolution over all marks and two hidden layers (Singh et al. 2016).

Source: doi:10.1093/bioinformatics/btw427; the network itself is in `dc2lib.models`.  The
description is of these very inputs, so nothing is missing.  It trains on raw counts by SGD for 100
epochs; here it gets the tuned recipe (log counts, Adam), like every network of the table.

On the released split the study takes its fits from `dc2lib.grid`, which other chapters share; for
other splits it calls `fit`, which trains the same network in the same way.
"""

from __future__ import annotations

from dc2lib.baselines.contract import Fitted, Genes, Setting
from dc2lib.baselines.network import fit_network
from dc2lib.models.deepchrome import DeepChrome, TemporalMeanLinear

CANDIDATES: tuple[Setting, ...] = tuple({"learning_rate": r} for r in (1e-3, 3e-4, 3e-3))
LINEAR_CANDIDATES: tuple[Setting, ...] = tuple({"learning_rate": r} for r in (1e-1, 1e-2, 1.0))


def fit(train: Genes, valid: Genes, setting: Setting, seed: int) -> Fitted:
    """DeepChrome with max pooling."""
    return fit_network(DeepChrome, train, valid, setting, seed)


def fit_linear(train: Genes, valid: Genes, setting: Setting, seed: int) -> Fitted:
    """The linear model of DeepChrome 2.0, section 3.4: 12 parameters for five marks."""
    return fit_network(lambda marks, bins: TemporalMeanLinear(marks), train, valid, setting, seed)
