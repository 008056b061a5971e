"""All restarts of the linear model on all cell types, trained at once as one batched problem.

The 12-parameter model sees each mark's mean over the bins, so a whole cell type is a small matrix,
and hundreds of models fit into one batched product.  The result is the same as training them one
after the other with `dc2lib.training.fit` (a test holds the two together).

Section 3.4 of DeepChrome 2.0: five trainings a cell type, the best by validation AUROC.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.stats import rankdata
from torch import Tensor, nn

from dc2lib.datasets import HistoneDataset
from dc2lib.errors import DataError
from dc2lib.labels import label
from dc2lib.models import build
from dc2lib.training import PAPER, Recipe, batches, make_optimizer, set_learning_rate


@dataclass(frozen=True)
class LinearFits:
    """Weights and scores of every restart on every data set.

    Attributes
    ----------
    weight : float64 array (dataset, restart, class, mark)
    bias : float64 array (dataset, restart, class)
    valid_auroc : float64 array (dataset, restart)
        At the best epoch, probability scoring.
    best_epoch : int array (dataset, restart)
    transform : str
        Of the counts, before the mean over the bins.
    """

    weight: np.ndarray
    bias: np.ndarray
    valid_auroc: np.ndarray
    best_epoch: np.ndarray
    transform: str

    @property
    def best_restart(self) -> np.ndarray:
        """Restart with the highest validation AUROC of each data set, ``(dataset,)``."""
        return self.valid_auroc.argmax(1)

    def logits(self, number: int, counts: np.ndarray) -> np.ndarray:
        """Logits ``(restart, gene, 2)`` of data set ``number`` for counts (gene, bin, mark)."""
        features = mark_means(counts, self.transform)
        return (
            np.einsum("rcm,gm->rgc", self.weight[number], features)
            + self.bias[number][:, None, :]
        )


def mark_means(counts: np.ndarray, transform: str = "raw", block: int = 2048) -> np.ndarray:
    """Mean over the bins of the transformed counts, float32 ``(gene, mark)``."""
    if transform not in ("raw", "log1p"):
        raise ValueError(f"unknown transform {transform!r}: expected raw or log1p")
    means = np.empty((len(counts), counts.shape[2]), np.float32)
    for start in range(0, len(counts), block):
        part = counts[start : start + block].astype(np.float32)
        means[start : start + block] = (np.log1p(part) if transform == "log1p" else part).mean(1)
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

    Parameters
    ----------
    datasets
        Their training genes are fitted, their validation genes choose the epoch.
    labels
        Label rule.
    recipe
        As for `dc2lib.training.fit`.
    seeds
        One restart each; a seed decides the first weights and the order of the genes.
    n_train
        Train on so many genes a data set, drawn with the first seed; 0 means all.

    Raises
    ------
    DataError
        If there is no data set, or a split has only one class.
    """
    if not datasets or not seeds:
        raise DataError("no data set or no seed to train on: give at least one of each")
    problems = [_problem(one, labels, recipe.transform, n_train, seeds[0]) for one in datasets]
    sizes = sorted({len(problem.train_labels) for problem in problems})
    groups = [[i for i, p in enumerate(problems) if len(p.train_labels) == n] for n in sizes]
    marks = problems[0].train.shape[1]
    weight = np.empty((len(problems), len(seeds), 2, marks))
    bias = np.empty((len(problems), len(seeds), 2))
    valid, best = np.empty(bias.shape[:2]), np.empty(bias.shape[:2], int)
    for group in groups:
        result = _fit_equal_sizes([problems[i] for i in group], recipe, seeds)
        weight[group], bias[group], valid[group], best[group] = result
    return LinearFits(weight, bias, valid, best, recipe.transform)


@dataclass(frozen=True)
class _Problem:
    train: np.ndarray
    train_labels: np.ndarray
    valid: np.ndarray
    valid_labels: np.ndarray


def _problem(
    dataset: HistoneDataset, rule: str, transform: str, n_train: int, seed: int
) -> _Problem:
    train, valid = dataset.take("train"), dataset.take("valid")
    if 0 < n_train < len(train):
        drawn = np.random.default_rng(seed).choice(len(train), n_train, replace=False)
        train = train.select(np.sort(drawn))
    labels = label(train, rule), label(valid, rule)
    for name, values in zip(("training", "validation"), labels, strict=True):
        if len(np.unique(values)) != 2:
            raise DataError(
                f"{dataset.cell}: the {name} genes have one class only under the {rule} rule:"
                " use more genes"
            )
    return _Problem(
        mark_means(train.counts, transform), labels[0], mark_means(valid.counts, transform),
        labels[1],
    )


def _fit_equal_sizes(
    problems: list[_Problem], recipe: Recipe, seeds: Sequence[int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    features = torch.from_numpy(np.stack([p.train for p in problems]))
    targets = torch.from_numpy(np.stack([p.train_labels for p in problems]).astype(np.int64))
    module = _BatchedLinear(len(problems), seeds, features.shape[2])
    optimizer = make_optimizer(module, recipe)
    shape = (len(problems), len(seeds))
    valid, best = np.full(shape, -np.inf), np.full(shape, -1)
    weight, bias = np.empty((*shape, 2, features.shape[2])), np.empty((*shape, 2))
    n = features.shape[1]
    steps = -(-n // recipe.batch_size)
    for epoch in range(recipe.epochs):
        orders = [batches(n, recipe.batch_size, seed, epoch) for seed in seeds]
        for step, index in enumerate(zip(*orders, strict=True)):
            set_learning_rate(optimizer, recipe, (epoch * steps + step) / (recipe.epochs * steps))
            _step(module, optimizer, features, targets, torch.from_numpy(np.stack(index)))
        running = epoch - np.maximum(best, 0) <= recipe.patience
        if not running.any():
            break
        score = _valid_auroc(module, problems)
        better = running & (score > valid)
        valid[better], best[better] = score[better], epoch
        weight[better] = module.weight.detach().numpy()[better]
        bias[better] = module.bias.detach().numpy()[better]
    return weight, bias, valid, best


class _BatchedLinear(nn.Module):
    def __init__(self, n_problems: int, seeds: Sequence[int], n_marks: int) -> None:
        super().__init__()
        layers = [build("linear", n_marks, seed=seed).output for seed in seeds]
        weight = torch.stack([layer.weight.detach() for layer in layers])
        bias = torch.stack([layer.bias.detach() for layer in layers])
        self.weight = nn.Parameter(weight.repeat(n_problems, 1, 1, 1))
        self.bias = nn.Parameter(bias.repeat(n_problems, 1, 1))

    def forward(self, features: Tensor) -> Tensor:
        return features @ self.weight.transpose(2, 3) + self.bias[:, :, None, :]


def _step(
    module: _BatchedLinear,
    optimizer: torch.optim.Optimizer,
    features: Tensor,
    targets: Tensor,
    index: Tensor,
) -> None:
    optimizer.zero_grad()
    logits = module(features[:, index])
    loss = nn.functional.cross_entropy(
        logits.flatten(0, 2), targets[:, index].flatten(), reduction="sum"
    )
    (loss / index.shape[1]).backward()
    optimizer.step()


def _valid_auroc(module: _BatchedLinear, problems: list[_Problem]) -> np.ndarray:
    rows = []
    for number, problem in enumerate(problems):
        with torch.inference_mode():
            features = torch.from_numpy(problem.valid)
            logits = features @ module.weight[number].transpose(1, 2)
            logits = (logits + module.bias[number][:, None, :]).numpy()
        ranks = rankdata(logits[..., 1] - logits[..., 0], axis=1)
        positive = problem.valid_labels == 1
        n = int(positive.sum())
        rows.append((ranks[:, positive].sum(1) - n * (n + 1) / 2) / (n * (len(positive) - n)))
    return np.array(rows)
