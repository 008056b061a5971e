"""What a grid costs: counted beforehand, and timed from fits that were made."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np

from dc2lib.datasets import open_cell
from dc2lib.models.deepchrome import build
from dc2lib.training.fit import fit, predict_logits
from dc2lib.training.grid import trainings
from dc2lib.training.grid_fits import Fit, training_set

SECONDS_AN_HOUR = 3600
REPEATS = 4


@dataclass(frozen=True)
class Speed:
    """Genes a second in training (forward and backward) and in evaluation, of one worker."""

    passes: float
    evaluations: float


@dataclass(frozen=True)
class Cost:
    """What a grid takes if every training runs all its epochs.

    Attributes
    ----------
    fits, trainings
        Fits, and trainings that serve them.
    gene_passes
        Genes times epochs, over all trainings.
    longest
        Gene passes of the longest training, which bounds how far more workers help.
    evaluations
        Validation genes times epochs, over all fits.
    """

    fits: int
    trainings: int
    gene_passes: int
    longest: int
    evaluations: int

    def hours(self, speed: Speed, workers: int = 1) -> float:
        """Hours on so many workers of this speed; at least those of the longest training."""
        seconds = self.gene_passes / speed.passes + self.evaluations / speed.evaluations
        return max(seconds / workers, self.longest / speed.passes) / SECONDS_AN_HOUR


def training_size(one: Fit, n_train: int | None = None) -> int:
    """Genes that a fit is trained on.

    Parameters
    ----------
    n_train
        Training genes of a cell type, whether it exists or not; default those that it holds.
    """
    sizes = [
        int((open_cell(cell, one.home).split == "train").sum()) if n_train is None else n_train
        for cell in one.train_cells
    ]
    if one.each_gene_once:
        return round(float(np.mean(sizes)))
    return sum(min(size, one.n_train or size) for size in sizes)


def grid_cost(fits: Iterable[Fit], n_train: int, n_valid: int) -> Cost:
    """Count a grid; its cell types need not exist.

    Parameters
    ----------
    fits
    n_train, n_valid
        Training and validation genes of a cell type.
    """
    groups = trainings(list(fits))
    passes = [group[0].recipe.epochs * training_size(group[0], n_train) for group in groups]
    evaluations = sum(group[0].recipe.epochs * n_valid * len(group) for group in groups)
    return Cost(sum(map(len, groups)), len(groups), sum(passes), max(passes), evaluations)


def measured_speed(one: Fit, n_genes: int = 1000) -> Speed:
    """Speed of one thread on a fit's model and data, by a short training.

    Counts the processor time of this process, so a busy machine does not distort it much.

    Parameters
    ----------
    n_genes
        Genes to time it with, repeated where the fit has fewer.
    """
    counts, labels = training_set(one)
    index = np.arange(n_genes) % len(counts)
    counts, labels = counts[index], labels[index]
    model = build(one.model, counts.shape[2], counts.shape[1], seed=one.seed)
    recipe = replace(one.recipe, epochs=1, patience=1)
    evaluation = _processor_seconds(
        lambda: predict_logits(model, counts, transform=recipe.transform, device="cpu")
    )
    epoch = _processor_seconds(
        lambda: fit(model, counts, labels, counts, labels, recipe=recipe, device="cpu")
    )
    return Speed(n_genes / max(epoch - evaluation, 0.1 * epoch), n_genes / evaluation)


def _processor_seconds(action: Callable[[], object]) -> float:
    """Least processor time of a few calls; what the first ones set up does not count."""
    seconds = []
    for _ in range(REPEATS):
        start = time.process_time()
        action()
        seconds.append(time.process_time() - start)
    return max(min(seconds), 1e-9)
