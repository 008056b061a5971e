"""Training many linear models at once equals training them one by one."""

from dataclasses import replace

import numpy as np
import pytest

from dc2lib.datasets import HistoneDataset
from dc2lib.errors import DataError
from dc2lib.evaluation.scores import auroc, positive_score
from dc2lib.labels import label
from dc2lib.models import deepchrome as models
from dc2lib.training import fit as training
from dc2lib.training import linear

RECIPE = training.Recipe(learning_rate=0.05, epochs=4, patience=4)


def planted(cell, n=180, seed=0):
    rng = np.random.default_rng(seed)
    rpkm = np.round(rng.lognormal(1, 1.5, n), 3)
    counts = rng.poisson(1 + np.log1p(rpkm)[:, None, None] * [0, 1, 0, 1, 0], (n, 100, 5))
    return HistoneDataset.from_arrays(
        counts,
        [f"G{i:05d}" for i in range(n)],
        cell,
        np.repeat(["train", "valid", "test"], [n - 80, 40, 40]),
        source="simulated",
        rpkm_text=[f"{value:.3f}" for value in rpkm],
    )


@pytest.mark.parametrize(
    "recipe",
    [
        RECIPE,
        replace(RECIPE, optimizer="adam", transform="log1p"),
        replace(RECIPE, patience=1),
        replace(RECIPE, weight_decay=0.3),
        replace(RECIPE, optimizer="adam", transform="log1p", weight_decay=0.3, batch_size=23),
    ],
)
def test_batched_fits_equal_single_fits(recipe):
    datasets = [planted("A"), planted("B", seed=1), planted("C", n=150, seed=2)]
    together = linear.fit_linear(datasets, recipe=recipe, seeds=(3, 4))
    for number, dataset in enumerate(datasets):
        train, valid = dataset.take("train"), dataset.take("valid")
        for restart, seed in enumerate((3, 4)):
            alone = training.fit(
                models.build("linear", seed=seed), train.counts, label(train), valid.counts,
                label(valid), recipe=recipe, seed=seed, device="cpu",
            )
            assert together.best_epoch[number, restart] == alone.best_epoch
            np.testing.assert_allclose(
                together.weight[number, restart], alone.model.output.weight.detach(), atol=2e-5
            )
            np.testing.assert_allclose(
                together.logits(number, valid.counts)[restart],
                training.predict_logits(alone.model, valid.counts, transform=recipe.transform),
                atol=1e-4,
            )


def test_validation_auroc_is_scikit_learns_with_ties():
    dataset = planted("A", n=400)
    fits = linear.fit_linear([dataset], recipe=RECIPE, seeds=(0, 1))
    valid = dataset.take("valid")
    for logits, found in zip(fits.logits(0, valid.counts), fits.valid_auroc[0], strict=True):
        assert found == pytest.approx(auroc(label(valid), positive_score(logits)), abs=1e-6)


def test_mark_means_by_hand():
    counts = np.array([[[0, 1], [2, 5]]], dtype=np.uint16)
    np.testing.assert_allclose(linear.mark_means(counts), [[1, 3]])
    np.testing.assert_allclose(
        linear.mark_means(counts, "log1p"), [[np.log(3) / 2, np.log(12) / 2]], rtol=1e-6
    )


def test_what_cannot_be_trained_is_refused():
    with pytest.raises(DataError, match="at least one"):
        linear.fit_linear([])
    with pytest.raises(ValueError, match="log1p"):
        linear.mark_means(np.zeros((1, 2, 3)), "sqrt")
