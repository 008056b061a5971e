"""Train one model for all fits that differ in their test cell only, or several such models at once.

The training genes, the seed and so every step are the same for such fits; what differs is which
epoch is the best for whom, and when each would have stopped.  Each fit's record is what training
it alone would have left.  On a GPU several models are trained in lockstep (`dc2lib.fast.lockstep`).
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from dc2lib.datasets import open_cell
from dc2lib.errors import DataError
from dc2lib.fast.lockstep import Lockstep
from dc2lib.files import atomic_write
from dc2lib.labels import label
from dc2lib.models.deepchrome import build
from dc2lib.training.fit import (
    checked_labels,
    default_device,
    make_optimizer,
    predict_logits,
    train_epoch,
    train_step,
    validate,
)
from dc2lib.training.grid_fits import Fit, fit_key
from dc2lib.training.pooled_counts import PooledCounts, part_of, rows_of


def train_together(fits: Sequence[Fit], paths: Sequence[Path]) -> list[BaseException | None]:
    """Train fits that are `alike` and write their records; those on disk already are left alone.

    Returns
    -------
    list
        For each fit None, or what is wrong with its test cell; the others are trained nevertheless.

    Raises
    ------
    DataError
        If this process sees other data or has another version of the library than the process that
        planned the fits.
    """
    start = time.perf_counter()
    trials, errors = _trials(fits, paths)
    if trials:
        _train(trials, start)
    return errors


def train_in_lockstep(
    groups: Sequence[Sequence[Fit]], paths: Sequence[Sequence[Path]]
) -> list[list[BaseException | None]]:
    """Train one model for each group of fits that are `alike`, all at once.

    All fits have the same model and recipe.  Models whose training genes differ in number are
    trained one batch of equal numbers after the other.

    Returns
    -------
    list
        For each fit of each group None, or what went wrong.
    """
    start = time.perf_counter()
    ready = [_trials(*group) for group in zip(groups, paths, strict=True)]
    errors = [found for _, found in ready]
    sets: dict[int, list[_Set]] = {}
    for number, (trials, _) in enumerate(ready):
        if not trials:
            continue
        try:
            one = _set(number, trials)
            sets.setdefault(len(one.counts), []).append(one)
        except Exception as error:
            _blame(errors[number], error)
    n_trials = sum(len(trials) for trials, _ in ready)
    for together in sets.values():
        for number, error in _train_sets(together).items():
            _blame(errors[number], error)
    share = (time.perf_counter() - start) / max(n_trials, 1)
    for together in sets.values():
        for one in together:
            for trial in one.trials if one.error is None else ():
                _write(trial, one.model, share, n_trials)
    return errors


def _blame(errors: list[BaseException | None], error: BaseException) -> None:
    errors[:] = [error if known is None else known for known in errors]


def _trials(
    fits: Sequence[Fit], paths: Sequence[Path]
) -> tuple[list[_Trial], list[BaseException | None]]:
    """The fits that are not on disk, and what is wrong with the test cells of others."""
    errors: list[BaseException | None] = [None] * len(fits)
    trials = []
    for number, (one, path) in enumerate(zip(fits, paths, strict=True)):
        if path.exists():
            continue
        try:
            _check_same(one, path)
            trials.append(_trial(one, path))
        except Exception as error:
            errors[number] = error
    return trials, errors


def alike(one: Fit) -> Fit:
    """The same for all fits that share one training: the fit without its test cell."""
    return replace(one, test_cell="")


def training_genes(one: Fit) -> tuple[PooledCounts, np.ndarray]:
    """Counts ``(gene, bin, mark)`` and labels ``(gene,)`` that a fit is trained on."""
    parts, labels = [], []
    for number, cell in enumerate(one.train_cells):
        dataset = open_cell(cell, one.home)
        rows = _drawn(one, rows_of(dataset, "train"), number)
        parts.append(part_of(dataset, rows, one.orientation))
        labels.append(label(dataset, one.labels)[rows])
    return PooledCounts(parts), np.concatenate(labels)


def _drawn(one: Fit, rows: np.ndarray, number: int) -> np.ndarray:
    rng = np.random.default_rng(one.seed)
    if one.each_gene_once:
        return rows[rng.permutation(len(rows)) % len(one.train_cells) == number]
    if 0 < one.n_train < len(rows):
        return rows[np.sort(rng.choice(len(rows), one.n_train, replace=False))]
    return rows


@dataclass
class _Trial:
    """One fit on its way: the genes that judge it, and its best epoch so far."""

    fit: Fit
    path: Path
    valid: PooledCounts
    valid_labels: np.ndarray
    test: PooledCounts
    rows: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int = -1
    best_weights: dict[str, Tensor] = field(default_factory=dict)

    @property
    def running(self) -> bool:
        return len(self.rows) - 1 - max(self.best_epoch, 0) < self.fit.recipe.patience

    def finish_epoch(self, row: dict[str, float], weights: dict[str, Tensor]) -> None:
        best = max((earlier["valid_auroc"] for earlier in self.rows), default=-np.inf)
        self.rows.append(row)
        if row["valid_auroc"] > best:
            self.best_epoch, self.best_weights = int(row["epoch"]), weights


def _trial(one: Fit, path: Path) -> _Trial:
    dataset = open_cell(one.test_cell, one.home)
    rows = rows_of(dataset, "valid")
    valid = PooledCounts([part_of(dataset, rows, one.orientation)])
    labels = checked_labels(valid, label(dataset, one.labels)[rows], f"{one.test_cell} validation")
    test = PooledCounts([part_of(dataset, rows_of(dataset, "test"), one.orientation)])
    return _Trial(one, path, valid, labels, test)


@dataclass
class _Set:
    """One model, the genes that it is trained on, and the fits that it serves."""

    number: int
    trials: list[_Trial]
    counts: PooledCounts
    labels: np.ndarray
    model: nn.Module
    error: BaseException | None = None

    @property
    def running(self) -> list[_Trial]:
        return [] if self.error else [trial for trial in self.trials if trial.running]

    def finish_epoch(self, row: dict[str, float], rate: float, device: torch.device) -> None:
        """Judge the model by the validation genes of every fit that is not stopped."""
        weights, recipe = _copy(self.model), self.trials[0].fit.recipe
        self.counts.release()
        for trial in self.running:
            judged = validate(self.model, trial.valid, trial.valid_labels, recipe, device)
            trial.finish_epoch({**row, **judged, "learning_rate": rate}, weights)
            trial.valid.release()


def _set(number: int, trials: list[_Trial]) -> _Set:
    one, device = trials[0].fit, default_device()
    counts, labels = training_genes(one)
    labels = checked_labels(counts, labels, "training")
    model = build(one.model, counts.shape[2], counts.shape[1], seed=one.seed).to(device)
    for trial in trials:
        trial.best_weights = _copy(model)
    return _Set(number, trials, counts, labels, model)


def _train(trials: list[_Trial], start: float) -> None:
    one, device = _set(0, trials), default_device()
    recipe, seed = trials[0].fit.recipe, trials[0].fit.seed
    optimizer = make_optimizer(one.model, recipe)
    step = train_step(one.model.train(), optimizer, one.counts, recipe, device)
    for epoch in range(recipe.epochs):
        if not one.running:
            break
        loss = train_epoch(step, optimizer, one.counts, one.labels, recipe, seed, epoch, device)
        row = {"epoch": epoch, "loss": loss}
        one.finish_epoch(row, optimizer.param_groups[0]["lr"], device)
    share = (time.perf_counter() - start) / len(trials)
    for trial in trials:
        _write(trial, one.model, share, len(trials))


def _train_sets(sets: list[_Set]) -> dict[int, BaseException]:
    """Train the models of all sets in lockstep; return the errors of those that diverged."""
    device, recipe = default_device(), sets[0].trials[0].fit.recipe
    seeds = [one.trials[0].fit.seed for one in sets]
    lockstep = Lockstep([one.model for one in sets], recipe, seeds, device)
    counts, labels = [one.counts for one in sets], [one.labels for one in sets]
    for epoch in range(recipe.epochs):
        if not any(one.running for one in sets):
            break
        losses = lockstep.train_epoch(counts, labels, epoch)
        rate = lockstep.optimizer.param_groups[0]["lr"]
        for place, one in enumerate(sets):
            if not one.running:
                continue
            if not np.isfinite(losses[place]):
                one.error = FloatingPointError(
                    f"the training loss of epoch {epoch} is {losses[place]}: lower the learning"
                    f" rate ({recipe.learning_rate}) or use transform='log1p'"
                )
                continue
            lockstep.load(place, one.model)
            one.finish_epoch({"epoch": epoch, "loss": float(losses[place])}, rate, device)
    return {one.number: one.error for one in sets if one.error}


def _write(trial: _Trial, model: nn.Module, seconds: float, together: int) -> None:
    model.load_state_dict(trial.best_weights)
    logits = {
        f"{name}_logits": predict_logits(model, part, transform=trial.fit.recipe.transform)
        for name, part in (("valid", trial.valid), ("test", trial.test))
    }
    trial.valid.release()
    trial.test.release()
    weights = {f"weights.{k}": v.cpu().numpy() for k, v in trial.best_weights.items()}
    about = {
        "history": pd.DataFrame(trial.rows).to_dict("list"),
        "best_epoch": trial.best_epoch,
        "seconds": seconds,
        "trained_together": together,
        "fit": asdict(trial.fit),
    }
    with atomic_write(trial.path) as temporary:
        np.savez(temporary, about=np.array(json.dumps(about)), **logits, **weights)


def _copy(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def _check_same(one: Fit, path: Path) -> None:
    if fit_key(one) != path.stem:
        raise DataError(
            f"{one.test_cell}: this worker sees other data in {one.home}, or runs another version"
            " of dc2lib, than the process that planned the fit; give both the same."
        )
