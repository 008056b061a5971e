"""From logits to scores, and from scores to metrics.

``"probability"`` ranks genes by the softmax probability of high expression.  ``"positive_logit"``
ranks by the exponential of the unnormalised positive logit, as the released evaluation code does;
it is not invariant to a shift that both logits share, so it is no ranking of probabilities, and it
exists here to reproduce released figures.
"""

from __future__ import annotations

import numpy as np
from scipy.special import softmax
from sklearn import metrics

RULES = ("probability", "positive_logit")


def positive_score(logits: np.ndarray, rule: str = "probability") -> np.ndarray:
    """Score of high expression, float64 ``(..., gene)``, from logits ``(..., gene, 2)``.

    Raises ValueError if the rule is unknown or the last axis does not hold two logits.
    """
    logits = np.asarray(logits, dtype=np.float64)
    if logits.shape[-1:] != (2,):
        raise ValueError(f"logits have shape {logits.shape}: expected (..., gene, 2)")
    if rule == "probability":
        return softmax(logits, axis=-1)[..., 1]
    if rule == "positive_logit":
        with np.errstate(over="ignore"):
            return np.exp(logits[..., 1])
    raise ValueError(f"unknown score rule {rule!r}: expected one of {RULES}")


def auroc(labels: np.ndarray, scores: np.ndarray) -> float:
    """Area under the ROC curve: the share of (positive, negative) pairs ranked rightly, ties half.

    Equals ``sklearn.metrics.roc_auc_score`` and also takes infinite scores, which the released
    scoring rule produces.

    Raises ValueError if the shapes differ, a score is NaN, or only one class is present.
    """
    labels, scores = _checked(labels, scores)
    positive, negative = np.sort(scores[labels == 1]), np.sort(scores[labels == 0])
    won = np.searchsorted(negative, positive, "left").sum()
    won_or_tied = np.searchsorted(negative, positive, "right").sum()
    return float((won + won_or_tied) / 2 / (len(positive) * len(negative)))


def average_precision(labels: np.ndarray, scores: np.ndarray) -> float:
    """Area under the precision-recall curve, as a step function (scikit-learn)."""
    return float(metrics.average_precision_score(*_checked(labels, scores)))


def accuracy(labels: np.ndarray, probability: np.ndarray) -> float:
    """Share of genes on the right side of 0.5."""
    labels, probability = _checked(labels, probability)
    return float(np.mean((probability > 0.5) == (labels == 1)))


def log_loss(labels: np.ndarray, probability: np.ndarray) -> float:
    """Mean negative log likelihood in nats (scikit-learn)."""
    return float(metrics.log_loss(*_checked(labels, probability)))


def calibration_error(labels: np.ndarray, probability: np.ndarray, n_bins: int = 10) -> float:
    """Expected calibration error over bins of equal numbers of genes.

    Mean over the genes of |observed positive share - mean predicted probability| of their bin.
    """
    labels, probability = _checked(labels, probability)
    order = np.argsort(probability, kind="stable")
    gaps = [
        len(bin_) * abs(labels[bin_].mean() - probability[bin_].mean())
        for bin_ in np.array_split(order, min(n_bins, len(order)))
    ]
    return float(sum(gaps) / len(order))


METRICS = {
    "auroc": auroc,
    "average_precision": average_precision,
    "accuracy": accuracy,
    "log_loss": log_loss,
    "calibration_error": calibration_error,
}


def _checked(labels: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    labels, scores = np.asarray(labels), np.asarray(scores, dtype=np.float64)
    if labels.shape != scores.shape or labels.ndim != 1:
        raise ValueError(f"labels {labels.shape} and scores {scores.shape}: expected equal (gene,)")
    if np.isnan(scores).any():
        raise ValueError(f"{int(np.isnan(scores).sum())} scores are NaN: the model diverged")
    if set(np.unique(labels).tolist()) != {0, 1}:
        raise ValueError(f"labels hold {np.unique(labels).tolist()}: expected both 0 and 1")
    return labels, scores
