"""Judges say what they should of planted samples; trends are found within strata only."""

import numpy as np
import pandas as pd
import pytest
import torch
from dc2book.mnist import judges
from torch import nn

from dc2lib.errors import DataError


def test_classifier_judge_is_the_softmax_of_the_target():
    logits = torch.tensor([[0.0, np.log(3)], [0.0, 0.0]], dtype=torch.float32)
    judge = judges.classifier_judge("twin", lambda x: logits[: len(x)])
    found = judge.probability(np.zeros((2, 1)), np.array([1, 0]))
    np.testing.assert_allclose(found, [0.75, 0.5], rtol=1e-6)


def test_discriminator_judge_is_the_logistic_function():
    judge = judges.discriminator_judge("other", nn.Identity())
    found = judge.probability(np.array([[0.0], [np.log(4)]]), np.zeros(2, int))
    np.testing.assert_allclose(found, [0.5, 0.8], rtol=1e-6)


def test_nearest_judge_is_even_for_real_samples_and_zero_for_strange_ones():
    rng = np.random.default_rng(0)
    reference, held_out, real = (rng.normal(size=(n, 3)) for n in (3000, 2000, 1000))
    judge = judges.nearest_judge("nearest", nn.Identity(), reference, held_out)
    assert judge.probability(real, np.zeros(1000, int)).mean() == pytest.approx(0.5, abs=0.04)
    assert judge.probability(np.full((1, 3), 50.0), np.zeros(1, int)) == 0
    assert judge.probability(reference[:1], np.zeros(1, int)) == 1


def test_a_rank_is_even_for_real_samples_whatever_the_scale_of_the_judge():
    rng = np.random.default_rng(0)
    real, fresh = rng.normal(size=(2, 4000, 1))
    for scale in (lambda x: x, lambda x: 0.5 + 0.001 * np.exp(x)):
        judge = judges.Judge("any", lambda samples, _, scale=scale: scale(samples[:, 0]))
        rank = judges.ranked(judge, real, np.zeros(4000, int))
        assert rank.probability(fresh, fresh).mean() == pytest.approx(0.5, abs=0.03)
        ends = rank.probability(np.array([[-9.0], [9.0]]), np.zeros(2, int))
        assert ends.tolist() == [0, 1]
    shrug = judges.Judge("shrug", lambda samples, _: np.full(len(samples), 0.5))
    assert judges.ranked(shrug, real, real).probability(fresh, fresh).tolist() == [0.5] * 4000


def test_ratings_and_their_means():
    judge = judges.Judge("share", lambda samples, targets: samples[:, 0] * targets)
    methods = {
        "b": (np.array([[0.2], [0.4]]), np.array([1, 1])),
        "none": (np.empty((0, 1)), np.empty(0, int)),
        "a": (np.array([[0.9]]), np.array([1])),
    }
    ratings = judges.rate_samples(methods, [judge])
    assert ratings["method"].tolist() == ["b", "b", "a"]
    means = judges.judge_means(ratings)
    assert means["estimate"].tolist() == pytest.approx([0.3, 0.9])
    assert means.loc[0, ["low", "high"]].tolist() == pytest.approx([0.2, 0.4])
    assert means["n"].tolist() == [2, 1]
    with pytest.raises(DataError, match="a: 1 samples and 2 targets"):
        judges.rate_samples({"a": (np.zeros((1, 1)), np.zeros(2, int))}, [judge])


def test_an_easy_class_that_passes_more_often_makes_no_difference():
    rng = np.random.default_rng(0)
    easy, hard = (rng.normal(mean, 0.05, 400) for mean in (0.9, 0.3))
    first = np.concatenate([easy[:190], hard[:10]]), np.repeat([0, 1], [190, 10])
    second = np.concatenate([easy[200:210], hard[200:390]]), np.repeat([0, 1], [10, 190])
    assert judges.difference_of_means(first[0], second[0]).low > 0.4
    gap = judges.difference_of_means(first[0], second[0], strata=(first[1], second[1]))
    assert 0 in gap and gap.high - gap.low < 0.1
    means = judges.judge_means(pd.DataFrame(
        {"method": "a", "sample": range(200), "target": first[1], "judge": first[0]}))
    assert means.loc[0, "estimate"] == pytest.approx(0.6, abs=0.03)
    few = np.array([0, 0, 2]), np.array([0, 0, 1])
    kept = judges.difference_of_means(np.array([1.0, 1, 9]), np.zeros(3), strata=few)
    assert (kept.estimate, kept.n) == (1, 2)
    with pytest.raises(DataError, match="two samples on either side"):
        judges.difference_of_means(np.ones(2), np.ones(2), strata=([0, 0], [1, 1]))


def test_difference_of_means():
    rng = np.random.default_rng(0)
    found = judges.difference_of_means(rng.normal(1, 1, 400), rng.normal(0, 1, 400))
    assert found.low < 1 < found.high
    assert found.high - found.low == pytest.approx(4 / np.sqrt(200), rel=0.15)


def test_a_trend_within_strata_is_found():
    rng = np.random.default_rng(0)
    dose, strata = rng.normal(size=500), rng.integers(0, 5, 500)
    rising, pvalue = judges.trend_test(dose, dose + rng.normal(size=500) + 3 * strata, strata)
    assert 0.5 < rising.low < rising.high < 0.8
    assert pvalue < 0.01
    falling, pvalue = judges.trend_test(dose, -dose, strata)
    assert falling.estimate == pytest.approx(-1)
    assert pvalue == 1


def test_a_trend_between_strata_alone_is_not():
    rng = np.random.default_rng(1)
    strata = rng.integers(0, 5, 1000)
    dose, response = (strata + 0.1 * rng.normal(size=1000) for _ in range(2))
    trend, pvalue = judges.trend_test(dose, response, strata)
    assert trend.low < 0 < trend.high
    assert pvalue > 0.01
    pooled, _ = judges.trend_test(dose, response, np.zeros(1000))
    assert pooled.low > 0.9


def test_ranks_make_the_trend_invariant():
    rng = np.random.default_rng(2)
    dose, response = rng.normal(size=(2, 60))
    strata = np.repeat([0, 1], 30)
    first = judges.trend_test(dose, response, strata, n_resamples=50)
    again = judges.trend_test(np.exp(dose), response**3, strata, n_resamples=50)
    assert first == again
    with pytest.raises(DataError, match="draw more"):
        judges.trend_test(np.zeros(10), np.arange(10), np.zeros(10))


def test_bands_of_the_dose():
    dose, noise = np.repeat([0.1, 0.6, 0.95], 50), np.random.default_rng(0).normal(0, 0.01, 150)
    bands = judges.dose_bands(dose, np.repeat([0, 1, 0.5], 50) + noise, [0.5, 0.9])
    assert bands["band"].tolist() == ["up to 0.5", "0.5 to 0.9", "above 0.9"]
    assert bands["n"].tolist() == [50, 50, 50]
    np.testing.assert_allclose(bands["estimate"], [0, 1, 0.5], atol=0.01)
    assert (bands["high"] - bands["low"] < 0.01).all()
    assert judges.dose_bands(dose, noise, [0.95, 0.99])["band"].tolist() == ["up to 0.95"]
