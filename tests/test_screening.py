"""Screening in bfloat16 keeps and accepts exactly what float32 does."""

import numpy as np
import pytest
import torch

from dc2lib.errors import DataError
from dc2lib.models.deepchrome import build
from dc2lib.models.gan import build_histone_gan
from dc2lib.probing import monte_carlo_probe
from dc2lib.probing.screening import MarginError, Screening


@pytest.fixture(scope="module")
def pair():
    """An untrained pair whose scores are spread out."""
    generator, _ = build_histone_gan(0)
    classifier = build("deepchrome_max", seed=0)
    with torch.no_grad():
        for weight in classifier.parameters():
            weight.mul_(3)
    return generator, classifier


def test_top_and_accepted_are_those_of_float32(pair):
    wanted = {"n": 24_000, "keep": 100, "thresholds": (0.5, 0.9), "chunk_size": 4096}
    exact = monte_carlo_probe(*pair, **wanted, device="cpu")
    screened = monte_carlo_probe(*pair, **wanted, device="cpu", screen=True)
    assert len(np.unique(exact.histogram[1].nonzero())) > 5
    np.testing.assert_array_equal(exact.accepted, screened.accepted)
    for one, other in zip(exact.top, screened.top, strict=True):
        np.testing.assert_array_equal(one.index, other.index)
        np.testing.assert_allclose(one.log_odds, other.log_odds, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(one.samples, other.samples, rtol=1e-6)
    for mine, theirs in zip(exact.first, screened.first, strict=True):
        for one, other in zip(mine, theirs, strict=True):
            np.testing.assert_array_equal(one.index, other.index)
            np.testing.assert_allclose(one.samples, other.samples, rtol=1e-6)
    np.testing.assert_allclose(exact.mean_probability, screened.mean_probability, atol=0.01)


def test_only_known_networks_are_screened(pair):
    with pytest.raises(DataError, match="Identity"):
        monte_carlo_probe(pair[0], torch.nn.Identity(), 10, 1, screen=True, device="cpu")


def scores(values):
    return lambda z: (z.clone(), values(z))


def above_one(odds, margin):
    return (odds > 1 - margin).any(1)


def test_rows_near_a_limit_are_exact_and_others_rough():
    screening = Screening(scores(lambda z: z), scores(lambda z: z + 0.1))
    screening(torch.zeros(3, 1), above_one)
    assert screening.margin == pytest.approx(0.4)
    _, odds = screening(torch.tensor([[0.4], [0.55], [2.0]]), above_one)
    torch.testing.assert_close(odds, torch.tensor([[0.5], [0.55], [2.0]]))


def test_a_margin_that_proves_too_small_is_not_trusted():
    screening = Screening(scores(lambda z: z), scores(lambda z: 1.1 * z))
    screening(torch.ones(3, 1), above_one)
    with pytest.raises(MarginError):
        screening(torch.full((1, 1), 30.0), above_one)
