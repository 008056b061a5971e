"""All restarts of the linear model on all cell types, trained at once in one compiled loop.

The 12-parameter model sees each mark's mean over the bins, so a whole cell type is a small matrix.
Its two rows of weights get opposite gradients: their sum stays as it was drawn (but for weight
decay), and their difference is a logistic regression of 6 parameters with twice the learning rate.
That is what is trained, batch by batch; the result is the same as training the models one after the
other with `dc2lib.training.fit.fit` (a test holds the two together).

Section 3.4 of DeepChrome 2.0: five trainings a cell type, the best by validation AUROC.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from types import SimpleNamespace

import numpy as np

from dc2lib.datasets import HistoneDataset
from dc2lib.errors import DataError
from dc2lib.fast.fused_step import signal_table
from dc2lib.fast.machine_code import compiled
from dc2lib.labels import label
from dc2lib.models.deepchrome import build
from dc2lib.training.fit import PAPER, Recipe, batches, learning_rate_factor


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
    table = signal_table(transform)
    means = np.empty((len(counts), counts.shape[2]), np.float32)
    if counts.dtype == np.uint16:
        _loops().mean_over_bins(table, np.ascontiguousarray(counts), means)
        return means
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
        As for `dc2lib.training.fit.fit`.
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
    """Weights, biases, validation AUROC and best epoch of every problem and seed."""
    train = np.stack([_with_ones(problem.train) for problem in problems])
    labels = np.stack([problem.train_labels for problem in problems]).astype(np.float64)
    first = np.stack([_first_rows(train.shape[2] - 1, seed) for seed in seeds])
    total = np.repeat(first.sum(1)[None], len(problems), 0)
    difference = np.repeat((first[:, 1] - first[:, 0])[None], len(problems), 0)
    averages = np.zeros((2, *difference.shape))
    loops, shape = _loops(), difference.shape[:2]
    valid_rows = [_rows_by_label(problem) for problem in problems]
    valid, best, kept = np.full(shape, -np.inf), np.full(shape, -1), np.empty((2, *total.shape))
    for epoch in range(recipe.epochs):
        running = epoch - 1 - np.maximum(best, 0) < recipe.patience
        if not running.any():
            break
        rates = _rates(recipe, len(labels[0]), epoch)
        for number, seed in enumerate(seeds):
            order = np.concatenate(list(batches(len(labels[0]), recipe.batch_size, seed, epoch)))
            loops.descend(
                train, labels, order, recipe.batch_size, rates, epoch * len(rates),
                recipe.weight_decay, recipe.optimizer == "adam", running[:, number],
                difference[:, number], averages[:, :, number],
            )
        total *= np.prod(1 - rates * recipe.weight_decay)
        score = _valid_auroc(difference, valid_rows, running, loops.wins)
        better = running & (score > valid)
        valid[better], best[better] = score[better], epoch
        kept[:, better] = total[better], difference[better]
    rows = np.stack([kept[0] - kept[1], kept[0] + kept[1]], 2) / 2
    return rows[..., :-1], rows[..., -1], valid, best


def _with_ones(features: np.ndarray) -> np.ndarray:
    return np.concatenate([features, np.ones((len(features), 1), features.dtype)], 1)


def _first_rows(n_marks: int, seed: int) -> np.ndarray:
    """Weights and bias of both classes before training, ``(class, mark + 1)``."""
    layer = build("linear", n_marks, seed=seed).output
    rows = np.column_stack([layer.weight.detach().numpy(), layer.bias.detach().numpy()])
    return rows.astype(np.float64)


def _rates(recipe: Recipe, n: int, epoch: int) -> np.ndarray:
    """Learning rate of each step of an epoch."""
    steps = -(-n // recipe.batch_size)
    done = (epoch * steps + np.arange(steps)) / (recipe.epochs * steps)
    return np.array([recipe.learning_rate * learning_rate_factor(recipe, part) for part in done])


def _rows_by_label(problem: _Problem) -> tuple[np.ndarray, np.ndarray]:
    """Validation features ``(mark + 1, gene)`` of high and of low expression."""
    rows, high = _with_ones(problem.valid), problem.valid_labels == 1
    return np.ascontiguousarray(rows[high].T), np.ascontiguousarray(rows[~high].T)


def _valid_auroc(
    difference: np.ndarray,
    rows: list[tuple[np.ndarray, np.ndarray]],
    running: np.ndarray,
    wins: Callable,
) -> np.ndarray:
    """AUROC ``(problem, seed)`` on the validation genes; NaN where a fit has stopped."""
    scores = np.full(running.shape, np.nan)
    for number, both in enumerate(rows):
        seeds = np.flatnonzero(running[number])
        weights = difference[number, seeds].astype(np.float32)
        high, low = (np.sort(weights @ part) for part in both)
        scores[number, seeds] = wins(high, low) / (high.shape[1] * low.shape[1])
    return scores


@cache
def _loops() -> SimpleNamespace:
    loops = (descend, mean_over_bins, wins)
    return SimpleNamespace(**{loop.__name__: compiled(loop) for loop in loops})


def mean_over_bins(table: np.ndarray, counts: np.ndarray, means: np.ndarray) -> None:
    """Mean ``(gene, mark)`` of the signal that the table gives for counts ``(gene, bin, mark)``."""
    n, bins, marks = counts.shape
    total = np.zeros(marks)
    for gene in range(n):
        total[:] = 0
        for bin_ in range(bins):
            for mark in range(marks):
                total[mark] += table[counts[gene, bin_, mark]]
        for mark in range(marks):
            means[gene, mark] = total[mark] / bins


def descend(
    features: np.ndarray,
    labels: np.ndarray,
    order: np.ndarray,
    batch_size: int,
    rates: np.ndarray,
    done: int,
    decay: float,
    adam: bool,
    running: np.ndarray,
    difference: np.ndarray,
    averages: np.ndarray,
) -> None:
    """One epoch of logistic regressions, whose weights are the differences of two rows.

    The rows' gradients are g and -g, and so are their steps: the difference makes twice the step.

    Parameters
    ----------
    features, labels
        ``(problem, gene, mark + 1)``, the last of ones, and ``(problem, gene)``.
    order, batch_size, rates
        Genes one batch after the other, and the learning rate of each batch.
    done
        Batches of the epochs before.
    decay, adam
        Weight decay; Adam's steps (as in `torch.optim.AdamW`) or plain ones.
    running
        Problems that are not stopped.
    difference, averages
        ``(problem, mark + 1)`` and ``(2, problem, mark + 1)``: weights, and Adam's averages of the
        gradient and of its square, which are all changed in place.
    """
    width = features.shape[2]
    gradient = np.zeros(width)
    for problem in np.flatnonzero(running):
        weights, mean, square = difference[problem], averages[0, problem], averages[1, problem]
        for step in range(len(rates)):
            batch = order[step * batch_size : (step + 1) * batch_size]
            gradient[:] = 0
            for gene in batch:
                odds = 0.0
                for i in range(width):
                    odds += weights[i] * features[problem, gene, i]
                error = 1 / (1 + np.exp(-odds)) - labels[problem, gene]
                for i in range(width):
                    gradient[i] += error * features[problem, gene, i]
            kept = 1 - rates[step] * decay
            for i in range(width):
                change = gradient[i] / len(batch)
                if adam:
                    mean[i] += 0.1 * (change - mean[i])
                    square[i] += 0.001 * (change * change - square[i])
                    size = np.sqrt(square[i] / (1 - 0.999 ** (done + step + 1))) + 1e-8
                    change = mean[i] / (1 - 0.9 ** (done + step + 1)) / size
                weights[i] = weights[i] * kept - 2 * rates[step] * change


def wins(high: np.ndarray, low: np.ndarray) -> np.ndarray:
    """Pairs in which the score of ``high`` is the larger, ties half, of sorted rows of both."""
    won = np.zeros(len(high))
    for row in range(len(high)):
        below = upto = 0
        for score in high[row]:
            while below < low.shape[1] and low[row, below] < score:
                below += 1
            upto = max(upto, below)
            while upto < low.shape[1] and low[row, upto] == score:
                upto += 1
            won[row] += below + 0.5 * (upto - below)
    return won
