"""Scores and metrics against hand-computed values, scikit-learn and known invariances."""

import numpy as np
import pytest
from sklearn import metrics

from dc2lib.evaluation import scores as scoring

LABELS = np.array([0, 1, 0, 1, 1])
SCORES = np.array([0.1, 0.4, 0.4, 0.8, 0.2])


def random_case(seed, n=400, ties=False):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, n)
    scores = rng.normal(labels, 1.0)
    return labels, np.round(scores, 1) if ties else scores


def test_auroc_by_hand():
    # pairs (positive, negative): 0.4>0.1, 0.4=0.4, 0.8>0.1, 0.8>0.4, 0.2>0.1, 0.2<0.4
    assert scoring.auroc(LABELS, SCORES) == pytest.approx(4.5 / 6)


@pytest.mark.parametrize("ties", [False, True])
def test_metrics_agree_with_scikit_learn(ties):
    labels, scores = random_case(0, ties=ties)
    assert scoring.auroc(labels, scores) == pytest.approx(metrics.roc_auc_score(labels, scores))
    probability = 1 / (1 + np.exp(-scores))
    assert scoring.average_precision(labels, scores) == pytest.approx(
        metrics.average_precision_score(labels, scores)
    )
    assert scoring.log_loss(labels, probability) == pytest.approx(
        -np.mean(np.log(np.where(labels == 1, probability, 1 - probability)))
    )


def test_a_shift_of_both_logits_misleads_the_released_rule_only():
    labels = np.array([1, 0])
    logits = np.array([[-1.0, 1.0], [4.0, 2.0]])  # probabilities 0.88 and 0.12
    assert scoring.auroc(labels, scoring.positive_score(logits, "probability")) == 1.0
    assert scoring.auroc(labels, scoring.positive_score(logits, "positive_logit")) == 0.0
    shifted = logits + np.array([[5.0], [-3.0]])
    np.testing.assert_allclose(scoring.positive_score(shifted), scoring.positive_score(logits))


def test_positive_logit_may_overflow_and_still_ranks():
    logits = np.array([[0.0, 800.0], [0.0, 1.0], [0.0, 900.0]])
    score = scoring.positive_score(logits, "positive_logit")
    assert np.isinf(score[[0, 2]]).all()
    assert scoring.auroc(np.array([1, 0, 1]), score) == 1.0


def test_accuracy_and_calibration_by_hand():
    probability = np.array([0.2, 0.6, 0.4, 0.9, 0.4])
    assert scoring.accuracy(LABELS, probability) == pytest.approx(4 / 5)
    # two bins by rank: genes 0, 2, 4 (1 of 3 positive, mean 1/3) and 1, 3 (2 of 2, mean 0.75)
    assert scoring.calibration_error(LABELS, probability, n_bins=2) == pytest.approx(2 * 0.25 / 5)


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="both 0 and 1"):
        scoring.auroc(np.ones(3), SCORES[:3])
    with pytest.raises(ValueError, match="NaN"):
        scoring.auroc(LABELS, np.array([0.1, np.nan, 0.2, 0.3, 0.4]))
    with pytest.raises(ValueError, match="expected equal"):
        scoring.auroc(LABELS, SCORES[:3])
    with pytest.raises(ValueError, match="probability"):
        scoring.positive_score(np.zeros((3, 2)), "odds")
    with pytest.raises(ValueError, match="gene, 2"):
        scoring.positive_score(np.zeros((3, 3)))
