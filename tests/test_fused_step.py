"""The hand-written step makes the updates that autograd makes, tie by tie."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from test_training import SHORT, planted, weights

from dc2lib.fast import fused_step
from dc2lib.fast.fused_step import FusedStep
from dc2lib.models import deepchrome as models
from dc2lib.signals import to_signal
from dc2lib.training import fit as training
from dc2lib.training.fit import PAPER

NETWORKS = [name for name in models.MODELS if type(models.build(name)) is models.DeepChrome]


def network(name="deepchrome_max", dropout=0.0, seed=0, bins=100, marks=5):
    model = models.build(name, marks, bins, seed=seed)
    model.dropout.p = dropout
    return model


def batch(n=32, seed=0, bins=100, marks=5):
    rng = np.random.default_rng(seed)
    counts = rng.poisson(rng.gamma(0.5, 4, (n, 1, marks)), (n, bins, marks)).astype(np.uint16)
    return counts, rng.integers(0, 2, n)


def autograd_gradients(model, counts, labels, transform):
    loss = torch.nn.functional.cross_entropy(
        model(to_signal(counts, transform)), torch.from_numpy(labels)
    )
    gradients = torch.autograd.grad(loss, list(model.parameters()))
    return loss.item(), dict(zip(dict(model.named_parameters()), gradients, strict=True))


def fused_gradients(model, counts, labels, transform):
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.0)
    loss = FusedStep(model, optimizer, transform)(counts, labels, np.random.default_rng(0))
    return loss, {name: parameter.grad for name, parameter in model.named_parameters()}


def same_step(model, counts, labels, transform="log1p", rtol=1e-3, atol=1e-4):
    """Loss and gradients of both ways, which differ by `atol` of the largest gradient at most."""
    loss, expected = autograd_gradients(model, counts, labels, transform)
    fused, found = fused_gradients(model, counts, labels, transform)
    assert fused == pytest.approx(loss, rel=1e-5)
    for parameter, gradient in expected.items():
        scale = gradient.abs().max().item()
        torch.testing.assert_close(found[parameter], gradient, rtol=rtol, atol=atol * scale,
                                   msg=lambda text, name=parameter: f"{name}: {text}")


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("transform", ["raw", "log1p"])
@pytest.mark.parametrize("n", [1, 7, 70])
def test_every_gradient_equals_autograds(name, transform, n):
    same_step(network(name, seed=3), *batch(n, seed=n), transform)


@pytest.mark.parametrize("transform", ["raw", "log1p"])
def test_peak_signals_take_the_same_step(transform):
    """Peaks are float32; a whole number there is the same signal as a count of reads."""
    model, (counts, labels) = network(), batch()
    peaks = counts.astype(np.float32) + np.float32(0.25)
    assert fused_step.supported(model, peaks, torch.device("cpu"))
    same_step(model, peaks, labels, transform)
    step = [fused_gradients(model, one, labels, transform)
            for one in (counts, counts.astype(np.float32))]
    assert step[0][0] == pytest.approx(step[1][0], rel=1e-6)


@pytest.mark.parametrize("name", NETWORKS)
def test_ties_between_windows_are_broken_as_autograd_breaks_them(name):
    counts = np.zeros((6, 100, 5), np.uint16)
    counts[1:4] = 3
    counts[4:, ::2] = 2
    labels = np.array([0, 1, 0, 1, 1, 0])
    same_step(network(name, seed=1), counts, labels, "raw", rtol=1e-4, atol=1e-5)


def test_max_pooling_gives_the_error_to_the_first_of_equal_windows():
    active = np.array([[1.0], [2.0], [2.0], [0.0], [2.0]], np.float32)
    pooled, chosen = np.empty((1, 1), np.float32), np.zeros((1, 1), np.uint8)
    noise, bias = np.zeros((1, 1), np.uint8), np.array([0.5], np.float32)
    fused_step.pool_max(active, bias, noise, 0, np.float32(2), pooled, chosen)
    assert pooled[0, 0] == 5.0
    fused_step.unpool(np.array([[3.0]], np.float32), chosen, np.float32(2), active)
    np.testing.assert_array_equal(active[:, 0], [0, 6, 0, 0, 0])
    fused_step.pool_max(active, bias - 9, noise, 0, np.float32(2), pooled, chosen)
    assert pooled[0, 0] == 0 and chosen[0, 0] == 0


@pytest.mark.parametrize(("marks", "bins"), [(7, 60), (1, 33)])
def test_any_number_of_marks_and_bins(marks, bins):
    same_step(network(bins=bins, marks=marks), *batch(9, 0, bins, marks))


@pytest.mark.parametrize(("name", "dropout"), [(NETWORKS[0], 0.5), *((n, 0.0) for n in NETWORKS)])
@pytest.mark.parametrize(
    ("recipe", "atol"),
    [
        (replace(PAPER, weight_decay=0.1, epochs=3), 1e-4),
        (replace(SHORT, weight_decay=0.1, batch_size=48), 1e-3),
    ],
    ids=["sgd", "adam"],
)
def test_losses_and_weights_follow_autograds(name, dropout, recipe, atol, monkeypatch):
    """Adam divides gradients by their size, so it makes more of the rounding of small ones."""
    both = []
    for fast in ("0", "1"):
        monkeypatch.setenv("DC2LIB_FAST", fast)
        both.append(training.fit(network(name, dropout), *planted(), *planted(seed=1),
                                 recipe=recipe, device="cpu"))
    histories = [one.history for one in both]
    for column in ("loss", "valid_loss"):
        np.testing.assert_allclose(histories[1][column], histories[0][column], atol=atol)
    np.testing.assert_allclose(weights(both[1]), weights(both[0]), atol=3 * atol)


def test_dropped_units_pass_no_error_back():
    model, (counts, labels) = network(dropout=0.5), batch(8)
    step = FusedStep(model, torch.optim.AdamW(model.parameters(), lr=0.0), "log1p")
    step(counts, labels, np.random.default_rng(0))
    noise = np.random.default_rng(0).integers(0, 256, (8, 900), np.uint8)
    mask = torch.from_numpy((noise >= 128) * 2.0).float()
    model.dropout.forward = lambda pooled: pooled * mask
    _, expected = autograd_gradients(model, counts, labels, "log1p")
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.grad, expected[name], rtol=1e-3, atol=1e-5)


def test_what_the_step_is_not_for_is_left_to_autograd(monkeypatch):
    counts, _ = planted()
    cpu, deepchrome = torch.device("cpu"), models.build("deepchrome_max")
    assert fused_step.supported(deepchrome, counts, cpu)
    for model, signal in (
        (models.build("linear"), counts), (deepchrome, counts.astype(np.int64)),
        (type("Other", (models.DeepChrome,), {})(), counts),
    ):
        assert not fused_step.supported(model, signal, cpu)
    assert not fused_step.supported(deepchrome, counts, torch.device("cuda"))
    monkeypatch.setenv("DC2LIB_FAST", "0")
    assert not fused_step.supported(deepchrome, counts, cpu)
    with pytest.raises(ValueError, match="log1p"):
        fused_step.signal_table("sqrt")
