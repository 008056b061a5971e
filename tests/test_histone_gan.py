"""Generated signals are those of whole counts, bit for bit; the probe of them is a full sort."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from dc2lib.errors import DataError
from dc2lib.evaluation.generated import FrechetQuality
from dc2lib.fast.generator import matrix_form
from dc2lib.models.gan import (
    HistoneGenerator,
    counts_to_signals,
    generate,
    histone_gan_for,
    signals_to_counts,
    whole_counts,
)
from dc2lib.models.networks import initial_weights
from dc2lib.training.gan import GanRecipe, cached_gan

RECIPE = GanRecipe(regularise_every=4, steps=6, round_steps=3, batch_size=16)


def toy_signals(n=300, seed=0):
    """Two marks in eight bins; reads of the second fall with those of the first."""
    rng = np.random.default_rng(seed)
    level = rng.gamma(2, 2, size=(n, 1, 1))
    counts = rng.poisson(np.concatenate([level, 8 / (1 + level)], axis=2), size=(n, 8, 2))
    return counts_to_signals(counts)


def small_gan(seed=0):
    return histone_gan_for(np.full((1, 2, 8), np.log1p(50), np.float32), seed, width=4)


def own_features(signals):
    return np.concatenate([signals.mean(2), signals.std(2)], axis=1)


def test_the_transform_is_inverted_for_every_count():
    counts = np.arange(65_536, dtype=np.uint16).reshape(64, 512, 2)
    signals = counts_to_signals(counts)
    assert signals.shape == (64, 2, 512)
    assert signals.dtype == np.float32
    np.testing.assert_array_equal(signals_to_counts(signals), counts)


@pytest.mark.parametrize("wrong", [-0.8, np.nan, 12.0])
def test_signals_that_are_no_counts_are_refused(wrong):
    signals = np.zeros((1, 2, 8), np.float32)
    signals[0, 1, 3] = wrong
    with pytest.raises(DataError):
        signals_to_counts(signals)


def test_generated_signals_are_those_of_whole_counts():
    generator, _ = small_gan()
    signals = generate(generator, 50, seed=1)
    assert signals.shape == (50, 2, 8)
    assert signals.min() >= 0
    counts = signals_to_counts(signals)
    assert counts.max() <= 50
    np.testing.assert_array_equal(counts_to_signals(counts), signals)
    noise = torch.randn(50, generator.n_latent, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        fast = np.ascontiguousarray(matrix_form(generator)(noise).numpy())
    np.testing.assert_array_equal(counts_to_signals(signals_to_counts(fast)), fast)


@pytest.mark.parametrize(("n_marks", "n_bins", "width"), [(5, 100, 16), (2, 12, 3)])
def test_the_generator_as_matrix_products_gives_the_same_signals(n_marks, n_bins, width):
    with initial_weights(3):
        generator = HistoneGenerator(n_marks, n_bins, width)
    noise = 3 * torch.randn(9, generator.n_latent, generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        expected = generator(noise)
        made = matrix_form(generator)(noise)
    assert expected.unique().numel() > 2
    torch.testing.assert_close(made, expected, rtol=1e-5, atol=1e-6)


def test_no_mark_exceeds_its_own_largest_count():
    signals = counts_to_signals(np.tile([3, 40], (100, 8, 1)))
    generator, _ = histone_gan_for(signals, width=4)
    generator.output.bias.data.fill_(9.0)
    noise = torch.zeros(3, generator.n_latent)
    for made in (generator(noise).detach(), matrix_form(generator)(noise)):
        assert signals_to_counts(made.numpy()).max((0, 1)).tolist() == [3, 40]


def test_measured_and_generated_signals_of_a_count_are_the_same_number():
    measured = counts_to_signals(np.arange(65_536, dtype=np.uint16).reshape(64, 512, 2))
    for signals in (torch.from_numpy(measured), torch.from_numpy(measured).transpose(1, 2)):
        assert torch.equal(whole_counts(signals), signals)


def test_rounding_lets_gradients_pass():
    signals = torch.tensor([0.1, 0.5, 2.0], requires_grad=True)
    rounded = whole_counts(signals)
    np.testing.assert_allclose(rounded.detach().numpy(), np.log1p([0, 1, 6]), rtol=1e-6)
    rounded.sum().backward()
    assert signals.grad.tolist() == [1, 1, 1]


def test_a_generator_needs_a_multiple_of_four_bins():
    with pytest.raises(ValueError, match="multiple of 4"):
        HistoneGenerator(n_bins=10)


def test_a_gan_is_trained_once_for_its_data_recipe_and_quality(tmp_path):
    signals = toy_signals()
    quality = FrechetQuality(own_features(signals[:100]), own_features)

    def train(recipe=RECIPE, quality=quality):
        return cached_gan(
            "histone_gans", histone_gan_for(signals, 0), signals, recipe=recipe, quality=quality,
            home=tmp_path,
        )  # fmt: skip

    first, again = train(), train()
    assert (first.history["frechet_distance"] > 0).all()
    np.testing.assert_array_equal(generate(first.generator, 5), generate(again.generator, 5))
    train(replace(RECIPE, loss="hinge"))
    train(quality=FrechetQuality(own_features(signals[100:200]), own_features))
    assert len(list((tmp_path / "histone_gans").iterdir())) == 3
