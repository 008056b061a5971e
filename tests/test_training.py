"""Fits learn a planted rule, repeat exactly, resume exactly, and refuse what cannot be trained."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch

from dc2lib.errors import DataError
from dc2lib.models import deepchrome as models
from dc2lib.signals import to_signal
from dc2lib.training import fit as training
from dc2lib.training.fit import PAPER, Recipe

SHORT = Recipe(transform="log1p", optimizer="adam", epochs=3, patience=3)


def planted(n=256, seed=0):
    """One mark is high around the middle of every positive gene."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, n)
    counts = rng.poisson(1.0, (n, 100, 5))
    counts[:, 45:55, 3] += rng.poisson(4.0, (n, 10)) * labels[:, None]
    return counts.astype(np.uint16), labels


def fit(model="linear", recipe=SHORT, seed=0, **options):
    return training.fit(
        models.build(model, seed=seed), *planted(), *planted(seed=1), recipe=recipe, seed=seed,
        device="cpu", **options,
    )


def weights(result):
    return np.concatenate([p.detach().numpy().ravel() for p in result.model.parameters()])


@pytest.mark.parametrize("model", models.MODELS)
def test_a_planted_rule_is_learned(model):
    recipe = replace(SHORT, learning_rate=0.1, epochs=12, patience=12)
    if model != "linear":
        recipe = replace(recipe, learning_rate=1e-3)
    assert fit(model, recipe).valid_auroc > (0.9 if model == "linear" else 0.97)


def test_the_global_random_state_is_left_alone():
    before = torch.random.get_rng_state()
    fit("deepchrome_max")
    assert torch.equal(before, torch.random.get_rng_state())


def test_fits_in_threads_draw_apart():
    alone = [weights(fit("deepchrome_max", seed=seed)) for seed in range(3)]
    with ThreadPoolExecutor(3) as threads:
        together = threads.map(lambda s: fit("deepchrome_max", seed=s), range(3))
        for one, expected in zip(together, alone, strict=True):
            np.testing.assert_array_equal(weights(one), expected)


def test_default_recipe_is_the_papers():
    assert PAPER == Recipe("raw", "sgd", 1e-3, 0.0, "cosine", 100, 32, 15)


def test_one_step_of_sgd_by_hand():
    counts, labels = planted(n=8)
    labels[:2] = [0, 1]
    model = models.build("linear", seed=0)
    weight, bias = (p.detach().numpy().astype(np.float64) for p in model.output.parameters())
    mean = counts.mean(1)
    logits = mean @ weight.T + bias
    probability = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    error = probability - np.eye(2)[labels]
    expected = weight - 0.1 * error.T @ mean / 8
    recipe = Recipe(learning_rate=0.1, epochs=1, batch_size=8)
    training.fit(model, counts, labels, counts, labels, recipe=recipe, device="cpu")
    np.testing.assert_allclose(model.output.weight.detach().numpy(), expected, atol=1e-6)


def test_cosine_schedule_runs_from_the_rate_to_almost_zero():
    history = fit(recipe=replace(SHORT, epochs=4, patience=4)).history
    rates = history["learning_rate"] / SHORT.learning_rate
    steps = 256 // 32
    last_steps = (np.arange(1, 5) * steps - 1) / (4 * steps)
    np.testing.assert_allclose(rates, (1 + np.cos(np.pi * last_steps)) / 2)


def test_the_best_epoch_is_kept_and_patience_stops():
    recipe = replace(SHORT, optimizer="sgd", learning_rate=1e-12, epochs=20, patience=2)
    result = fit(recipe=recipe)
    best = int(result.history["valid_auroc"].idxmax())
    assert result.best_epoch == best and len(result.history) == best + 1 + 2
    assert result.valid_auroc == result.history["valid_auroc"].max()


@pytest.mark.parametrize("model", ["linear", "deepchrome_max"])
def test_a_resumed_fit_equals_an_uninterrupted_one(model, tmp_path, monkeypatch):
    whole = fit(model)
    calls = []

    def interrupted(*arguments):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return train_epoch(*arguments)

    train_epoch = training.train_epoch
    monkeypatch.setattr(training, "train_epoch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fit(model, checkpoint=tmp_path / "fit.pt")
    monkeypatch.undo()
    resumed = fit(model, checkpoint=tmp_path / "fit.pt")
    np.testing.assert_array_equal(weights(whole), weights(resumed))
    assert whole.history.equals(resumed.history)
    assert [p.name for p in tmp_path.iterdir()] == ["fit.pt"]


def test_a_foreign_checkpoint_is_refused(tmp_path):
    path = tmp_path / "fit.pt"
    fit(checkpoint=path)
    with pytest.raises(DataError, match="belongs to"):
        fit(checkpoint=path, recipe=replace(SHORT, learning_rate=1.0))


def test_every_gene_is_visited_once_an_epoch():
    seen = np.concatenate(list(training.batches(70, 32, seed=1, epoch=2)))
    assert sorted(seen) == list(range(70))
    assert not np.array_equal(seen, np.concatenate(list(training.batches(70, 32, 1, 3))))


@pytest.mark.parametrize("name", list(models.MODELS))
def test_predictions_are_the_networks_without_dropout(name):
    model, (counts, _) = models.build(name, seed=2), planted(n=30)
    logits = training.predict_logits(model, counts, transform="log1p", device="cpu", batch_size=7)
    assert model.training
    expected = model.eval()(to_signal(counts, "log1p")).detach()
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-5)


def test_what_cannot_be_trained_is_refused():
    counts, labels = planted()
    model = models.build("linear")
    with pytest.raises(DataError, match="both 0 and 1"):
        training.fit(model, counts, np.ones(256), counts, labels)
    with pytest.raises(DataError, match="training counts have shape"):
        training.fit(model, counts[:10], labels, counts, labels)
    with pytest.raises(ValueError, match="raw"):
        Recipe(transform="sqrt")
    with pytest.raises(ValueError, match="at least 1"):
        Recipe(epochs=0)
    with pytest.raises(FloatingPointError, match="lower the learning rate"):
        fit("deepchrome_max", replace(SHORT, transform="raw", optimizer="sgd", learning_rate=1e9))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_a_fit_runs_on_cuda():
    result = training.fit(
        models.build("deepchrome_max"), *planted(), *planted(seed=1), recipe=SHORT, device="cuda"
    )
    assert result.valid_auroc > 0.8
