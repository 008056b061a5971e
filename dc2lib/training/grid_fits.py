"""What one fit is, how it is trained, what it leaves behind, and where that is kept.

Fits that differ in their test cell only are trained together: their training genes, their seed and
so every step are the same. What differs is which epoch is the best for whom, and when each would
have stopped. Each fit's record is what training it alone would have left.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn

from dc2lib.cache import cache_path
from dc2lib.datasets import open_cell
from dc2lib.datasets.store import cell_stamp
from dc2lib.errors import DataError
from dc2lib.evaluation.scores import auroc, positive_score
from dc2lib.files import atomic_write
from dc2lib.labels import label
from dc2lib.models.deepchrome import build
from dc2lib.signals import ORIENTATIONS, PooledCounts, training_rows
from dc2lib.training.fit import (
    EarlyStopping,
    Recipe,
    checked_labels,
    copied_weights,
    default_device,
    make_optimizer,
    predict_logits,
    train_epoch,
    train_step,
    validate,
)

PREFIX = "weights."


@dataclass(frozen=True)
class Fit:
    """One model to train, and the cell type that it is validated and tested on.

    With `each_gene_once` every training gene is taken from one of the cell types only, drawn with
    the seed: as many genes as one cell type has, whatever the number of cell types.
    """

    model: str  #: a name of `dc2lib.models.deepchrome.MODELS`
    recipe: Recipe
    train_cells: tuple[str, ...]  #: cell types whose training genes are used
    test_cell: str  #: its validation genes choose the epoch, its test genes are scored
    home: str  #: the store that holds the cell types (see `dc2lib.datasets.store_of`)
    labels: str = "numeric"  #: label rule, ``"numeric"`` or ``"lexicographic"``
    orientation: str = "genome"  #: as released, or ``"gene"``: minus-strand genes reversed
    seed: int = 0  #: decides weights, order and dropout
    n_train: int = 0  #: so many training genes of each cell type, drawn with the seed; 0: all
    each_gene_once: bool = False

    def __post_init__(self) -> None:
        if self.orientation not in ORIENTATIONS:
            raise ValueError(
                f"unknown orientation {self.orientation!r}: expected one of {ORIENTATIONS}"
            )
        if not self.train_cells:
            raise ValueError(f"no cell type to train on, for test cell {self.test_cell}")
        if self.each_gene_once and self.n_train:
            raise ValueError("each_gene_once takes all genes: leave n_train at 0")


@dataclass(frozen=True)
class FitRecord:
    """What a finished fit left: logits, history and cost.

    ``valid_logits`` and ``test_logits`` are float32 ``(gene, 2)`` on the test cell's genes;
    ``seconds`` is this fit's share of a training that several fits had in common.
    """

    fit: Fit
    valid_logits: np.ndarray
    test_logits: np.ndarray
    history: pd.DataFrame
    best_epoch: int
    seconds: float
    path: Path

    @property
    def valid_auroc(self) -> float:
        """Validation AUROC (probability scoring) of the kept epoch."""
        return float(self.history["valid_auroc"].max())

    def test_auroc(self, labels: np.ndarray) -> float:
        """AUROC (probability scoring) of the test logits for labels ``(gene,)``."""
        return auroc(labels, positive_score(self.test_logits))

    def weights(self) -> dict[str, np.ndarray]:
        """The fitted parameters by name."""
        with np.load(self.path) as arrays:
            names = [name for name in arrays.files if name.startswith(PREFIX)]
            return {name.removeprefix(PREFIX): arrays[name] for name in names}

    def load_model(self, shape: tuple[int, int] | None = None) -> torch.nn.Module:
        """The fitted model, ready to predict signals of ``shape`` (bin, mark).

        Default are those of its test cell, which is opened for that.
        """
        n_bins, n_marks = shape or open_cell(self.fit.test_cell, self.fit.home).counts.shape[1:]
        with torch.device("meta"):
            model = build(self.fit.model, n_marks, n_bins)
        weights = {name: torch.from_numpy(value) for name, value in self.weights().items()}
        model.load_state_dict(weights, assign=True)
        return model.eval()


def fit_path(one: Fit, folder: Path | str | None = None) -> Path:
    """Where the record of a fit is kept: its name follows from all that decides it.

    That is the fit, the content and labels of its cell types, and the code that trains it.
    """
    settings = {name: value for name, value in vars(one).items() if name != "home"}
    cells = dict.fromkeys((*one.train_cells, one.test_cell))
    settings["cells"] = {
        cell: _cell_digest(cell, one.home, one.labels, cell_stamp(cell, one.home)) for cell in cells
    }
    path = cache_path("fits", settings, code=__name__)
    return (path if folder is None else Path(folder) / path.name).absolute()


@cache
def _cell_digest(cell: str, home: str, rule: str, stamp: int) -> str:
    dataset = open_cell(cell, home)
    return dataset.fingerprint + hashlib.sha256(label(dataset, rule).tobytes()).hexdigest()[:16]


def read_record(one: Fit, path: Path) -> FitRecord:
    """The record of a finished fit."""
    with np.load(path) as arrays:
        about = json.loads(str(arrays["about"]))
        return FitRecord(
            fit=one,
            valid_logits=arrays["valid_logits"],
            test_logits=arrays["test_logits"],
            history=pd.DataFrame(about["history"]),
            best_epoch=about["best_epoch"],
            seconds=about["seconds"],
            path=path,
        )


def without_test_cell(one: Fit) -> Fit:
    """The same for all fits that one training serves."""
    return replace(one, test_cell="")


def training_set(one: Fit) -> tuple[PooledCounts, np.ndarray]:
    """Counts ``(gene, bin, mark)`` and labels ``(gene,)`` that a fit is trained on."""
    parts, labels = [], []
    for number, cell in enumerate(one.train_cells):
        dataset = open_cell(cell, one.home)
        rows = training_rows(dataset, one.n_train, one.seed)
        if one.each_gene_once:
            order = np.random.default_rng(one.seed).permutation(len(rows))
            rows = rows[order % len(one.train_cells) == number]
        parts.append((dataset, rows))
        labels.append(label(dataset, one.labels)[rows])
    return PooledCounts(parts, one.orientation), np.concatenate(labels)


def train_together(fits: Sequence[Fit], paths: Sequence[Path]) -> list[BaseException | None]:
    """Train fits that differ in their test cell only, and write their records.

    Those that are on disk already are left alone.

    Raises DataError if this process sees other data or has another version of the library than the
    process that planned the fits.

    Returns
    -------
    list
        For each fit None, or what is wrong with its test cell; the others are trained nevertheless.
    """
    start = time.perf_counter()
    errors: list[BaseException | None] = [None] * len(fits)
    trials = []
    for number, (one, path) in enumerate(zip(fits, paths, strict=True)):
        try:
            if not path.exists():
                trials.append(_trial(one, path))
        except Exception as error:
            errors[number] = error
    if trials:
        model = _train(trials)
        seconds = (time.perf_counter() - start) / len(trials)
        for trial in trials:
            _write(trial, model, seconds, len(trials))
    return errors


@dataclass
class _Trial:
    """One fit on its way: the genes that judge it, and its best epoch so far."""

    fit: Fit
    path: Path
    valid: PooledCounts
    valid_labels: np.ndarray
    test: PooledCounts
    stopping: EarlyStopping
    rows: list[dict[str, float]] = field(default_factory=list)


def _trial(one: Fit, path: Path) -> _Trial:
    if fit_path(one).name != path.name:
        raise DataError(
            f"{one.test_cell}: this worker sees other data in {one.home}, or runs another version"
            " of dc2lib, than the process that planned the fit; give both the same."
        )
    dataset = open_cell(one.test_cell, one.home)
    rows = {split: np.flatnonzero(dataset.split == split) for split in ("valid", "test")}
    valid, test = (PooledCounts([(dataset, part)], one.orientation) for part in rows.values())
    labels = label(dataset, one.labels)[rows["valid"]]
    labels = checked_labels(valid, labels, f"{one.test_cell} validation")
    return _Trial(one, path, valid, labels, test, EarlyStopping(one.recipe.patience))


def _train(trials: list[_Trial]) -> nn.Module:
    """Train one model for all trials, until the last of them stops."""
    one, device = trials[0].fit, default_device()
    recipe = one.recipe
    counts, labels = training_set(one)
    labels = checked_labels(counts, labels, "training")
    model = build(one.model, counts.shape[2], counts.shape[1], seed=one.seed).to(device)
    optimizer = make_optimizer(model, recipe)
    step = train_step(model.train(), optimizer, counts, recipe, device)
    for epoch in range(recipe.epochs):
        running = [trial for trial in trials if not trial.stopping.stopped]
        if not running:
            break
        loss = train_epoch(step, optimizer, counts, labels, recipe, one.seed, epoch, device)
        counts.release()
        weights, rate = copied_weights(model), optimizer.param_groups[0]["lr"]
        for trial in running:
            scores = validate(model, trial.valid, trial.valid_labels, recipe, device)
            trial.valid.release()
            trial.rows.append({"epoch": epoch, "loss": loss, **scores, "learning_rate": rate})
            trial.stopping.update(scores["valid_auroc"], weights)
    return model


def _write(trial: _Trial, model: nn.Module, seconds: float, together: int) -> None:
    stopping, transform = trial.stopping, trial.fit.recipe.transform
    model.load_state_dict(stopping.best_weights)
    logits = {}
    for name, counts in (("valid", trial.valid), ("test", trial.test)):
        logits[f"{name}_logits"] = predict_logits(model, counts, transform=transform)
        counts.release()
    weights = {f"{PREFIX}{k}": v.cpu().numpy() for k, v in stopping.best_weights.items()}
    about = {
        "history": pd.DataFrame(trial.rows).to_dict("list"),
        "best_epoch": stopping.best_epoch,
        "seconds": seconds,
        "trained_together": together,
        "fit": asdict(trial.fit),
    }
    with atomic_write(trial.path) as unfinished:
        np.savez(unfinished, about=np.array(json.dumps(about)), **logits, **weights)
