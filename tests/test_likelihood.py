"""The likelihood is the one computed by hand; samples have the planted process, each its own."""

import pickle

import numpy as np
import pytest
import torch
from torch import nn

from dc2lib.errors import DataError
from dc2lib.models.gan import counts_to_signals, generate, signals_to_counts
from dc2lib.models.likelihood import (
    HistoneLikelihood,
    count_classes,
    histone_likelihood_for,
    inverse_distribution,
    step_of,
)
from dc2lib.models.networks import initial_weights
from dc2lib.probing import monte_carlo_probe
from dc2lib.training.likelihood import LikelihoodRecipe, cached_likelihood, train_likelihood

STAY = {0: 0.9, 6: 0.7}  # probability that the next bin of the planted process has as many reads


def planted(n, n_bins=12, seed=0):
    """One mark that has 0 or 6 reads, a second that copies it with one read more."""
    rng = np.random.default_rng(seed)
    counts = np.zeros((n, n_bins, 2), int)
    counts[:, 0, 0] = 6 * rng.integers(2, size=n)
    for place in range(1, n_bins):
        before = counts[:, place - 1, 0]
        stays = rng.random(n) < np.where(before == 0, STAY[0], STAY[6])
        counts[:, place, 0] = np.where(stays, before, 6 - before)
    counts[..., 1] = counts[..., 0] + 1
    return counts_to_signals(counts)


def small_model(signals, seed=0):
    return histone_likelihood_for(signals, seed, hidden=8)


def by_hand(model, signal):
    """Log-likelihood of one signal (mark, bin), number by number."""
    weights = {name: value.detach().double().numpy() for name, value in model.named_parameters()}
    starts, total = model.starts.numpy(), 0.0
    n_marks, n_bins = signal.shape
    state, late = np.zeros(8), np.hstack([np.zeros((n_marks, 3)), signal])
    logistic = lambda x: 1 / (1 + np.exp(-x))  # noqa: E731
    for place in range(n_bins):
        mean = signal[:, :place].mean(1) if place else np.zeros(n_marks)
        seen = np.r_[late[:, place], late[:, place + 1], late[:, place + 2], mean,
                     weights["position"][place]]
        of_input = weights["gru.weight_ih_l0"] @ seen + weights["gru.bias_ih_l0"]
        of_state = weights["gru.weight_hh_l0"] @ state + weights["gru.bias_hh_l0"]
        reset = logistic(of_input[:8] + of_state[:8])
        update = logistic(of_input[8:16] + of_state[8:16])
        new = np.tanh(of_input[16:] + reset * of_state[16:])
        state = (1 - update) * new + update * state
        inner = (weights["inner.weight"] @ state + weights["inner.bias"]).reshape(n_marks, -1)
        for mark in range(n_marks):
            hidden = inner[mark].copy()
            for other in range(mark):
                hidden += signal[other, place] * weights["context"][mark, other]
                hidden += (signal[other, place] > 0) * weights["context"][mark, n_marks + other]
            logits = np.maximum(hidden, 0) @ weights["outer"][mark] + weights["bias"][mark]
            there = np.diff(starts[mark]) > 0
            logits = logits[there] - logits[there].max()
            count = int(np.rint(np.expm1(signal[mark, place])))
            chosen = int(np.searchsorted(starts[mark], count, side="right")) - 1
            total += logits[chosen] - np.log(np.exp(logits).sum())
            total -= np.log(starts[mark, chosen + 1] - starts[mark, chosen])
    return total


def test_the_likelihood_is_the_one_computed_by_hand():
    counts = np.random.default_rng(0).geometric(0.05, size=(5, 4, 2)) - 1
    counts[0, 0, 0] = 90
    signals = counts_to_signals(counts)
    model = small_model(signals, seed=3)
    found = model.log_likelihood(torch.from_numpy(signals)).detach().numpy()
    np.testing.assert_allclose(found, [by_hand(model, one) for one in signals], rtol=1e-4)


@pytest.mark.parametrize(("step", "stays"), [(1.0, False), (0.5, True)])
def test_probabilities_of_all_signals_sum_to_one(step, stays):
    counts = np.stack(np.meshgrid(*[range(3)] * 4), -1).reshape(-1, 2, 2)
    signals = torch.from_numpy(counts_to_signals(counts * step))
    with initial_weights(5):
        model = HistoneLikelihood(torch.arange(4).repeat(2, 1), 2, step, hidden=8, stays=stays)
    logarithms = model.log_likelihood(signals)
    assert logarithms.exp().sum().item() == pytest.approx(1, abs=1e-4)
    made = generate(model, 4096, seed=1)
    codes = (torch.expm1(torch.from_numpy(made)) / step).round().long().flatten(1)
    drawn = torch.bincount(codes @ 3 ** torch.arange(4), minlength=81) / len(made)
    known = (torch.expm1(signals) / step).round().long().flatten(1) @ 3 ** torch.arange(4)
    assert (drawn[known] - logarithms.exp()).abs().max() < 0.03


def test_samples_have_the_transitions_of_a_planted_process():
    signals = planted(600)
    model = small_model(signals)
    recipe = LikelihoodRecipe(epochs=10, batch_size=20, learning_rate=0.02)
    fit = train_likelihood(model, signals, planted(200, seed=1), recipe=recipe)
    best = -sum(share * (p * np.log(p) + (1 - p) * np.log(1 - p))
                for share, p in ((0.75, STAY[0]), (0.25, STAY[6]))) / 2
    assert fit.history["valid"].iloc[-1] == pytest.approx(best, abs=0.05)
    made = signals_to_counts(generate(fit.generator, 2048, seed=2)).astype(int)
    assert (made[..., 1] == made[..., 0] + 1).mean() > 0.99
    before, after = made[:, :-1, 0].ravel(), made[:, 1:, 0].ravel()
    for reads, stay in STAY.items():
        assert (after[before == reads] == reads).mean() == pytest.approx(stay, abs=0.03)


def test_a_sample_depends_neither_on_the_batch_nor_on_the_workers():
    counts = np.random.default_rng(1).geometric(0.1, size=(50, 4, 2))  # hardly a sample twice
    model = small_model(counts_to_signals(counts), seed=1).eval()
    noise = torch.randn(300, model.n_latent, generator=torch.Generator().manual_seed(0))
    together = model(noise)
    for size in (7, 300):
        assert torch.equal(torch.cat([model(part) for part in noise.split(size)]), together)
    assert torch.equal(model(noise[41:42]), together[41:42])
    with initial_weights(0):
        classifier = nn.Sequential(nn.Flatten(), nn.Linear(8, 2))
    there = pickle.loads(pickle.dumps(model))  # as a worker gets it (test_probing.py has real ones)
    first, other = (monte_carlo_probe(one, classifier, 5000, 20, chunk_size=4096, batch_size=size)
                    for one, size in ((model, 5000), (there, 100)))
    np.testing.assert_array_equal(other.top[1].index, first.top[1].index)
    np.testing.assert_array_equal(other.top[1].samples, first.top[1].samples)


def test_an_interrupted_training_ends_with_the_same_weights(tmp_path):
    signals, recipe = planted(60, n_bins=4), LikelihoodRecipe(epochs=3, batch_size=16)

    def train(model, where):
        return cached_likelihood(
            "kept", model, signals, signals, recipe=recipe, home=tmp_path / where)

    whole = train(small_model(signals), "whole")
    stopped = small_model(signals)
    likelihood, batches = stopped.log_likelihood, iter(range(100))

    def interrupted(batch):
        if torch.is_grad_enabled() and next(batches) == 6:
            raise KeyboardInterrupt
        return likelihood(batch)

    stopped.log_likelihood = interrupted
    with pytest.raises(KeyboardInterrupt):
        train(stopped, "parts")
    resumed = train(small_model(signals), "parts")
    pairs = zip(whole.generator.parameters(), resumed.generator.parameters(), strict=True)
    assert all(torch.equal(*pair) for pair in pairs)
    assert resumed.history.equals(whole.history)
    assert next(batches) == 7
    again = train(small_model(signals), "whole")
    assert again.history.equals(whole.history)
    (checkpoint,) = (tmp_path / "whole").rglob("*.pt")
    with pytest.raises(DataError, match="valid is"):
        train_likelihood(small_model(signals), signals, signals[:50], recipe=recipe,
                         checkpoint=checkpoint)


def test_a_sum_below_one_does_not_give_the_largest_class():
    chances = torch.tensor([[0.6, 0.3999, 0.0]])
    starts = torch.tensor([0, 1, 2, 50])
    assert inverse_distribution(chances, starts, torch.tensor([1.0])).item() == 1
    assert inverse_distribution(chances, starts, torch.tensor([0.0])).item() == 0


def test_classes_hold_every_count_once_and_grow():
    for largest in (0, 5, 32, 33, 45, 136, 30_000):
        starts = count_classes(largest)
        assert (len(starts), starts[0], starts[-1]) == (34, 0, largest + 1)
        widths = np.diff(starts)[np.diff(starts) > 0]
        assert (np.diff(widths) >= -1).all()


def test_signals_of_peaks_are_steps_of_a_tenth_of_their_median():
    rng = np.random.default_rng(0)
    values = rng.gamma(2, 3, size=(80, 4, 2)) * (rng.random((80, 4, 2)) < 0.5)
    assert step_of(np.array([0.0, 3.0])) == 1
    signals = counts_to_signals(values)
    model = histone_likelihood_for(signals, hidden=8)
    made = np.expm1(generate(model, 20).astype(np.float64)) / float(model.step)
    np.testing.assert_allclose(made, np.rint(made), atol=1e-3)
    assert made.max() * float(model.step) <= values.max() + float(model.step)


def test_a_peak_goes_on_before_any_training():
    values = np.repeat(np.random.default_rng(0).gamma(2, 3, size=(80, 2, 2)), 6, axis=1)
    model = histone_likelihood_for(counts_to_signals(values), hidden=8)
    classes = model.classes(torch.from_numpy(generate(model, 200)).transpose(1, 2))
    assert (classes[:, 1:] == classes[:, :-1]).float().mean() > 0.4
