"""The steps of the MNIST chapter, with networks small enough to follow by hand."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from dc2book.mnist import study as digit_study
from torch import nn

from dc2lib.evaluation.generated import Judge, two_sample_test
from dc2lib.models.digits import DigitDiscriminator, DigitGenerator
from dc2lib.probing import monte_carlo_probe


class LeftOrRight(nn.Module):
    """Class 1 is brighter on the right half, class 0 on the left."""

    def forward(self, images):
        halves = [images[..., :14].mean((1, 2, 3)), images[..., 14:].mean((1, 2, 3))]
        return 40 * torch.stack(halves, 1)


@pytest.fixture(scope="module")
def networks():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return LeftOrRight(), DigitDiscriminator(2, 4), DigitGenerator(4, 2).eval()


def test_three_losses_reach_their_targets_and_c_stays_near(networks):
    targets = [0, 1, 1]
    paths = digit_study.three_losses(
        *networks, targets, lambda_=0.1, phi=0.01, steps=40, record_every=10
    )
    assert list(paths) == ["a", "b", "c"]
    for path in paths.values():
        predicted = networks[0](torch.from_numpy(path.final)).argmax(1).tolist()
        assert predicted == targets
        assert 0 <= path.final.min() and path.final.max() <= 1
    np.testing.assert_array_equal(paths["a"].start, paths["b"].start)
    first = networks[0](torch.from_numpy(paths["c"].start)).argmax(1).tolist()
    assert all(one != wanted for one, wanted in zip(first, targets, strict=True))
    near = digit_study.three_losses(*networks, targets, lambda_=0.1, phi=100, steps=40)
    assert near["c"].distance[-1].max() < paths["c"].distance[-1].min() / 3


def test_the_sweep_is_what_single_runs_are(networks):
    classifier, discriminator, generator = networks
    start = generator(torch.randn(2, 4, generator=torch.Generator().manual_seed(0)))
    table, images = digit_study.sweep_weights(
        classifier, discriminator, start.detach().numpy(), [1, 0], [0.0, 1.0], [0.0, 0.1, 50.0],
        steps=15,
    )
    assert len(table) == len(images) == 12
    row = table[(table["lambda"] == 1.0) & (table["phi"] == 0.1)].index
    alone, image = digit_study.sweep_weights(
        classifier, discriminator, start.detach().numpy(), [1, 0], [1.0], [0.1], steps=15
    )
    np.testing.assert_allclose(images[row], image, atol=1e-5)
    moved = table.groupby("phi")["distance"].mean()
    assert moved[50.0] < moved[0.0] / 3
    assert alone["target"].tolist() == [1, 0]


def test_deepchrome_recipe_is_gradient_ascent_with_decay():
    linear = nn.Sequential(nn.Flatten(), nn.Linear(10, 2))
    path = digit_study.deepchrome_recipe(linear, 1, (2, 5), n=3, steps=1000)
    weight = linear[1].weight[1].detach().numpy().reshape(2, 5)
    kept = (1 - 2 * 0.05 * 0.009) ** 1000
    expected = kept * path.start + (1 - kept) * weight / (2 * 0.009)
    np.testing.assert_allclose(path.final, expected, rtol=1e-3, atol=1e-3)


def test_panels_show_what_passed_and_mark_what_did_not(networks):
    classifier, _, generator = networks
    probe = monte_carlo_probe(
        generator, classifier, 300, 20, thresholds=(0.01, 0.999999), keep_first=15
    )
    images, failed = digit_study.accepted_panel(probe, 0)
    assert images.shape == (2, 10, 28, 28) and failed.shape == (2, 10)
    assert not failed.any()
    np.testing.assert_array_equal(images[1, 3], probe.first[1][0].samples[3, 0])
    images, failed = digit_study.accepted_panel(probe, 1)
    assert failed.all()
    np.testing.assert_array_equal(images[0, 0], probe.top[0].samples[0, 0])
    samples, labels = digit_study.accepted_samples(probe, 0)
    assert samples.shape == (30, 1, 28, 28)
    assert np.bincount(labels).tolist() == [15, 15]
    assert len(digit_study.accepted_samples(probe, 1)[0]) == 0


def test_comparison_with_real_samples():
    ratings = pd.DataFrame(
        {
            "method": ["a"] * 20 + ["real"] * 20,
            "low": [0.0] * 20 + [1.0] * 20,
            "same": [0.4, 0.6] * 20,
        }
    )
    found = digit_study.compare_with_real(ratings, "a", ["low", "same"])
    assert found["outcome"].tolist() == ["lower", "undecided"]
    assert found.loc[0, ["difference", "low", "high"]].tolist() == [-1, -1, -1]
    assert found["separation"].tolist() == [1.0, 0.5]


def test_methods_without_samples_and_the_real_ones_are_not_compared():
    images = np.zeros((20, 1))
    methods = {"a": (images, images), "empty": (images[:0], images[:0]), "real": (images, images)}
    ratings = pd.DataFrame({"method": ["a"] * 20 + ["real"] * 20} | dict.fromkeys(
        digit_study.UNSEEN, [0.0] * 20 + [1.0] * 20))
    found = digit_study.compare_methods(ratings, methods)
    assert found["method"].tolist() == ["a"] * 3
    assert found["outcome"].tolist() == ["lower"] * 3


def test_quality_of_real_digits_beside_that_of_a_worse_set():
    rng = np.random.default_rng(0)
    real, made = rng.normal(0, 1, (400, 4)), rng.normal(3, 1, (200, 4))
    halves = np.arange(400).reshape(2, 200)
    pixels = [np.zeros((200, 2, 2), np.uint8)] * 2

    def guess(images, labels):
        return lambda tested: np.zeros(len(tested), int)

    found = digit_study.quality_table(real, made, halves, pixels, pixels[0], guess)
    values = found.set_index(["key", "against"])["estimate"]
    assert values["frechet_distance", "generated"] > 10 * values["frechet_distance", "real"]
    assert values["coverage", "real"] > 0.8 > 0.2 > values["coverage", "generated"]
    told = found[(found["on"] == "features")].set_index("against")["estimate"]
    assert told["generated"] > 0.9 > 0.6 > told["real"]
    shown = digit_study.quality_layout(found.assign(text="x"))
    assert "two sample accuracy, pixels" in shown["measure"].tolist()


def test_dose_table_finds_a_planted_trend():
    rng = np.random.default_rng(0)
    dose, classes = rng.random(600), rng.integers(0, 3, 600)
    judge = Judge("bright", lambda samples, targets: samples[:, 0])
    samples = (dose + rng.normal(0, 0.2, 600))[:, None]
    bands, trends = digit_study.dose_table(
        {"generated": (samples, classes, dose)}, [judge], [0.5, 0.9], n_resamples=100
    )
    assert bands["band"].tolist() == ["up to 0.5", "0.5 to 0.9", "above 0.9"]
    row = trends.iloc[0]
    assert row["low"] > 0.5 and row["pvalue"] < 0.02
    assert row["monotone"] == "rises at every step"


def test_the_pixel_classifier_tells_bars_from_noise_and_not_from_bars():
    def bars(seed):
        rng = np.random.default_rng(seed)
        images = rng.integers(0, 60, (400, 28, 28)).astype(np.uint8)
        for image, row in zip(images, rng.integers(3, 24, 400), strict=True):
            image[row : row + 3] = 200
        return images

    noise = np.random.default_rng(5).integers(0, 60, (400, 28, 28)).astype(np.uint8)
    fit = partial(digit_study.pixel_classifier, epochs=3, width=4)
    assert two_sample_test(bars(0), noise, fit=fit).low > 0.9
    assert 0.5 in two_sample_test(bars(0), bars(7), fit=fit)
