"""A support vector machine a bin (Cheng et al. 2011).

Source: doi:10.1186/gb-2011-12-2-r15.  There: modENCODE data of the worm, 160 bins of 100 bp around
start and end of the transcript, an SVM a bin; what a bin is worth falls with its distance from
them.  The released data hold no bins around the end of the transcript: the 100 bins around the TSS
stand in.  A linear SVM in each bin finds the best one on the validation genes, and an SVM with a
radial kernel in that bin is the predictor.
"""

from __future__ import annotations

import numpy as np
from sklearn.svm import SVC, LinearSVC

from dc2lib.baselines.contract import Fitted, Genes, Setting, log_counts, standardised
from dc2lib.evaluation.scores import auroc

CANDIDATES: tuple[Setting, ...] = ({"C": 1.0}, {"C": 0.1}, {"C": 10.0})


def fit(train: Genes, valid: Genes, setting: Setting, seed: int) -> Fitted:
    """The best bin's SVM; ``about["auroc_by_bin"]`` has every bin's validation AUROC."""
    by_bin = auroc_by_bin(train, valid, seed)
    best = int(by_bin.argmax())
    raw = log_counts(train.counts[:, best])
    scale = standardised(raw)
    model = SVC(C=float(setting["C"]), cache_size=500).fit(scale(raw), train.label)
    return Fitted(
        lambda counts: model.decision_function(scale(log_counts(counts[:, best]))),
        parameters=model.support_vectors_.size + model.dual_coef_.size + 1,
        about={"auroc_by_bin": by_bin, "best_bin": best},
    )


def auroc_by_bin(train: Genes, valid: Genes, seed: int) -> np.ndarray:
    """Validation AUROC of a linear SVM on the marks of one bin, ``(bin,)``."""
    found = []
    for number in range(train.counts.shape[1]):
        raw = log_counts(train.counts[:, number])
        scale = standardised(raw)
        model = LinearSVC(C=0.1, dual=False, random_state=seed).fit(scale(raw), train.label)
        found.append(
            auroc(valid.label, model.decision_function(scale(log_counts(valid.counts[:, number]))))
        )
    return np.array(found)
