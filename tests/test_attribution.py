"""Attributions against closed forms, and scores against examples worked by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from dc2book.ground_truth.null_calibration import calibrate, reported
from dc2book.ground_truth.pictures import (
    Picture,
    gradient_slopes,
    picture_of_attention,
    picture_of_attributions,
    picture_of_gradients,
    picture_of_marks,
    picture_of_optimised,
    picture_of_sampled,
    picture_of_windows,
    product_effects,
    rise,
)
from dc2book.ground_truth.scores import (
    above_chance,
    rank_correlation,
    recovery,
    seeds_interval,
    similarity,
    truth_of,
)
from torch import nn

from dc2lib.datasets import MARKS
from dc2lib.datasets.simulated import RULES
from dc2lib.errors import DataError
from dc2lib.probing import attribution as local

SHAPE = (5, 20)


class Linear(nn.Module):
    """Logits (-w.x / 2, w.x / 2 + 1): log odds w.x + 1."""

    def __init__(self, weight: np.ndarray) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.from_numpy(weight.astype(np.float32)))

    def forward(self, signal: torch.Tensor) -> torch.Tensor:
        half = (signal * self.weight).sum((1, 2)) / 2
        return torch.stack([-half, half + 1], dim=1)


class Product(nn.Module):
    """Log odds: mean of mark 0 times mean of mark 1, plus mean of mark 2."""

    def forward(self, signal: torch.Tensor) -> torch.Tensor:
        mean = signal.mean(2)
        odds = mean[:, 0] * mean[:, 1] + mean[:, 2]
        return torch.stack([torch.zeros_like(odds), odds], dim=1)


@pytest.fixture
def weight() -> np.ndarray:
    return np.random.default_rng(0).standard_normal(SHAPE)


@pytest.fixture
def signals() -> np.ndarray:
    return np.random.default_rng(1).random((30, *SHAPE)).astype(np.float32)


def test_linear_attributions_are_weight_times_difference(
    weight: np.ndarray, signals: np.ndarray
) -> None:
    model, baseline = Linear(weight), signals.mean(0)
    expected = weight * (signals - baseline)
    np.testing.assert_allclose(
        local.saliency(model, signals), np.broadcast_to(weight, signals.shape), rtol=1e-5
    )
    np.testing.assert_allclose(
        local.integrated_gradients(model, signals, baseline), expected, atol=1e-5
    )
    np.testing.assert_allclose(
        local.mark_ablation(model, signals, baseline), expected.sum(2), atol=1e-5
    )
    windows = expected.reshape(30, 5, 4, 5).sum(3) / 5
    np.testing.assert_allclose(
        local.window_ablation(model, signals, baseline, width=5), np.repeat(windows, 5, 2),
        atol=1e-5,
    )  # fmt: skip
    assert np.abs(local.pair_ablation(model, signals, baseline)).max() < 1e-5


def test_uneven_windows_share_their_loss(weight: np.ndarray, signals: np.ndarray) -> None:
    found = local.window_ablation(Linear(weight), signals, np.zeros(SHAPE), width=8)
    expected = (weight * signals)[:, :, 16:].sum(2) / 4
    np.testing.assert_allclose(found[:, :, 16:], np.repeat(expected[..., None], 4, 2), atol=1e-5)


def test_pairs_of_a_product(signals: np.ndarray) -> None:
    together = local.pair_ablation(Product(), signals, np.zeros(SHAPE))
    mean = signals.mean(2)
    np.testing.assert_allclose(together[:, 0, 1], mean[:, 0] * mean[:, 1], atol=1e-6)
    np.testing.assert_allclose(together, together.transpose(0, 2, 1))
    together[:, 0, 1] = together[:, 1, 0] = 0
    assert np.abs(together).max() < 1e-6


def test_integrated_gradients_add_up(signals: np.ndarray) -> None:
    baseline = np.zeros(SHAPE)
    attributions = local.integrated_gradients(Product(), signals, baseline)
    mean = signals.mean(2)
    np.testing.assert_allclose(
        attributions.sum((1, 2)), mean[:, 0] * mean[:, 1] + mean[:, 2], atol=1e-5
    )


def test_attributions_do_not_depend_on_batches(weight: np.ndarray) -> None:
    many = np.random.default_rng(2).random((local.BATCH + 3, *SHAPE)).astype(np.float32)
    whole = local.integrated_gradients(Product(), many, many.mean(0))
    part = local.integrated_gradients(Product(), many[-3:], many.mean(0))
    np.testing.assert_allclose(whole[-3:], part, atol=1e-7)


def test_wrong_shapes_are_refused(weight: np.ndarray, signals: np.ndarray) -> None:
    with pytest.raises(DataError, match="baseline has shape"):
        local.mark_ablation(Linear(weight), signals, signals.mean((0, 2)))
    with pytest.raises(DataError, match="no gene"):
        local.saliency(Linear(weight), signals[:0])
    with pytest.raises(DataError, match="at least 1"):
        local.window_ablation(Linear(weight), signals, signals.mean(0), width=0)


def test_rise_of_a_linear_attribution_is_weight_times_spread(
    weight: np.ndarray, signals: np.ndarray
) -> None:
    attributions = weight * (signals - signals.mean(0))
    np.testing.assert_allclose(rise(attributions, signals), weight * signals.std(0), rtol=1e-4)
    still = np.ones_like(signals)
    assert (rise(attributions, still) == 0).all()
    picture = picture_of_attributions(attributions, signals)
    np.testing.assert_allclose(picture.evidence, weight * signals.std(0), rtol=1e-4)
    np.testing.assert_allclose(picture.strength, np.abs(attributions).mean((0, 2)), rtol=1e-6)


def test_pairs_of_gradients_and_attributions(signals: np.ndarray) -> None:
    gradients = local.saliency(Product(), signals)
    slopes = gradient_slopes(gradients.sum(2, dtype=float), signals)
    spread = signals.mean(2).std(0)
    assert slopes[0, 1] == pytest.approx(spread[1], rel=1e-4)
    assert slopes[1, 0] == pytest.approx(spread[0], rel=1e-4)
    assert abs(slopes[2]).max() < 1e-6
    attributions = local.integrated_gradients(Product(), signals, signals.mean(0))
    effects = product_effects(attributions.sum(2, dtype=float), signals)
    assert effects[0, 1] == pytest.approx(spread[0] * spread[1] / 2, rel=1e-3)
    for picture in (
        picture_of_gradients(gradients, signals), picture_of_attributions(attributions, signals)
    ):
        assert np.unravel_index(picture.pairs.argmax(), (5, 5)) in ((0, 1), (1, 0))
        assert (np.diag(picture.pairs) == 0).all()
    assert picture_of_windows(attributions, signals).pairs is None


def test_marks_by_ablation(weight: np.ndarray, signals: np.ndarray) -> None:
    same = np.repeat(weight[:, :1], SHAPE[1], axis=1)
    effect = (same * (signals - signals.mean(0))).sum(2)
    picture = picture_of_marks(effect, np.zeros((30, 5, 5)), signals)
    assert picture.evidence is None
    np.testing.assert_array_equal(np.sign(picture.direction), np.sign(weight[:, 0]))


def test_sampled_and_optimised_pictures() -> None:
    pool = np.random.default_rng(3).standard_normal((400, *SHAPE)).astype(np.float32)
    pool[:, 2] += np.random.default_rng(4).standard_normal((400, 1))
    pool[:, 4] = 7.0
    picture = picture_of_sampled(pool, pool[:, 2].mean(1).astype(float), 20, MARKS)
    assert picture.strength.argmax() == 2
    assert (picture.evidence[2] > 0).all()
    assert (picture.evidence[4] == 0).all()
    high, low = np.full((3, *SHAPE), 2.0), np.full((3, *SHAPE), 0.5)
    assert (picture_of_optimised(high, low).evidence == 1.5).all()


def test_attention_is_spread_over_the_bins() -> None:
    bins = np.zeros((2, 5, 5))
    bins[:, :, 1] = 1.0
    picture = picture_of_attention(bins, np.tile([0.4, 0.3, 0.1, 0.1, 0.1], (2, 1)), n_bins=20)
    assert not picture.signed
    np.testing.assert_allclose(picture.evidence[0, 4:8], 0.1)
    assert picture.evidence[0].sum() == pytest.approx(0.4)
    assert picture.size == pytest.approx(0.4)
    assert picture.contrast == pytest.approx(0.4)


def _perfect(rule: str) -> Picture:
    truth = truth_of(rule, MARKS)
    evidence = np.zeros((5, 100))
    for mark, (first, last) in truth.window.items():
        evidence[mark, first:last] = truth.sign[mark]
    return Picture(truth.matters.astype(float), evidence, pairs=truth.pairs.astype(float))


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule != "null"])
def test_a_perfect_picture_scores_1(rule: str) -> None:
    found = recovery(_perfect(rule), truth_of(rule, MARKS))
    assert found
    assert set(found.values()) == {1.0}
    assert ("positions" in found) == (rule == "position")
    assert ("combination" in found) == (rule in ("two_marks", "two_groups"))


def test_nothing_can_be_recovered_of_the_null_rule() -> None:
    picture = Picture(np.ones(5), np.ones((5, 100)), pairs=np.ones((5, 5)))
    assert recovery(picture, truth_of("null", MARKS)) == {}


def test_scores_by_hand() -> None:
    truth = truth_of("two_groups", MARKS)  # H3K36me3 and H3K4me3, told apart by H3K9me3
    assert truth.matters.tolist() == [False, True, False, True, True]
    assert truth.sign.tolist() == [0, 1, 0, 1, 0]
    assert truth.pairs.sum() == 4
    pairs = np.zeros((5, 5))
    pairs[1, 4] = pairs[4, 1] = 3.0
    pairs[0, 2] = pairs[2, 0] = 2.0
    pairs[3, 4] = pairs[4, 3] = 1.0
    picture = Picture(
        np.array([2.0, 3.0, 1.0, 1.5, 0.5]), direction=np.array([1, 1, 1, -1, 1]), pairs=pairs
    )
    found = recovery(picture, truth)
    # marks: pairs of right against wrong: 3>2, 3>1, 1.5<2, 1.5>1, 0.5<2, 0.5<1
    assert found["marks"] == pytest.approx(3 / 6)
    assert found["sign"] == 0.5
    # combination: 3 beats all eight wrong pairs, 1 beats seven
    assert found["combination"] == pytest.approx(15 / 16)
    assert "positions" not in found


def test_a_random_picture_is_at_chance_and_a_reversed_one_below() -> None:
    rng = np.random.default_rng(5)
    truth = truth_of("position", MARKS)
    scores = [
        recovery(Picture(rng.random(5), rng.standard_normal((5, 100))), truth) for _ in range(400)
    ]
    for aspect in ("marks", "positions", "sign"):
        assert np.mean([one[aspect] for one in scores]) == pytest.approx(0.5, abs=0.06)
    perfect = _perfect("position")
    reversed_ = recovery(Picture(1 - perfect.strength, -perfect.evidence), truth)
    assert reversed_ == {"marks": 0.0, "positions": 0.0, "sign": 0.0}


def test_what_a_method_does_not_say_is_not_graded() -> None:
    unsigned = Picture(np.arange(5.0), np.ones((5, 100)), signed=False)
    assert set(recovery(unsigned, truth_of("two_marks", MARKS))) == {"marks"}
    placeless = Picture(np.arange(5.0), direction=np.ones(5))
    assert set(recovery(placeless, truth_of("position", MARKS))) == {"marks"}
    assert set(recovery(placeless, truth_of("one_mark", MARKS))) == {"marks", "sign"}


def test_interval_over_seeds() -> None:
    every = seeds_interval([1.0] * 6)
    assert (every.estimate, every.high) == (1.0, 1.0)
    assert every.low == pytest.approx(0.025 ** (1 / 6))
    assert seeds_interval([0.0] * 6).high == pytest.approx(1 - 0.025 ** (1 / 6))
    exact = reported([True] * 3 + [False] * 7)
    same = seeds_interval([1.0] * 3 + [0.0] * 7)
    assert (same.low, same.high) == pytest.approx((exact.low, exact.high))


def test_above_chance_is_a_sign_test() -> None:
    assert above_chance([0.6] * 6)  # 1 / 64
    assert not above_chance([0.6] * 5)  # 1 / 32
    assert not above_chance([1.0] * 5 + [0.5])
    assert above_chance([1.0] * 9 + [0.0])  # 11 / 1,024


def test_similarity_ignores_sign_and_scale() -> None:
    evidence = np.random.default_rng(6).standard_normal((5, 100))
    first, second = Picture(np.ones(5), evidence), Picture(np.ones(5), -3 * evidence)
    assert similarity(first, second) == pytest.approx(1.0)
    assert rank_correlation(np.ones(4), np.arange(4)) == 0.0


def test_threshold_by_hand() -> None:
    values = np.arange(29.0)
    limit = calibrate(values, level=0.1)
    assert (limit.value, limit.n) == (28.0, 29)  # 0.9 ** 29 = 0.047
    assert limit.exceeded([28.0, 28.5]).tolist() == [False, True]
    assert calibrate(np.arange(46.0), level=0.1).value == 44.0  # the second largest of 46
    with pytest.raises(DataError, match="expected 29 or more"):
        calibrate(values[:28], level=0.1)


def test_threshold_keeps_its_promise() -> None:
    rng = np.random.default_rng(7)
    shares = [
        1 - calibrate(rng.random(29), 0.1).value for _ in range(2000)
    ]  # of uniform statistics, the share above the threshold is known
    assert np.mean(np.array(shares) > 0.1) == pytest.approx(0.9**29, abs=0.015)
