"""Attributions against closed forms."""

import numpy as np
import pytest
import torch
from torch import nn

from dc2lib.errors import DataError
from dc2lib.probing import attribution as local

SHAPE = (5, 20)


class Linear(nn.Module):
    """Logits (-w.x / 2, w.x / 2 + 1): log odds w.x + 1."""

    def __init__(self, weight):
        super().__init__()
        self.weight = nn.Parameter(torch.from_numpy(weight.astype(np.float32)))

    def forward(self, signal):
        half = (signal * self.weight).sum((1, 2)) / 2
        return torch.stack([-half, half + 1], dim=1)


class Product(nn.Module):
    """Log odds: mean of mark 0 times mean of mark 1, plus mean of mark 2."""

    def forward(self, signal):
        mean = signal.mean(2)
        odds = mean[:, 0] * mean[:, 1] + mean[:, 2]
        return torch.stack([torch.zeros_like(odds), odds], dim=1)


@pytest.fixture
def weight():
    return np.random.default_rng(0).standard_normal(SHAPE)


@pytest.fixture
def signals():
    return np.random.default_rng(1).random((30, *SHAPE)).astype(np.float32)


def test_linear_attributions_are_weight_times_difference(weight, signals):
    model, baseline = Linear(weight), signals.mean(0)
    expected = weight * (signals - baseline)
    np.testing.assert_allclose(
        local.saliency(model, signals), np.broadcast_to(weight, signals.shape), rtol=1e-5
    )
    np.testing.assert_allclose(
        local.integrated_gradients(model, signals, baseline), expected, atol=1e-5
    )
    np.testing.assert_allclose(
        local.mark_ablation(model, signals, baseline), expected.sum(2), atol=1e-5
    )
    windows = expected.reshape(30, 5, 4, 5).sum(3) / 5
    np.testing.assert_allclose(
        local.window_ablation(model, signals, baseline, width=5), np.repeat(windows, 5, 2),
        atol=1e-5,
    )  # fmt: skip
    assert np.abs(local.pair_ablation(model, signals, baseline)).max() < 1e-5


def test_uneven_windows_share_their_loss(weight, signals):
    found = local.window_ablation(Linear(weight), signals, np.zeros(SHAPE), width=8)
    expected = (weight * signals)[:, :, 16:].sum(2) / 4
    np.testing.assert_allclose(found[:, :, 16:], np.repeat(expected[..., None], 4, 2), atol=1e-5)


def test_pairs_of_a_product(signals):
    together = local.pair_ablation(Product(), signals, np.zeros(SHAPE))
    mean = signals.mean(2)
    np.testing.assert_allclose(together[:, 0, 1], mean[:, 0] * mean[:, 1], atol=1e-6)
    np.testing.assert_allclose(together, together.transpose(0, 2, 1))
    together[:, 0, 1] = together[:, 1, 0] = 0
    assert np.abs(together).max() < 1e-6


def test_integrated_gradients_add_up(signals):
    baseline = np.zeros(SHAPE)
    attributions = local.integrated_gradients(Product(), signals, baseline)
    mean = signals.mean(2)
    np.testing.assert_allclose(
        attributions.sum((1, 2)), mean[:, 0] * mean[:, 1] + mean[:, 2], atol=1e-5
    )


def test_attributions_do_not_depend_on_batches(weight):
    many = np.random.default_rng(2).random((local.BATCH + 3, *SHAPE)).astype(np.float32)
    whole = local.integrated_gradients(Product(), many, many.mean(0))
    part = local.integrated_gradients(Product(), many[-3:], many.mean(0))
    np.testing.assert_allclose(whole[-3:], part, atol=1e-7)


def test_wrong_shapes_are_refused(weight, signals):
    with pytest.raises(DataError, match="baseline has shape"):
        local.mark_ablation(Linear(weight), signals, signals.mean((0, 2)))
    with pytest.raises(DataError, match="no gene"):
        local.saliency(Linear(weight), signals[:0])
    with pytest.raises(DataError, match="at least 1"):
        local.window_ablation(Linear(weight), signals, signals.mean(0), width=0)
