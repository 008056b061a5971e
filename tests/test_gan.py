"""GANs learn a distribution, repeat and resume exactly; losses and penalties are as published."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from dc2book.mnist.networks import build_digit_gan
from torch import nn

from dc2lib.errors import DataError
from dc2lib.models.gan import generate
from dc2lib.training.gan import (
    GanRecipe,
    cached_gan,
    discriminator_loss,
    generator_loss,
    regulariser_loss,
    train_gan,
)

SHORT = GanRecipe(steps=12, round_steps=5, batch_size=16)


class Line(nn.Module):
    """Latents to pairs of numbers."""

    n_latent = 2

    def __init__(self, hidden=16):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(2, hidden), nn.ReLU(), nn.Linear(hidden, 2))

    def forward(self, z):
        return self.layers(z)


class Judge(nn.Module):
    def __init__(self, hidden=16, dropout=0.1):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(2, hidden), nn.LeakyReLU(0.2), nn.Dropout(dropout), nn.Linear(hidden, 1)
        )

    def forward(self, x):
        return self.layers(x)


def pair(seed=0):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Line(), Judge()


def points(n=256, seed=0):
    """A narrow normal distribution around (3, -1)."""
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(n, 2)) * [0.5, 0.2] + [3, -1]).astype(np.float32)


def train(recipe=SHORT, seed=0, **options):
    return train_gan(*pair(), points(), recipe=recipe, seed=seed, device="cpu", **options)


def weights(module):
    return torch.cat([p.detach().flatten() for p in module.parameters()]).numpy()


@pytest.mark.parametrize(
    ("loss", "regulariser", "strength"),
    [
        ("wasserstein", "gradient_penalty", 1.0),
        ("relativistic", "r1", 0.5),
    ],
)
def test_a_planted_distribution_is_learned(loss, regulariser, strength):
    recipe = GanRecipe(
        loss, regulariser, strength, steps=900, batch_size=64, learning_rate=5e-3,
        discriminator_learning_rate=5e-3, round_steps=300,
    )
    made = generate(train(recipe).generator, 2000)
    np.testing.assert_allclose(made.mean(0), [3, -1], atol=0.25)
    assert 0.1 < made[:, 0].std() < 1.0
    assert made[:, 1].std() < made[:, 0].std()


def test_same_seed_same_samples():
    fitted = train().generator
    np.testing.assert_array_equal(generate(fitted, 10), generate(fitted, 10))
    np.testing.assert_array_equal(
        generate(fitted, 10), generate(fitted, 10, batch_size=10)
    )
    assert not np.array_equal(generate(fitted, 10), generate(fitted, 10, seed=1))


def test_the_global_random_state_is_left_alone():
    before = torch.random.get_rng_state()
    train()
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize("regularise_every", [1, 4])
def test_an_interrupted_training_ends_like_a_whole_one(tmp_path, regularise_every):
    recipe = replace(SHORT, regularise_every=regularise_every)
    whole = train(recipe)
    path = tmp_path / "gan.pt"
    calls = []

    def interrupting(generator):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return {}

    with pytest.raises(KeyboardInterrupt):
        train(recipe, quality=interrupting, checkpoint=path)
    resumed = train(recipe, checkpoint=path)
    np.testing.assert_array_equal(weights(whole.generator), weights(resumed.generator))
    np.testing.assert_array_equal(weights(whole.discriminator), weights(resumed.discriminator))
    assert resumed.history.equals(whole.history)
    assert resumed.history["step"].tolist() == [5, 10, 12]
    finished = train(recipe, checkpoint=path)
    np.testing.assert_array_equal(weights(whole.generator), weights(finished.generator))
    assert [p.name for p in tmp_path.iterdir()] == ["gan.pt"]


def test_a_foreign_checkpoint_is_refused(tmp_path):
    path = tmp_path / "gan.pt"
    train(checkpoint=path)
    with pytest.raises(DataError, match="belongs to"):
        train(seed=1, checkpoint=path)
    with pytest.raises(DataError, match="data is"):
        train_gan(*pair(), points(seed=1), recipe=SHORT, checkpoint=path)


def test_the_averaged_generator_of_the_last_round_is_returned():
    seen = []

    def quality(generator):
        seen.append(weights(generator))
        return {"round": len(seen)}

    fitted = train(quality=quality)
    np.testing.assert_array_equal(weights(fitted.generator), seen[-1])
    assert fitted.history["round"].tolist() == [1, 2, 3]


def test_a_gan_is_trained_once_for_equal_arguments(tmp_path):
    images = np.random.default_rng(0).integers(0, 255, (64, 1, 28, 28)).astype(np.uint8)
    recipe = GanRecipe(steps=2, batch_size=16, round_steps=1)

    def train_digits(seed=0, images=images, width=4, **options):
        networks = build_digit_gan(seed, width=width, hidden=8)
        return cached_gan(
            "gans", networks, images, home=tmp_path, recipe=recipe, seed=seed, **options
        )

    first = train_digits(quality=lambda generator: {"one": 1.0})
    again = train_digits()
    assert len(list(tmp_path.rglob("*.pt"))) == 1
    assert again.history.equals(first.history) and "one" in again.history
    np.testing.assert_array_equal(weights(first.generator), weights(again.generator))
    train_digits(seed=1)
    train_digits(images=images[:63])
    train_digits(width=6)
    assert len(list(tmp_path.rglob("*.pt"))) == 4


def test_losses_by_hand():
    real, made = torch.tensor([2.0, 0.0]), torch.tensor([-0.5, 1.0])
    log1pexp = lambda x: np.log1p(np.exp(x))  # noqa: E731
    expected = {
        "nonsaturating": np.mean(log1pexp(-real.numpy())) + np.mean(log1pexp(made.numpy())),
        "hinge": (0 + 1) / 2 + (0.5 + 2) / 2,
        "wasserstein": 0.25 - 1.0,
        "relativistic": np.mean(log1pexp(np.array([-2.5, 1.0]))),
    }
    for loss, value in expected.items():
        assert discriminator_loss(loss, real, made).item() == pytest.approx(value, rel=1e-6)
    assert generator_loss("hinge", None, made).item() == pytest.approx(-0.25)
    assert generator_loss("nonsaturating", None, made).item() == pytest.approx(
        np.mean(log1pexp(-made.numpy()))
    )
    assert generator_loss("relativistic", real, made).item() == pytest.approx(
        np.mean(log1pexp(np.array([2.5, -1.0])))
    )


def test_penalties_of_a_linear_discriminator_by_hand():
    discriminator = nn.Linear(2, 1)
    with torch.no_grad():
        discriminator.weight.copy_(torch.tensor([[3.0, 4.0]]))
    real, made = torch.randn(5, 2), torch.randn(5, 2)
    source = torch.Generator().manual_seed(0)
    for regulariser, value in (("r1", 2.0 / 2 * 25), ("gradient_penalty", 2.0 * (5 - 1) ** 2)):
        recipe = GanRecipe(regulariser=regulariser, strength=2.0)
        penalty = regulariser_loss(recipe, discriminator, real, made, source)
        assert penalty.item() == pytest.approx(value, rel=1e-5)


def test_bytes_are_pixels():
    data = np.full((20, 2), 255, np.uint8)
    seen = []

    class Seeing(Judge):
        def forward(self, x):
            seen.append(x.max().item())
            return super().forward(x)

    train_gan(Line(), Seeing(), data, recipe=replace(SHORT, regulariser="none", steps=1))
    assert seen[0] == 1.0


def test_what_cannot_be_trained_is_named():
    with pytest.raises(DataError, match="fewer than one batch"):
        train_gan(*pair(), points(8), recipe=SHORT)
    with pytest.raises(DataError, match=r"shape \(2,\), the data have \(3,\)"):
        train_gan(*pair(), np.zeros((64, 3), np.float32), recipe=SHORT)
    with pytest.raises(FloatingPointError, match="learning rates"):
        train_gan(*pair(), points() * np.float32(np.nan), recipe=SHORT)
    with pytest.raises(ValueError, match="unknown 'best'"):
        GanRecipe(loss="best")
    with pytest.raises(ValueError, match="steps=0"):
        GanRecipe(steps=0)
