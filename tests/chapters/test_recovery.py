"""Attributions of all methods in one form, and their grades, against examples worked by hand."""

import numpy as np
import pytest
from dc2book.ground_truth import attributions
from dc2book.ground_truth.attributions import Attribution
from dc2book.ground_truth.null_calibration import calibrate
from dc2book.ground_truth.recovery import (
    rank_correlation,
    recovery,
    share_interval,
    similarity,
)
from dc2book.ground_truth.worlds import RULES, truth_of
from scipy import stats

from dc2lib.datasets import MARKS
from dc2lib.errors import DataError

SHAPE = (5, 20)
ORDER = (3, 1, 4, 0, 2)  # of the marks that a rule reads: H3K4me3, H3K36me3, H3K9me3, ...


def _truth(rule):
    return truth_of(rule, ORDER)


@pytest.fixture
def signals():
    return np.random.default_rng(1).random((30, *SHAPE)).astype(np.float32)


def test_the_map_of_a_linear_classifier_is_weight_times_spread(signals):
    weight = np.random.default_rng(0).standard_normal(SHAPE)
    integrated = weight * (signals - signals.mean(0))
    one = attributions.of_integrated(integrated, signals)
    np.testing.assert_allclose(one.evidence, weight * signals.std(0), rtol=1e-4)
    np.testing.assert_allclose(one.strength, np.abs(integrated).mean((0, 2)), rtol=1e-6)
    still = np.ones_like(signals)
    assert (attributions.covariance_by_spread(integrated, still) == 0).all()
    assert attributions.of_windows(integrated, signals).pairs is None


def test_pairs_of_a_product(signals):
    """Log odds: mean of mark 0 times mean of mark 1, plus mean of mark 2."""
    mean, bins = signals.mean(2), SHAPE[1]
    by_mark = np.zeros(signals.shape[:2])
    by_mark[:, 0], by_mark[:, 1], by_mark[:, 2] = mean[:, 1], mean[:, 0], 1
    gradients = np.repeat(by_mark[..., None] / bins, bins, axis=2)
    spread = mean.std(0)
    slopes = attributions.gradient_slopes(by_mark, signals)
    assert slopes[0, 1] == pytest.approx(spread[1], rel=1e-4)
    assert slopes[1, 0] == pytest.approx(spread[0], rel=1e-4)
    assert abs(slopes[2]).max() < 1e-6
    centred = mean - mean.mean(0)
    effects = attributions.product_effects(
        np.repeat(centred[:, [0]] * centred[:, [1]] / 2, 5, axis=1), signals
    )
    assert effects[0, 1] == pytest.approx(spread[0] * spread[1] / 2, rel=1e-3)
    pairs = attributions.of_gradients(gradients, signals).pairs
    assert np.unravel_index(pairs.argmax(), (5, 5)) in ((0, 1), (1, 0))
    assert (np.diag(pairs) == 0).all() and (pairs == pairs.T).all()


def test_favourites_and_optimised_inputs():
    pool = np.random.default_rng(3).standard_normal((400, *SHAPE)).astype(np.float32)
    pool[:, 2] += np.random.default_rng(4).standard_normal((400, 1))
    pool[:, 4] = 7.0
    one = attributions.of_favourites(pool, pool[:, 2].mean(1).astype(float), 20, MARKS)
    assert one.strength.argmax() == 2
    assert (one.evidence[2] > 0).all()
    assert (one.evidence[4] == 0).all()
    high, low = np.full((3, *SHAPE), 2.0), np.full((3, *SHAPE), 0.5)
    assert (attributions.of_optimised(high, low).evidence == 1.5).all()


def test_attention_is_spread_over_the_bins():
    bins = np.zeros((2, 5, 5))
    bins[:, :, 1] = 1.0
    one = attributions.of_attention(bins, np.tile([0.4, 0.3, 0.1, 0.1, 0.1], (2, 1)), n_bins=20)
    assert not one.signed
    np.testing.assert_allclose(one.evidence[0, 4:8], 0.1)
    assert one.evidence[0].sum() == pytest.approx(0.4)
    assert (one.size, one.contrast) == (pytest.approx(0.4), pytest.approx(0.4))


def _perfect(rule):
    truth = _truth(rule)
    evidence = np.zeros((5, 100))
    for mark, (first, last) in truth.window.items():
        evidence[mark, first:last] = truth.sign[mark]
    return Attribution(truth.matters.astype(float), evidence, pairs=truth.pairs.astype(float))


@pytest.mark.parametrize("rule", RULES)
def test_a_perfect_attribution_scores_1(rule):
    scores = recovery(_perfect(rule), _truth(rule))
    assert set(scores.values()) == {1.0}
    assert ("positions" in scores) == (rule == "position")
    assert ("combination" in scores) == (rule in ("two_marks", "two_groups"))


def test_scores_by_hand():
    truth = _truth("two_groups")  # H3K36me3 and H3K4me3, told apart by H3K9me3
    assert truth.matters.tolist() == [False, True, False, True, True]
    assert truth.sign.tolist() == [0, 1, 0, 1, 0]
    assert truth.pairs.sum() == 4
    pairs = np.zeros((5, 5))
    pairs[1, 4] = pairs[4, 1] = 3.0
    pairs[0, 2] = pairs[2, 0] = 2.0
    pairs[3, 4] = pairs[4, 3] = 1.0
    one = Attribution(
        np.array([2.0, 3.0, 1.0, 1.5, 0.5]), direction=np.array([1, 1, 1, -1, 1]), pairs=pairs
    )
    scores = recovery(one, truth)
    # marks: pairs of right against wrong: 3>2, 3>1, 1.5<2, 1.5>1, 0.5<2, 0.5<1
    assert scores["marks"] == pytest.approx(3 / 6)
    assert scores["sign"] == 0.5
    # combination: 3 beats all eight wrong pairs, 1 beats seven
    assert scores["combination"] == pytest.approx(15 / 16)
    assert "positions" not in scores


def test_a_random_attribution_is_at_chance_and_a_reversed_one_below():
    rng = np.random.default_rng(5)
    truth = _truth("position")
    scores = [
        recovery(Attribution(rng.random(5), rng.standard_normal((5, 100))), truth)
        for _ in range(400)
    ]
    for aspect in ("marks", "positions", "sign"):
        assert np.mean([one[aspect] for one in scores]) == pytest.approx(0.5, abs=0.06)
    perfect = _perfect("position")
    reversed_ = recovery(Attribution(1 - perfect.strength, -perfect.evidence), truth)
    assert reversed_ == {"marks": 0.0, "positions": 0.0, "sign": 0.0}


def test_what_a_method_does_not_say_is_not_graded():
    unsigned = Attribution(np.arange(5.0), np.ones((5, 100)), signed=False)
    assert set(recovery(unsigned, _truth("two_marks"))) == {"marks"}
    placeless = Attribution(np.arange(5.0), direction=np.ones(5))
    assert set(recovery(placeless, _truth("position"))) == {"marks"}
    assert set(recovery(placeless, _truth("one_mark"))) == {"marks", "sign"}


def test_interval_over_seeds():
    every = share_interval([1.0] * 6)
    assert (every.estimate, every.high) == (1.0, 1.0)
    assert every.low == pytest.approx(0.025 ** (1 / 6))
    assert share_interval([0.0] * 6).high == pytest.approx(1 - 0.025 ** (1 / 6))
    exact = stats.binomtest(3, 10).proportion_ci(method="exact")
    same = share_interval([True] * 3 + [False] * 7)
    assert (same.low, same.high) == pytest.approx((exact.low, exact.high))


def test_similarity_ignores_sign_and_scale():
    evidence = np.random.default_rng(6).standard_normal((5, 100))
    first, second = Attribution(np.ones(5), evidence), Attribution(np.ones(5), -3 * evidence)
    assert similarity(first, second) == pytest.approx(1.0)
    assert rank_correlation(np.ones(4), np.arange(4)) == 0.0


def test_threshold_by_hand():
    values = np.arange(29.0)
    assert calibrate(values, level=0.1) == 28.0  # 0.9 ** 29 = 0.047
    assert calibrate(np.arange(46.0), level=0.1) == 44.0  # the second largest of 46
    with pytest.raises(DataError, match="expected 29 or more"):
        calibrate(values[:28], level=0.1)


def test_threshold_keeps_its_promise():
    rng = np.random.default_rng(7)
    # of uniform statistics, the share above the threshold is known
    shares = np.array([1 - calibrate(rng.random(29), 0.1) for _ in range(2000)])
    assert np.mean(shares > 0.1) == pytest.approx(0.9**29, abs=0.015)
