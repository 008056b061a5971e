"""Networks as matrix products give what the modules give."""

import numpy as np
import pytest
import torch
from torch import nn

from dc2lib.fast.fused_step import supported
from dc2lib.fast.matrix_form import matrix_form
from dc2lib.models.deepchrome import DeepChrome, build


def signals(n=7, n_marks=5, n_bins=100, seed=0):
    drawn = torch.rand(n, n_marks, n_bins, generator=torch.Generator().manual_seed(seed))
    return torch.log1p((20 * drawn**3).round())


@pytest.mark.parametrize("name", ["deepchrome_max", "deepchrome_average", "deepchrome_strided"])
@pytest.mark.parametrize(("n_marks", "n_bins"), [(5, 100), (3, 40)])
def test_classifiers_give_the_same_logits(name, n_marks, n_bins):
    model = build(name, n_marks, n_bins, seed=1).eval()
    x = signals(n_marks=n_marks, n_bins=n_bins)
    with torch.inference_mode():
        expected = model(x)
        torch.testing.assert_close(matrix_form(model)(x), expected, rtol=1e-5, atol=1e-6)
        transposed = x.transpose(1, 2).contiguous().transpose(1, 2)
        torch.testing.assert_close(matrix_form(model)(transposed), expected, rtol=1e-5, atol=1e-6)


def test_a_bias_below_and_above_zero_is_not_lost():
    model = build("deepchrome_average", seed=1).eval()
    with torch.inference_mode():
        model.convolution.bias.copy_(torch.linspace(-3, 3, 50))
        torch.testing.assert_close(matrix_form(model)(signals()), model(signals()), rtol=1e-5,
                                   atol=1e-6)


def test_an_unknown_network_is_left_alone():
    class Other(DeepChrome):
        def forward(self, signal):
            return super().forward(signal) + 1

    for network in (nn.Identity(), Other(), signals):
        assert matrix_form(network) is network


def test_the_switch_turns_it_off(monkeypatch):
    model = build("deepchrome_max")
    monkeypatch.setenv("DC2LIB_FAST", "0")
    assert matrix_form(model) is model


@pytest.mark.parametrize("edited", ["activation", "layers"])
def test_an_edited_network_is_trained_and_run_as_edited(edited, monkeypatch):
    def features(self, signal):
        pooled = self.pool(torch.tanh(self.convolution(signal))).transpose(1, 2).flatten(1)
        return torch.relu(self.hidden2(torch.relu(self.hidden1(pooled))))

    model = build("deepchrome_max").eval()
    counts = np.ones((4, 100, 5), np.uint16)
    assert supported(model, counts, torch.device("cpu"))
    if edited == "activation":
        monkeypatch.setattr(DeepChrome, "features", features)
    else:
        model.hidden1 = torch.nn.Identity()
    assert matrix_form(model) is model
    assert not supported(model, counts, torch.device("cpu"))
