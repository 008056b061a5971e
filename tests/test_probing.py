"""The probe finds what is there at the rate it is there, whatever the batches; it resumes."""

import tracemalloc

import numpy as np
import pytest
import torch
from torch import nn

from dc2lib import probing
from dc2lib.errors import DataError
from dc2lib.probing.monte_carlo import BLOCK, monte_carlo_probe, noise_block


class Planted(nn.Module):
    """Makes a bright 4 x 4 image where the first latent exceeds a limit, else a dark one."""

    n_latent = 3

    def __init__(self, limit):
        super().__init__()
        self.limit = limit

    def forward(self, z):
        bright = (z[:, :1] > self.limit).float()
        return (bright * torch.ones(1, 16) + 0.01 * z[:, 1:2]).reshape(-1, 1, 4, 4)


class Brightness(nn.Module):
    """Log odds of class 1 are ten times (mean brightness - 0.5)."""

    def forward(self, images):
        odds = 10 * (images.mean((1, 2, 3)) - 0.5)
        return torch.stack([torch.zeros_like(odds), odds], 1)


class Itself(nn.Identity):
    n_latent = 4


def linear_pair(n_classes=3, seed=0):
    """An identity generator and a linear classifier, so that a full sort is easy."""
    weights = torch.randn(4, n_classes, generator=torch.Generator().manual_seed(seed))
    return Itself(), (lambda z: z @ weights), weights


def all_noise(n, n_latent, seed=0):
    blocks = [noise_block(seed, b, n_latent) for b in range(-(-n // BLOCK))]
    return torch.cat(blocks)[:n]


def same(first, second):
    assert first.n == second.n
    np.testing.assert_array_equal(first.accepted, second.accepted)
    rows = zip(first.first, second.first, strict=True)
    pairs = [*zip(first.top, second.top, strict=True)]
    pairs += [pair for one, other in rows for pair in zip(one, other, strict=True)]
    for one, other in pairs:
        np.testing.assert_array_equal(one.index, other.index)
        np.testing.assert_allclose(one.log_odds, other.log_odds, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(one.samples, other.samples, rtol=1e-6)


def test_top_of_a_linear_classifier_is_that_of_a_full_sort():
    generator, classifier, weights = linear_pair()
    probe = monte_carlo_probe(generator, classifier, 10_000, 50, thresholds=(0.9,))
    z = all_noise(10_000, 4).double()
    probability = torch.softmax(z @ weights.double(), 1).numpy()
    for label in range(3):
        order = np.argsort(-probability[:, label], kind="stable")[:50]
        np.testing.assert_array_equal(probe.top[label].index, order)
        np.testing.assert_allclose(
            probe.top[label].probability, probability[order, label], rtol=1e-5
        )
        np.testing.assert_array_equal(probe.top[label].samples, z[order].float().numpy())
        passed = np.flatnonzero(probability[:, label] > 0.9)
        np.testing.assert_array_equal(probe.first[label][0].index, passed[:10])
        assert probe.accepted[label, 0] == len(passed)


@pytest.mark.parametrize("sizes", [(64, BLOCK), (1000, 3 * BLOCK), (5000, 10**6)])
def test_neither_batch_nor_chunk_size_matters(sizes):
    generator, classifier, _ = linear_pair()
    wanted = {"thresholds": (0.5, 0.999), "keep": 20}
    reference = monte_carlo_probe(generator, classifier, 20_001, **wanted)
    batch_size, chunk_size = sizes
    same(
        reference,
        monte_carlo_probe(
            generator, classifier, 20_001, **wanted, batch_size=batch_size, chunk_size=chunk_size
        ),
    )


def test_processes_find_the_same():
    pair = Planted(1.0), Brightness()
    same(
        monte_carlo_probe(*pair, 3 * BLOCK, thresholds=(0.9,), keep=5),
        monte_carlo_probe(*pair, 3 * BLOCK, thresholds=(0.9,), keep=5, workers=2, chunk_size=BLOCK),
    )


def test_a_planted_rare_image_is_found_at_its_rate():
    probe = monte_carlo_probe(Planted(2.5), Brightness(), 200_000, 10, thresholds=(0.9, 0.9999))
    expected = 200_000 * 0.00620967  # P(standard normal > 2.5)
    assert abs(probe.accepted[1, 0] - expected) < 4 * np.sqrt(expected)
    assert (probe.first[1][0].samples.mean((1, 2, 3)) > 0.9).all()
    assert probe.accepted[1, 1] == 0
    assert len(probe.first[1][1]) == 0
    rates = probe.acceptance().set_index(["class", "threshold"])
    assert rates.loc[(1, 0.9), "low"] < 0.00620967 < rates.loc[(1, 0.9), "high"]
    assert rates.loc[(1, 0.9999), "rate"] == 0 < rates.loc[(1, 0.9999), "high"] < 1e-4


def test_an_interrupted_probe_goes_on_and_ends_the_same(tmp_path):
    class Interrupted(Brightness):
        left = 2 * BLOCK

        def forward(self, images):
            if self.left < len(images):
                raise KeyboardInterrupt
            self.left -= len(images)
            return super().forward(images)

    generator, classifier = Planted(1.0), Interrupted()
    wanted = {"n": 5 * BLOCK - 7, "keep": 7, "thresholds": (0.9,), "chunk_size": BLOCK}
    path = tmp_path / "probe.pt"
    with pytest.raises(KeyboardInterrupt):
        monte_carlo_probe(generator, classifier, **wanted, checkpoint=path)
    classifier.left = 10**9
    pair = generator, classifier
    reference = monte_carlo_probe(*pair, **wanted)
    resumed = monte_carlo_probe(*pair, **{**wanted, "chunk_size": 2 * BLOCK}, checkpoint=path)
    assert resumed.resumed_from == 2 * BLOCK
    same(reference, resumed)
    assert [p.name for p in tmp_path.iterdir()] == ["probe.pt"]
    finished = monte_carlo_probe(*pair, **wanted, checkpoint=path)
    same(reference, finished)


def test_a_foreign_checkpoint_is_refused(tmp_path):
    pair = Planted(1.0), Brightness()
    path = tmp_path / "probe.pt"
    monte_carlo_probe(*pair, 100, 5, checkpoint=path)
    with pytest.raises(DataError, match="seed is 0 there and 1 here"):
        monte_carlo_probe(*pair, 100, 5, seed=1, checkpoint=path)


def test_memory_does_not_grow_with_the_number_of_samples():
    def peak(n):
        tracemalloc.start()
        monte_carlo_probe(Planted(1.0), Brightness(), n, 20, thresholds=(0.9,), batch_size=512)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(BLOCK)
    assert peak(40 * BLOCK) < 1.2 * peak(4 * BLOCK) + 50_000


def test_seeds_decide_the_samples():
    pair = Planted(1.0), Brightness()
    first, again, other = (monte_carlo_probe(*pair, 1000, 3, seed=s) for s in (0, 0, 1))
    np.testing.assert_array_equal(first.top[1].samples, again.top[1].samples)
    assert not np.array_equal(first.top[1].samples, other.top[1].samples)
    state = torch.random.get_rng_state()
    monte_carlo_probe(*pair, 10, 3)
    assert torch.equal(state, torch.random.get_rng_state())


def test_log_odds_do_not_saturate():
    odds = probing.log_odds(torch.tensor([[50.0, 0.0, 0.0], [60.0, 0.0, 0.0]]))
    np.testing.assert_allclose(odds[:, 0], [50 - np.log(2), 60 - np.log(2)], rtol=1e-6)
    two = torch.tensor([[1.0, 3.5]])
    np.testing.assert_allclose(probing.log_odds(two), [[-2.5, 2.5]])


def test_networks_keep_their_mode():
    classifier = Brightness().train()
    monte_carlo_probe(Planted(1.0), classifier, 10, 1)
    assert classifier.training


def test_top_samples_are_those_of_a_full_sort():
    rng = np.random.default_rng(0)
    samples, odds = rng.normal(size=(50, 2)), rng.integers(0, 10, 50).astype(float)
    best = probing.top_samples(samples, odds, 20)
    order = np.argsort(-odds, kind="stable")[:20]
    np.testing.assert_array_equal(best.index, order)
    np.testing.assert_array_equal(best.samples, samples[order])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n": 0}, "n=0"),
        ({"keep": 0}, "keep=0"),
        ({"thresholds": (1.0,)}, "no probability"),
        ({"generator": nn.Identity()}, "n_latent"),
    ],
)
def test_bad_settings_are_named(change, message):
    settings = {"generator": Planted(1.0), "classifier": Brightness(), "n": 10, "keep": 1, **change}
    with pytest.raises(DataError, match=message):
        monte_carlo_probe(**settings)


def test_a_logit_that_is_not_a_number_is_an_error():
    with pytest.raises(FloatingPointError, match="sample 0"):
        monte_carlo_probe(Planted(1.0), lambda x: x.flatten(1)[:, :2] * torch.nan, 10, 1)
