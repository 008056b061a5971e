"""All restarts of the linear model on all cell types, trained at once.

The 12-parameter model sees each mark's mean over the bins, so a whole cell type is a small matrix.
Its two rows of weights get opposite gradients: their sum stays as it was drawn (but for weight
decay), and their difference is a logistic regression of 6 parameters with twice the learning rate.
That is what is trained, batch by batch; the result is the same as training the models one after the
other with `dc2lib.training.fit.fit` (a test holds the two together).

Section 3.4 of DeepChrome 2.0: five trainings a cell type, the best by validation AUROC.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.special import expit

from dc2lib.datasets import HistoneDataset
from dc2lib.errors import DataError
from dc2lib.evaluation.scores import auroc
from dc2lib.labels import label
from dc2lib.models.deepchrome import build
from dc2lib.signals import to_signal, training_genes
from dc2lib.training.fit import (
    PAPER,
    EarlyStopping,
    Recipe,
    batches,
    checked_labels,
    learning_rate_factor,
)

BLOCK = 2048


@dataclass(frozen=True)
class LinearFits:
    """Weights and scores of every restart on every data set.

    Arrays, no torch module: for what takes a module, such as the probes, train ``build("linear")``
    with `dc2lib.training.fit.fit`.
    """

    weight: np.ndarray  #: float64 (dataset, restart, class, mark)
    bias: np.ndarray  #: float64 (dataset, restart, class)
    valid_auroc: np.ndarray  #: float64 (dataset, restart): at the best epoch, probability scoring
    best_epoch: np.ndarray  #: int (dataset, restart)
    transform: str  #: of the counts, before the mean over the bins

    def logits(self, number: int, counts: np.ndarray) -> np.ndarray:
        """Logits ``(restart, gene, 2)`` of data set ``number`` for counts (gene, bin, mark)."""
        products = np.einsum(
            "rcm,gm->rgc", self.weight[number], mark_means(counts, self.transform)
        )
        return products + self.bias[number][:, None, :]


def mark_means(counts: np.ndarray, transform: str = "raw") -> np.ndarray:
    """Mean over the bins of the transformed counts, float32 ``(gene, mark)``."""
    means = np.empty((len(counts), counts.shape[2]), np.float32)
    for start in range(0, len(counts), BLOCK):
        signal = to_signal(counts[start : start + BLOCK], transform)
        means[start : start + BLOCK] = signal.mean(2, dtype=torch.float64)
    return means


def fit_linear(
    datasets: Sequence[HistoneDataset],
    *,
    labels: str = "numeric",
    recipe: Recipe = PAPER,
    seeds: Sequence[int] = (0, 1, 2, 3, 4),
    n_train: int = 0,
) -> LinearFits:
    """Train one linear model per data set and seed, all together.

    Raises DataError if there is no data set, or a split has only one class.

    Training genes are fitted, validation genes choose the epoch.  Each seed is a restart: it
    decides the first weights and the order of the genes.  ``n_train`` genes a data set are drawn
    with the first seed; 0 means all.

    ``datasets`` are a sequence, ``[cell]`` or ``list(load_cells(...).values())``; ``labels`` is a
    rule of `dc2lib.labels`.  In few epochs of the tuned recipe this model needs a larger learning
    rate than a network, ``replace(TUNED, learning_rate=0.1)``, which the book takes.
    """
    if not datasets or not seeds:
        raise DataError("no data set or no seed to train on: give at least one of each")
    problems = [_problem(one, labels, recipe.transform, n_train, seeds[0]) for one in datasets]
    by_size: dict[int, list[int]] = {}
    for number, problem in enumerate(problems):
        by_size.setdefault(len(problem.labels), []).append(number)
    runs: dict[int, list[EarlyStopping]] = {}
    for numbers in by_size.values():
        trained = _train([problems[number] for number in numbers], recipe, seeds)
        runs |= dict(zip(numbers, trained, strict=True))
    every = [runs[number] for number in range(len(problems))]
    rows, scores, epochs = (
        np.array([[getattr(run, name) for run in restarts] for restarts in every])
        for name in ("best_weights", "best_score", "best_epoch")
    )
    return LinearFits(rows[..., :-1], rows[..., -1], scores, epochs, recipe.transform)


@dataclass(frozen=True)
class _Problem:
    """Features ``(gene, mark + 1)``, the last of ones, and labels ``(gene,)``."""

    features: np.ndarray
    labels: np.ndarray
    valid: np.ndarray
    valid_labels: np.ndarray


def _problem(
    dataset: HistoneDataset, rule: str, transform: str, n_train: int, seed: int
) -> _Problem:
    parts = []
    for name, part in (
        ("training", training_genes(dataset, n_train, seed)),
        ("validation", dataset.take("valid")),
    ):
        means = mark_means(part.counts, transform)
        features = np.column_stack([means, np.ones(len(means), np.float32)])
        labels = checked_labels(part.counts, label(part, rule), f"{dataset.cell} {name}")
        parts += [features, labels]
    return _Problem(*parts)


def _train(
    problems: Sequence[_Problem], recipe: Recipe, seeds: Sequence[int]
) -> list[list[EarlyStopping]]:
    """The best weights ``(class, mark + 1)`` of each problem and seed, batch by batch.

    Gradients of the two rows are g and -g, and so are their steps: their difference makes twice the
    step, and their sum only decays.
    """
    features = np.stack([problem.features for problem in problems]).astype(np.float64)
    labels = np.stack([problem.labels for problem in problems])
    n_genes, n_steps = len(labels[0]), -(-len(labels[0]) // recipe.batch_size)
    first = np.stack([_first_rows(features.shape[2] - 1, seed) for seed in seeds])
    total, difference = first.sum(1), np.stack([first[:, 1] - first[:, 0]] * len(problems))
    mean, square = np.zeros_like(difference), np.zeros_like(difference)
    runs = [[EarlyStopping(recipe.patience) for _ in seeds] for _ in problems]
    step = 0
    for epoch in range(recipe.epochs):
        if all(run.stopped for restarts in runs for run in restarts):
            break
        orders = [batches(n_genes, recipe.batch_size, seed, epoch) for seed in seeds]
        for genes in map(np.stack, zip(*orders, strict=True)):
            rate = recipe.learning_rate * learning_rate_factor(
                recipe, step / (recipe.epochs * n_steps)
            )
            step += 1
            batch = features[:, genes]
            error = expit((batch @ difference[..., None])[..., 0]) - labels[:, genes]
            change = (error[..., None, :] @ batch)[..., 0, :] / genes.shape[1]
            if recipe.optimizer == "adam":
                mean += 0.1 * (change - mean)
                square += 0.001 * (change**2 - square)
                size = np.sqrt(square / (1 - 0.999**step)) + 1e-8
                change = mean / (1 - 0.9**step) / size
            shrink = 1 - rate * recipe.weight_decay
            difference = difference * shrink - 2 * rate * change
            total = total * shrink
        for problem, weights, restarts in zip(problems, difference, runs, strict=True):
            scores = problem.valid @ weights.astype(np.float32).T
            rows = np.stack([total - weights, total + weights], 1) / 2
            for run, score, own in zip(restarts, scores.T, rows, strict=True):
                if not run.stopped:
                    run.update(auroc(problem.valid_labels, score), own)
    return runs


def _first_rows(n_marks: int, seed: int) -> np.ndarray:
    """Weights and bias of both classes before training, ``(class, mark + 1)``."""
    layer = build("linear", n_marks, seed=seed).output
    rows = np.column_stack([layer.weight.detach().numpy(), layer.bias.detach().numpy()])
    return rows.astype(np.float64)
