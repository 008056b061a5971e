"""Parameter counts, and the network against a forward pass written out by hand."""

import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from dc2book.mnist.networks import DeepChromeMNIST

from dc2lib.models import deepchrome as models


def forward_by_hand(model: models.DeepChrome, signal: np.ndarray, stride: int) -> np.ndarray:
    p = {k: v.detach().numpy().astype(np.float64) for k, v in model.state_dict().items()}
    weight, bias = p["convolution.weight"], p["convolution.bias"]
    n, _, bins = signal.shape
    starts = range(0, bins - 10 + 1, stride)
    conv = np.empty((n, 50, len(starts)))
    for gene in range(n):
        for filter_ in range(50):
            for position, start in enumerate(starts):
                window = signal[gene, :, start : start + 10]
                conv[gene, filter_, position] = (window * weight[filter_]).sum() + bias[filter_]
    conv = np.maximum(conv, 0)
    pooled = []
    for position in range(len(starts) // 5):
        block = conv[:, :, position * 5 : position * 5 + 5]
        pooled.append(block.max(2) if model.pooling == "max" else block.mean(2))
    x = np.stack(pooled, 1).reshape(n, -1)
    for layer in ("hidden1", "hidden2"):
        x = np.maximum(x @ p[f"{layer}.weight"].T + p[f"{layer}.bias"], 0)
    return x @ p["output.weight"].T + p["output.bias"]


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("deepchrome_max", 644_177),
        ("deepchrome_average", 644_177),
        ("deepchrome_strided", 362_927),
        ("linear", 12),
    ],
)
def test_parameter_counts(name, parameters):
    assert models.count_parameters(models.build(name)) == parameters


@pytest.mark.parametrize(
    ("name", "stride"),
    [("deepchrome_max", 1), ("deepchrome_average", 1), ("deepchrome_strided", 2)],
)
def test_logits_equal_the_forward_pass_by_hand(name, stride):
    model = models.build(name, seed=3).eval()
    signal = np.random.default_rng(0).poisson(1.0, (3, 5, 100)).astype(np.float32)
    logits = model(torch.from_numpy(signal)).detach().numpy()
    np.testing.assert_allclose(logits, forward_by_hand(model, signal, stride), atol=1e-5)


def test_linear_model_sees_only_the_mean_of_each_mark():
    model = models.build("linear", seed=1)
    signal = torch.rand(4, 5, 100, generator=torch.Generator().manual_seed(0))
    shuffled = signal[:, :, torch.randperm(100, generator=torch.Generator().manual_seed(1))]
    torch.testing.assert_close(model(signal), model(shuffled))


@pytest.mark.parametrize("name", models.MODELS)
def test_logits_do_not_depend_on_the_batch(name):
    model = models.build(name, seed=2).eval()
    signal = torch.rand(7, 5, 100, generator=torch.Generator().manual_seed(0))
    one_by_one = torch.cat([model(gene[None]) for gene in signal])
    torch.testing.assert_close(model(signal), one_by_one)


def test_seed_decides_the_weights_and_the_global_state_stays():
    before = torch.random.get_rng_state()
    first, again, other = (models.build("linear", seed=s).output.weight for s in (0, 0, 1))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert torch.equal(before, torch.random.get_rng_state())


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match="deepchrome_max"):
        models.build("resnet")
    with pytest.raises(ValueError, match="pooling"):
        models.DeepChrome(pooling="median")
    with pytest.raises(ValueError, match="too few"):
        models.DeepChrome(n_bins=12)


def test_digit_twin_has_nearly_the_parameters_of_deepchrome():
    twin = DeepChromeMNIST()
    convolution = 56 * (8 * 9 + 1)
    hidden = (56 * 4 * 4 + 1) * 625 + 626 * 125
    assert models.count_parameters(twin) == convolution + hidden + 126 * 10 == 644_223
    assert twin(torch.zeros(2, 1, 28, 28)).shape == (2, 10)
    assert twin.features(torch.zeros(2, 1, 28, 28)).shape == (2, 125)


def test_models_built_in_threads_have_the_weights_of_their_seeds():
    expected = {seed: models.build("deepchrome_max", seed=seed).state_dict() for seed in range(4)}
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as pool:
            built = list(pool.map(lambda seed: models.build("deepchrome_max", seed=seed % 4),
                                  range(60)))
    finally:
        sys.setswitchinterval(interval)
    for number, model in enumerate(built):
        for name, value in model.state_dict().items():
            assert torch.equal(value, expected[number % 4][name])


def test_dropout_by_a_generator_is_a_byte_a_unit():
    values, layer = torch.ones(3, 4), models.Dropout(0.25)
    noise = np.random.default_rng(1).integers(0, 256, (3, 4), np.uint8)
    with layer.drawing_from(np.random.default_rng(1)):
        np.testing.assert_allclose(layer(values), (noise >= 64) / 0.75, rtol=1e-6)
        assert torch.equal(layer.eval()(values), values)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        expected = torch.nn.functional.dropout(values, 0.25)
        torch.manual_seed(0)
        assert torch.equal(layer.train()(values), expected)
