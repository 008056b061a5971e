"""Gradient boosting on all bins: what one would reach for first today.

Source: Friedman 2001 (doi:10.1214/aos/1013203451), as scikit-learn's histogram version.  It needs
nothing but the counts, so nothing is missing.
"""

from __future__ import annotations

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from dc2lib.baselines.contract import Fitted, Genes, Setting

CANDIDATES: tuple[Setting, ...] = (
    {"leaves": 15, "learning_rate": 0.1},
    {"leaves": 31, "learning_rate": 0.1},
    {"leaves": 15, "learning_rate": 0.05},
)
OPTIONS = {"max_features": 0.5, "early_stopping": False}


def fit(train: Genes, valid: Genes, setting: Setting, seed: int) -> Fitted:
    """One hundred trees on the counts of every mark in every bin, half of them drawn a split."""
    model = HistGradientBoostingClassifier(
        max_leaf_nodes=int(setting["leaves"]),
        learning_rate=float(setting["learning_rate"]),
        random_state=seed,
        **OPTIONS,
    )
    model.fit(train.counts.reshape(len(train), -1), train.label)
    return Fitted(
        lambda counts: model.decision_function(counts.reshape(len(counts), -1)),
        parameters=n_parameters(model),
    )


def fit_regression(
    features: np.ndarray, target: np.ndarray, seed: int
) -> HistGradientBoostingRegressor:
    """The same trees for a target ``(gene,)`` that is a number, on features ``(gene, feature)``."""
    model = HistGradientBoostingRegressor(max_leaf_nodes=15, random_state=seed, **OPTIONS)
    return model.fit(features, target)


def n_parameters(model: HistGradientBoostingClassifier | HistGradientBoostingRegressor) -> int:
    """Nodes of all trees, and the value that they start from."""
    return sum(len(tree.nodes) for step in model._predictors for tree in step) + 1
