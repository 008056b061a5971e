"""A support vector machine a bin (Cheng et al. 2011).

Source: doi:10.1186/gb-2011-12-2-r15.  There: modENCODE data of the worm, 160 bins of 100 bp around
start and end of the transcript, an SVM a bin; what a bin is worth falls with its distance from
them.  The released data hold no bins around the end of the transcript: the 100 bins around the TSS
stand in.  A linear SVM in each bin finds the best one on the validation genes, and an SVM with a
radial kernel in that bin is the predictor.
"""

from __future__ import annotations

import numpy as np
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC

from dc2lib.baselines.contract import Fitted, Genes, Setting, log_counts
from dc2lib.evaluation.scores import auroc

CANDIDATES: tuple[Setting, ...] = ({"C": 1.0}, {"C": 0.1}, {"C": 10.0})


def fit(train: Genes, valid: Genes, setting: Setting, seed: int) -> Fitted:
    """The best bin's SVM; ``about["auroc_by_bin"]`` has every bin's validation AUROC.

    With ``class_weight`` in the setting both classes weigh alike, however many genes they have.
    """
    by_bin = auroc_by_bin(train, valid, seed)
    best = int(by_bin.argmax())
    machine = SVC(
        C=float(setting["C"]), class_weight=setting.get("class_weight"), cache_size=500
    )
    model = make_pipeline(StandardScaler(), machine)
    model.fit(log_counts(train.counts[:, best]), train.label)
    return Fitted(
        lambda counts: model.decision_function(log_counts(counts[:, best])),
        parameters=machine.support_vectors_.size + machine.dual_coef_.size + 1,
        about={"auroc_by_bin": by_bin, "best_bin": np.array(best)},
    )


def auroc_by_bin(train: Genes, valid: Genes, seed: int) -> np.ndarray:
    """Validation AUROC of a linear SVM on the marks of one bin, ``(bin,)``."""
    train_signal, valid_signal = log_counts(train.counts), log_counts(valid.counts)
    model = make_pipeline(StandardScaler(), LinearSVC(C=0.1, dual=False, random_state=seed))
    scores = []
    for number in range(train_signal.shape[1]):
        model.fit(train_signal[:, number], train.label)
        scores.append(auroc(valid.label, model.decision_function(valid_signal[:, number])))
    return np.array(scores)
