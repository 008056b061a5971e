"""The steps of the MNIST chapter, with networks small enough to follow by hand."""

from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from dc2book.mnist import figures
from dc2book.mnist import study as digit_study
from dc2book.mnist.judges import Judge, judge_means, rate_samples
from dc2book.mnist.networks import (
    DigitDiscriminator,
    DigitGenerator,
    as_pixels,
    build_digit_classifier,
)
from dc2book.mnist.training import DigitRecipe, fit_digits
from torch import nn

from dc2lib.evaluation.generated import two_sample_test
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


def test_sampled_digits_are_compared_with_real_ones_above_the_same_threshold():
    ratings = pd.DataFrame({
        "method": np.repeat(["sampled, > 0.9", "real, > 0.9", "real, any"], 20),
        "target": [0, 1] * 30,
        "judge": np.repeat([0.4, 0.6, 0.3], 20),
    })
    pairs = [(name, digit_study.counterpart(name)) for name in ("sampled, > 0.9", "(a) optimised")]
    assert pairs[1] == ("(a) optimised", "real, any")
    found = digit_study.compare(ratings, pairs, ["judge"])
    assert found[["method", "against"]].to_numpy().tolist() == [list(pairs[0])]
    assert found.loc[0, ["estimate", "low", "high"]].tolist() == pytest.approx([-0.2] * 3)
    assert digit_study.lowest_rated(found, "sampled, > 0.9")["judge"] == "judge"
    assert digit_study.lowest_rated(found, "(a) optimised").isna().all()
    assert digit_study.compare(ratings.assign(target=range(60)), pairs, ["judge"]).empty


def test_who_gives_noise_about_what_it_gives_real_digits_is_no_judge():
    rng = np.random.default_rng(0)
    noise, digits = rng.random((400, 1, 28, 28)), np.zeros((400, 1, 28, 28))
    digits[:, :, 5:20, 5:20] = rng.random((400, 1, 15, 15))
    shrug = Judge("shrug", lambda images, _: 0.52 - 0.22 * images.mean((1, 2, 3)))
    sees = Judge("sees", lambda images, _: 1 - images.mean((1, 2, 3)) * 1.9)
    kinds = {"real": (digits, np.zeros(400, int)), "noise": (noise, np.zeros(400, int))}
    means = judge_means(rate_samples(kinds, [shrug, sees])).rename(
        columns={"method": "of"})
    by_judge = means.pivot(index="judge", columns="of", values="estimate")
    assert by_judge.at["shrug", "noise"] == pytest.approx(0.41, abs=0.01)
    assert digit_study.judges_that_count(means) == ["sees"]


def test_a_judge_of_real_or_not_learns_what_no_digit_is():
    def bars(seed, n=300):
        rng = np.random.default_rng(seed)
        images = np.zeros((n, 28, 28), np.uint8)
        for image, row in zip(images, rng.integers(3, 24, n), strict=True):
            image[row : row + 3, 4:24] = 255
        return images

    made = np.roll(bars(1), 1, axis=2) // 2
    images, labels = digit_study.real_and_not(bars(0), made[:100])
    assert images.dtype == np.uint8 and labels.tolist() == [1] * 300 + [0] * 300
    np.testing.assert_array_equal(images[300:400], made[:100])
    model = build_digit_classifier("real_or_not")
    fit_digits(model, images, labels, recipe=DigitRecipe(4, 32))
    judge = digit_study.unseen_judges(build_digit_classifier("digit_judge"), model,
                                      bars(2), bars(3))[2]
    kinds = {"real": bars(4), "generated": made[100:]} | digit_study.control_images(bars(5))
    given = {name: judge.probability(as_pixels(kind).numpy(), np.zeros(len(kind), int)).mean()
             for name, kind in kinds.items()}
    assert given["real"] > 0.8 and max(given[name] for name in (
        "generated", "noise", "blurred")) < 0.2


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


def test_the_pixel_classifier_tells_bars_from_noise_and_not_from_bars():
    def bars(seed):
        rng = np.random.default_rng(seed)
        images = rng.integers(0, 60, (400, 28, 28)).astype(np.uint8)
        for image, row in zip(images, rng.integers(3, 24, 400), strict=True):
            image[row : row + 3] = 200
        return images

    noise = np.random.default_rng(5).integers(0, 60, (400, 28, 28)).astype(np.uint8)
    fit = partial(digit_study.pixel_classifier, epochs=4)
    assert two_sample_test(bars(0), noise, fit=fit).low > 0.9
    assert 0.5 in two_sample_test(bars(0), bars(7), fit=fit)


def test_frames_surround_what_did_not_pass():
    images = np.full((10, 10, 28, 28), np.nan)
    failed = np.zeros((10, 10), bool)
    failed[3, 4] = True
    fig = figures.accepted_images({"all": (images, ~failed), "one": (images, failed)})
    plt.close(fig)
    assert [len(axis.patches) for axis in fig.axes] == [99, 1]
    frame = fig.axes[1].patches[0]
    assert frame.get_x() == pytest.approx(4 * 30 + 0.5) and frame.get_width() == 30
