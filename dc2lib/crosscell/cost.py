"""What a grid costs: counted beforehand, and timed from fits that were made."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls

from dc2lib.datasets import open_cell
from dc2lib.grid import Fit, FitRecord, trainings

SECONDS_AN_HOUR = 3600


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


@dataclass(frozen=True)
class Speed:
    """Genes a second in training (forward and backward) and in evaluation, of one worker."""

    passes: float
    evaluations: float


def grid_cost(fits: Iterable[Fit], n_train: int, n_valid: int) -> Cost:
    """Count a grid; its cell types need not exist.

    Parameters
    ----------
    fits
    n_train, n_valid
        Training and validation genes of a cell type.
    """
    groups = trainings(list(fits))
    passes = [group[0].recipe.epochs * _genes(group[0], n_train) for group in groups]
    evaluations = sum(group[0].recipe.epochs * n_valid * len(group) for group in groups)
    return Cost(sum(map(len, groups)), len(groups), sum(passes), max(passes), evaluations)


def measured_speed(records: Sequence[FitRecord]) -> Speed:
    """Speed of the machine that made these fits, by non-negative least squares over them.

    A fit's seconds are its gene passes and its evaluations, each at a speed of its own; where the
    evaluations cannot be told apart they are taken to be three times as fast.
    """
    rows = [_work(record) for record in records]
    work, seconds = np.array([row[:2] for row in rows]), np.array([row[2] for row in rows])
    (a_pass, an_evaluation), _ = nnls(work, seconds)
    if min(a_pass, an_evaluation) <= 0:
        a_pass = float(seconds.sum() / (work @ [1, 1 / 3]).sum())
        an_evaluation = a_pass / 3
    return Speed(1 / a_pass, 1 / an_evaluation)


def training_size(fit: Fit) -> int:
    """Genes that a fit is trained on."""
    sizes = [int((open_cell(cell, fit.home).split == "train").sum()) for cell in fit.train_cells]
    if fit.each_gene_once:
        return round(float(np.mean(sizes)))
    return sum(min(size, fit.n_train or size) for size in sizes)


def _work(record: FitRecord) -> tuple[float, float, float]:
    """Gene passes (this fit's share of a common training), evaluations, and seconds."""
    with np.load(record.path) as arrays:
        together = json.loads(str(arrays["about"])).get("trained_together", 1)
    epochs = len(record.history)
    evaluations = (epochs + 1) * len(record.valid_logits) + len(record.test_logits)
    return epochs * training_size(record.fit) / together, evaluations, record.seconds


def _genes(fit: Fit, n_train: int) -> int:
    if fit.each_gene_once:
        return n_train
    return len(fit.train_cells) * min(n_train, fit.n_train or n_train)
