"""Models trained in lockstep are the models trained alone, on a CPU as on a GPU."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from test_training import SHORT, planted

from dc2lib.fast.lockstep import fit_many
from dc2lib.models import deepchrome as models
from dc2lib.training import fit as training

SEEDS = (3, 4, 5)


def together(name, recipe=SHORT, device="cpu", seeds=SEEDS):
    data = [planted(seed=10 + seed) for seed in seeds]
    counts, labels = [one[0] for one in data], [one[1] for one in data]
    valid_counts, valid_labels = planted(seed=1)
    networks = [models.build(name, seed=seed) for seed in seeds]
    return fit_many(networks, counts, labels, [valid_counts] * len(seeds),
                    [valid_labels] * len(seeds), recipe=recipe, seeds=seeds, device=device)


def alone(name, seed, recipe=SHORT):
    return training.fit(models.build(name, seed=seed), *planted(seed=10 + seed), *planted(seed=1),
                        recipe=recipe, seed=seed, device="cpu")


@pytest.mark.parametrize("name", models.MODELS)
@pytest.mark.parametrize(
    ("recipe", "atol"),
    [(SHORT, 1e-3), (replace(SHORT, optimizer="sgd", weight_decay=0.1), 1e-4)],
    ids=["adam", "sgd"],
)
def test_lockstep_equals_single_fits_dropout_included(name, recipe, atol):
    """Adam divides gradients by their size, so it makes more of the rounding of small ones."""
    for seed, found in zip(SEEDS, together(name, recipe), strict=True):
        expected = alone(name, seed, recipe)
        for column in ("loss", "valid_loss", "valid_auroc", "learning_rate"):
            np.testing.assert_allclose(found.history[column], expected.history[column], atol=atol)
        assert found.seed == seed
        for one, other in zip(found.model.parameters(), expected.model.parameters(), strict=True):
            torch.testing.assert_close(one, other, atol=3 * atol, rtol=0)


def test_each_model_stops_by_its_own_patience():
    recipe = replace(SHORT, optimizer="sgd", learning_rate=1e-12, epochs=12, patience=2)
    for seed, found in zip(SEEDS, together("linear", recipe), strict=True):
        assert len(found.history) == len(alone("linear", seed, recipe).history)


def test_different_numbers_of_genes_and_divergence_are_refused():
    few, many = planted(64), planted(65)
    networks = [models.build("linear") for _ in range(2)]
    with pytest.raises(ValueError, match="same number"):
        fit_many(networks, [few[0], many[0]], [few[1], many[1]], [few[0]] * 2, [few[1]] * 2,
                 seeds=(0, 1))
    recipe = replace(SHORT, transform="raw", optimizer="sgd", learning_rate=1e9)
    with pytest.raises(FloatingPointError, match="lower the learning rate"):
        together("deepchrome_max", recipe)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_lockstep_on_cuda_equals_single_fits_on_the_cpu():
    for seed, found in zip(SEEDS, together("deepchrome_max", device="cuda"), strict=True):
        expected = alone("deepchrome_max", seed)
        np.testing.assert_allclose(found.history["loss"], expected.history["loss"], atol=1e-3)
