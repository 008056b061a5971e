"""Optimised inputs follow the closed forms of linear classifiers, sample by sample."""

import numpy as np
import pytest
import torch
from torch import nn

from dc2lib import probing
from dc2lib.errors import DataError
from dc2lib.models.gan import generate
from dc2lib.probing import optimise_input

RATE, STEPS = 0.05, 40


@pytest.fixture
def linear():
    """A linear classifier of six inputs and three classes."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Linear(6, 3)


def descend(start, terms, **options):
    options = {
        "steps": STEPS, "learning_rate": RATE, "optimizer": "gradient_descent", **options
    }
    return optimise_input(start, terms, **options)


def weight_of(linear, target):
    return linear.weight[target].detach().numpy()


def test_score_alone_moves_along_the_weights(linear):
    start = probing.uniform_start(4, (6,))
    path = descend(start, [probing.score_term(linear, 1)], record_every=10)
    assert path.steps.tolist() == [0, 10, 20, 30, 40]
    for step, inputs in zip(path.steps, path.inputs, strict=True):
        expected = start.numpy() + step * RATE * weight_of(linear, 1)
        np.testing.assert_allclose(inputs, expected, rtol=1e-5)


@pytest.mark.parametrize("weight", [0.009, 0.5])
def test_norm_term_shrinks_to_the_closed_form(linear, weight):
    start = probing.uniform_start(3, (6,))
    path = descend(start, [probing.score_term(linear, 2), probing.norm_term(weight)])
    shrunk = (1 - 2 * RATE * weight) ** STEPS
    limit = weight_of(linear, 2) / (2 * weight)
    np.testing.assert_allclose(
        path.final, shrunk * start.numpy() + (1 - shrunk) * limit, rtol=1e-4, atol=1e-6
    )


@pytest.mark.parametrize("phi", [0.01, 0.3, 3.0])
def test_phi_pulls_towards_the_start_as_derived(linear, phi):
    start = probing.uniform_start(3, (6,), seed=1)
    path = descend(start, [probing.score_term(linear, 0), probing.distance_term(phi)])
    moved = (1 - (1 - 2 * RATE * phi) ** STEPS) * weight_of(linear, 0) / (2 * phi)
    np.testing.assert_allclose(path.final - start.numpy(), np.tile(moved, (3, 1)), rtol=2e-3)
    np.testing.assert_allclose(path.distance[-1], np.linalg.norm(moved), rtol=1e-3)


def test_one_step_on_the_cross_entropy_by_hand(linear):
    start = probing.uniform_start(5, (6,))
    targets = [0, 1, 2, 0, 1]
    path = descend(start, [probing.class_term(linear, targets, 2.0)], steps=1)
    shares = torch.softmax(linear(start), 1).detach().numpy()
    gradient = (shares - np.eye(3)[targets]) @ linear.weight.detach().numpy()
    np.testing.assert_allclose(path.final, start.numpy() - RATE * 2 * gradient, rtol=1e-5)
    expected = -2 * np.log(shares[np.arange(5), targets])
    np.testing.assert_allclose(path.losses[0, 0], expected, rtol=1e-5)


def test_discriminator_term_by_hand():
    discriminator = nn.Linear(6, 1)
    start = probing.uniform_start(2, (6,))
    path = descend(start, [probing.discriminator_term(discriminator, 0.5)], steps=1)
    logits = discriminator(start).detach().numpy()
    gradient = -0.5 / (1 + np.exp(logits)) * discriminator.weight.detach().numpy()
    np.testing.assert_allclose(path.final, start.numpy() - RATE * gradient, rtol=1e-5)
    np.testing.assert_allclose(path.losses[0, 0], 0.5 * np.log1p(np.exp(-logits[:, 0])), rtol=1e-5)


@pytest.mark.parametrize("optimizer", probing.optimise.OPTIMIZERS)
def test_samples_do_not_influence_each_other(linear, optimizer):
    start = probing.uniform_start(4, (6,))
    terms = [probing.class_term(linear, 1), probing.distance_term(0.1)]
    together = descend(start, terms, optimizer=optimizer)
    for number in range(4):
        alone = descend(start[number : number + 1], terms, optimizer=optimizer)
        np.testing.assert_allclose(together.final[number], alone.final[0], rtol=1e-5, atol=1e-7)


def test_bounds_hold_and_networks_are_left_as_they_were(linear):
    classifier = nn.Sequential(linear, nn.Dropout(0.5)).train()
    start = probing.uniform_start(3, (6,))
    path = descend(start, [probing.score_term(classifier, 0)], bounds=(0, 1))
    free = start.numpy() + STEPS * RATE * weight_of(linear, 0)
    np.testing.assert_allclose(path.final, free.clip(0, 1), rtol=1e-5, atol=1e-6)
    assert (path.final == 1).any() or (path.final == 0).any()
    assert classifier.training
    assert linear.weight.requires_grad and linear.weight.grad is None


class Bright(nn.Module):
    """Generates the latents themselves; class 1 where the first is positive."""

    n_latent = 2

    def forward(self, z):
        return z


def test_generated_starts_avoid_a_class():
    classify = nn.Linear(2, 2)
    with torch.no_grad():
        classify.weight.copy_(torch.tensor([[0.0, 0.0], [1.0, 0.0]]))
        classify.bias.zero_()
    made = generate(Bright(), 20)
    start = probing.generated_start(Bright(), classify, [1, 0, 1], pool=20)
    low, high = made[made[:, 0] <= 0], made[made[:, 0] > 0]
    np.testing.assert_array_equal(start, np.stack([low[0], high[0], low[1]]))
    with pytest.raises(DataError, match="larger pool"):
        probing.generated_start(Bright(), classify, [1] * 20, pool=20)


def test_what_cannot_be_optimised_is_named(linear):
    start = probing.uniform_start(1, (6,))
    term = probing.score_term(linear, 0)
    with pytest.raises(DataError, match="no loss term"):
        optimise_input(start, [])
    with pytest.raises(DataError, match="unknown optimizer"):
        optimise_input(start, [term], optimizer="newton")
    with pytest.raises(DataError, match="outside of the bounds"):
        optimise_input(start, [term], bounds=(0.0, 0.001))
    with pytest.raises(FloatingPointError, match="not finite"):
        optimise_input(start * torch.nan, [term])
