"""Classifiers of digits learn, repeat, resist the attacks they were trained on, and are kept."""

import numpy as np
import pytest
import torch
from dc2book.mnist import training as digits
from dc2book.mnist.networks import as_pixels, build_digit_classifier
from dc2book.mnist.training import DigitRecipe

from dc2lib.errors import DataError
from dc2lib.models.networks import apply_in_batches

QUICK = DigitRecipe(epochs=2, batch_size=32, learning_rate=3e-3)


def bars(n=320, seed=0):
    """Noise with a bright bar whose row is the class."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 10, n)
    images = rng.integers(0, 60, (n, 28, 28)).astype(np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[2 * label + 3 : 2 * label + 6] = 200
    return images, labels


def train(name="digit_judge", recipe=QUICK, seed=0):
    model = build_digit_classifier(name, seed)
    return model, digits.fit_digits(model, *bars(), recipe=recipe, seed=seed)


def accuracy(model):
    images, labels = bars(seed=1)
    return np.mean(apply_in_batches(model, as_pixels(images)).argmax(1) == labels)


@pytest.mark.parametrize("name", ["mnist_classifier", "digit_judge"])
def test_bars_are_learned(name):
    model, history = train(name, DigitRecipe(epochs=4, batch_size=32, learning_rate=3e-3))
    assert accuracy(model) > 0.9
    assert history["loss"].is_monotonic_decreasing
    assert not model.training


def test_same_seed_same_model_and_the_global_state_is_left_alone():
    state = torch.random.get_rng_state()
    images, _ = bars(seed=1)
    first, again, other = (apply_in_batches(train(seed=s)[0], as_pixels(images)) for s in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert torch.equal(state, torch.random.get_rng_state())


def test_attacks_stay_within_reach_and_raise_the_loss():
    model, _ = train()
    images, labels = bars(64, seed=2)
    clean, target = as_pixels(images), torch.from_numpy(labels)
    moved = digits.attacked(model, clean, target, 0.1, torch.Generator().manual_seed(0))
    assert (moved - clean).abs().max() <= 0.1 + 1e-6
    assert 0 <= moved.min() and moved.max() <= 1
    loss = torch.nn.functional.cross_entropy
    assert loss(model(moved), target) > loss(model(clean), target)


def test_training_on_attacks_gives_resistance():
    recipe = DigitRecipe(epochs=4, batch_size=32, learning_rate=3e-3)
    plain, _ = train(recipe=recipe)
    robust, _ = train(recipe=DigitRecipe(4, 32, 3e-3, epsilon=0.2))
    images, labels = bars(seed=1)
    attacked = [digits.attacked_accuracy(m, images, labels, 0.2) for m in (plain, robust)]
    assert attacked[1] > attacked[0] + 0.1


def test_a_classifier_is_trained_once_for_equal_settings(tmp_path):
    data = bars()

    def train_once(seed=0):
        return digits.cached_digit_classifier(
            "digit_judge", *data, recipe=QUICK, seed=seed, home=tmp_path
        )

    model, again = train_once(), train_once()
    assert len(list(tmp_path.rglob("*.npz"))) == 1
    for first, second in zip(model.parameters(), again.parameters(), strict=True):
        assert torch.equal(first, second)
    assert not (model.training or again.training)
    train_once(seed=1)
    assert len(list(tmp_path.rglob("*.npz"))) == 2


def test_what_cannot_be_trained_is_named():
    images, labels = bars(32)
    with pytest.raises(DataError, match="32 images and 31 labels"):
        digits.fit_digits(build_digit_classifier("digit_judge"), images, labels[:-1], recipe=QUICK)
    with pytest.raises(ValueError, match="unknown model"):
        build_digit_classifier("digits")
    with pytest.raises(ValueError, match="epochs"):
        DigitRecipe(epochs=0)
