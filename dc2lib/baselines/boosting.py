"""Gradient boosting on all bins: what one would reach for first today.

Source: Friedman 2001 (doi:10.1214/aos/1013203451), as scikit-learn's histogram version.  It needs
nothing but the counts, so nothing is missing.
"""

from __future__ import annotations

from sklearn.ensemble import HistGradientBoostingClassifier

from dc2lib.baselines.contract import Fitted, Genes, Setting

CANDIDATES: tuple[Setting, ...] = (
    {"leaves": 15, "learning_rate": 0.1},
    {"leaves": 31, "learning_rate": 0.1},
    {"leaves": 15, "learning_rate": 0.05},
)


def fit(train: Genes, valid: Genes, setting: Setting, seed: int) -> Fitted:
    """One hundred trees on the counts of every mark in every bin, half of them drawn a split."""
    model = HistGradientBoostingClassifier(
        max_leaf_nodes=int(setting["leaves"]),
        learning_rate=float(setting["learning_rate"]),
        max_features=0.5,
        early_stopping=False,
        random_state=seed,
    )
    model.fit(train.counts.reshape(len(train), -1), train.label)
    size = sum(len(tree.nodes) for step in model._predictors for tree in step)
    return Fitted(
        lambda counts: model.decision_function(counts.reshape(len(counts), -1)),
        parameters=size + 1,
    )
