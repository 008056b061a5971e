"""The generator as matrix products gives what the module gives."""

import pytest
import torch
from torch import nn

from dc2lib.fast.generator import matrix_form
from dc2lib.models.deepchrome import build
from dc2lib.models.gan import HistoneGenerator
from dc2lib.models.networks import initial_weights


@pytest.mark.parametrize(("n_marks", "n_bins", "width"), [(5, 100, 16), (2, 12, 3)])
def test_generators_give_the_same_signals(n_marks, n_bins, width):
    with initial_weights(3):
        generator = HistoneGenerator(n_marks, n_bins, width)
    noise = 3 * torch.randn(9, generator.n_latent, generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        expected = generator(noise)
        made = matrix_form(generator)(noise)
    assert expected.unique().numel() > 2
    torch.testing.assert_close(made, expected, rtol=1e-5, atol=1e-6)


def test_classifiers_are_known_and_what_is_not_is_left_alone():
    model, other = build("deepchrome_max").eval(), nn.Identity()
    signals = torch.zeros(2, 5, 100)
    torch.testing.assert_close(matrix_form(model)(signals), model(signals).detach())
    assert matrix_form(model) is not model and matrix_form(other) is other
