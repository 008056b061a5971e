"""Random forest for on or off, then regression of expression (Dong et al. 2012).

Source: doi:10.1186/gb-2012-13-9-r53.  There: ENCODE cell lines, 11 marks, one variant and DNase I;
in the gene's body and around its ends; each mark is read in the bin where it goes best with
expression; a forest says whether a gene is on, a regression how much it is expressed, and the
prediction is their product.  The released data hold five marks around the start, which stand in.
The forest's vote is not cut to 0 or 1, so that genes can be ranked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.feature_selection import r_regression
from sklearn.linear_model import Ridge

from dc2lib.baselines.contract import Fitted, Genes, Setting, flat_log_counts, log_counts

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

    def features(counts: np.ndarray) -> np.ndarray:
        return log_counts(counts[:, best, marks])

    return _fit(train, setting, seed, features, {"best_bins": best})


def fit_all_bins(train: Genes, valid: Genes, setting: Setting, seed: int) -> Fitted:
    """Every mark in every bin."""
    return _fit(train, setting, seed, flat_log_counts, {})


def best_bins(train: Genes) -> np.ndarray:
    """Bin of the highest absolute correlation with expression, ``(mark,)``."""
    correlation = r_regression(flat_log_counts(train.counts), train.expression)
    return np.abs(correlation.reshape(train.counts.shape[1:])).argmax(0)


def _fit(
    train: Genes,
    setting: Setting,
    seed: int,
    features: Callable[[np.ndarray], np.ndarray],
    about: Mapping[str, np.ndarray],
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

    return Fitted(score, _n_parameters(switch) + _n_parameters(amount), about)


def _n_parameters(model: RandomForestClassifier | RandomForestRegressor | Ridge) -> int:
    if isinstance(model, Ridge):
        return model.coef_.size + 1
    return sum(tree.tree_.node_count for tree in model.estimators_)
