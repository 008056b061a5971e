"""Random forest for on or off, then regression of expression (Dong et al. 2012).

Source: doi:10.1186/gb-2012-13-9-r53.  There: ENCODE cell lines, 11 marks, one variant and DNase I;
in the gene's body and around its ends; each mark is read in the bin where it goes best with
expression; a forest says whether a gene is on, a regression how much it is expressed, and the
prediction is their product.  The released data hold five marks around the start, which stand in.
The forest's vote is not cut to 0 or 1, so that genes can be ranked.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import Ridge

from dc2lib.baselines.contract import Fitted, Genes, Setting, log_counts

CANDIDATES: tuple[Setting, ...] = (
    {"regression": "linear", "leaf": 5},
    {"regression": "forest", "leaf": 5},
    {"regression": "linear", "leaf": 1},
)
TREES = 100


def fit_best_bin(train: Genes, valid: Genes, setting: Setting, seed: int) -> Fitted:
    """Each mark in the bin where it goes best with expression: as many features as marks."""
    best = best_bins(train)
    marks = np.arange(len(best))
    return _two_steps(train, setting, seed, lambda counts: log_counts(counts[:, best, marks]), best)


def fit_all_bins(train: Genes, valid: Genes, setting: Setting, seed: int) -> Fitted:
    """Every mark in every bin."""
    return _two_steps(
        train, setting, seed, lambda counts: log_counts(counts.reshape(len(counts), -1)), None
    )


def best_bins(train: Genes) -> np.ndarray:
    """Bin of the highest absolute correlation with expression, ``(mark,)``."""
    signal = log_counts(train.counts)
    centred = signal - signal.mean(0)
    target = train.expression - train.expression.mean()
    along = np.einsum("gbm,g->bm", centred, target.astype(np.float32))
    return np.abs(along / (np.sqrt((centred**2).sum(0)) + 1e-9)).argmax(0)


def _two_steps(
    train: Genes,
    setting: Setting,
    seed: int,
    features: Callable[[np.ndarray], np.ndarray],
    best: np.ndarray | None,
) -> Fitted:
    x = features(train.counts)
    options = {"min_samples_leaf": int(setting["leaf"]), "max_features": "sqrt"}
    switch = RandomForestClassifier(TREES, random_state=seed, **options).fit(x, train.label)
    on = train.label == 1
    amount = Ridge(1.0)
    if setting["regression"] == "forest":
        amount = RandomForestRegressor(TREES, random_state=seed, **options)
    amount.fit(x[on], train.expression[on])

    def score(counts: np.ndarray) -> np.ndarray:
        z = features(counts)
        return switch.predict_proba(z)[:, 1] * np.maximum(amount.predict(z), 0)

    return Fitted(
        score,
        parameters=_size(switch) + _size(amount),
        about={} if best is None else {"best_bins": best},
    )


def _size(model: RandomForestClassifier | RandomForestRegressor | Ridge) -> int:
    if isinstance(model, Ridge):
        return model.coef_.size + 1
    return sum(tree.tree_.node_count for tree in model.estimators_)
