"""Fit one model to one set of genes: recipes, early stopping, checkpoints, resuming.

The same seed on the same machine gives the same model, whether or not the fit was interrupted:
order and dropout of every epoch are drawn from the seed and the number of the epoch.

A step is torch's autograd, which trains any model anywhere, or the hand-written one of
`dc2lib.fast.fused_step`, two to three times as fast for `DeepChrome` on a CPU.

>>> from dc2lib.models.deepchrome import build
>>> counts = np.random.default_rng(0).poisson(2, (64, 100, 5)).astype(np.uint16)
>>> labels = np.arange(64) % 2
>>> result = fit(build("linear"), counts, labels, counts, labels, recipe=Recipe(epochs=2))
>>> list(result.history)
['epoch', 'loss', 'valid_loss', 'valid_auroc', 'learning_rate']
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from tqdm import tqdm

from dc2lib.cache import resume, write_checkpoint
from dc2lib.errors import DataError
from dc2lib.evaluation.scores import auroc, positive_score
from dc2lib.fast import fused_step
from dc2lib.fast.matrix_form import matrix_form
from dc2lib.models.deepchrome import Dropout
from dc2lib.models.networks import torch_seed
from dc2lib.signals import TRANSFORMS, to_signal


class EarlyStopping:
    """The best epoch so far, and whether to stop: after ``patience`` epochs without a better score.

    `best_epoch` is -1 before the first, and of equal scores the first; `best_weights` is what was
    given with its score.

    >>> stopping = EarlyStopping(patience=2)
    >>> for score in (0.7, 0.8, 0.75, 0.8, 0.9):
    ...     if not stopping.stopped:
    ...         stopping.update(score, weights=None)
    >>> stopping.best_epoch, stopping.epochs
    (1, 4)
    """

    def __init__(self, patience: int) -> None:
        self.patience = patience
        self.epochs, self.best_epoch = 0, -1
        self.best_score, self.best_weights = -np.inf, None

    def update(self, score: float, weights: Any) -> None:
        """Note the score of the next epoch."""
        if score > self.best_score:
            self.best_epoch, self.best_score, self.best_weights = (
                self.epochs, score, weights)
        self.epochs += 1

    @property
    def stopped(self) -> bool:
        """Whether the patience is used up."""
        return self.epochs - 1 - max(self.best_epoch, 0) >= self.patience


OPTIMIZERS = ("sgd", "adam")
SCHEDULES = ("cosine", "constant")
DROPOUT_STREAM = 1

TrainStep = Callable[[np.ndarray, np.ndarray, np.random.Generator], Tensor | float]


@dataclass(frozen=True)
class Recipe:
    """How a model is trained."""

    transform: str = "raw"  #: counts as in the paper, or ``"log1p"`` of the counts
    optimizer: str = "sgd"  #: without momentum, or ``"adam"``
    learning_rate: float = 1e-3
    weight_decay: float = 0.0  #: decoupled, where the optimizer is ``"adam"``
    schedule: str = "cosine"  #: to zero over all steps, or ``"constant"``
    epochs: int = 100  #: at most so many passes over the training genes
    batch_size: int = 32  #: genes
    patience: int = 15  #: stop after so many epochs without a better validation AUROC

    def __post_init__(self) -> None:
        for value, known in (
            (self.transform, TRANSFORMS),
            (self.optimizer, OPTIMIZERS),
            (self.schedule, SCHEDULES),
        ):
            if value not in known:
                raise ValueError(f"unknown {value!r} in the recipe: expected one of {known}")
        if min(self.epochs, self.batch_size, self.patience) < 1:
            raise ValueError("epochs, batch_size and patience must be at least 1")


PAPER = Recipe()
TUNED = Recipe(transform="log1p", optimizer="adam", epochs=20, patience=8)
RECIPES = {"paper": PAPER, "tuned": TUNED}


@dataclass(frozen=True)
class FitResult:
    """A fitted model (weights of the best epoch) with its history.

    ``history`` has a row an epoch: ``epoch``, ``loss`` (mean training cross-entropy),
    ``valid_loss``, ``valid_auroc``, ``learning_rate``.
    """

    model: nn.Module
    history: pd.DataFrame
    best_epoch: int
    recipe: Recipe
    seed: int

    @property
    def valid_auroc(self) -> float:
        """Validation AUROC (probability scoring) of the best epoch."""
        return float(self.history.set_index("epoch").loc[self.best_epoch, "valid_auroc"])


def levelled_off(valid_auroc: Sequence[float], tolerance: float = 0.001) -> bool:
    """Whether the last fifth of the epochs raised the best validation AUROC by at most `tolerance`.

    A fit that was still getting better when its epochs were used up has not converged, and says
    more about the number of epochs than about the model.  One epoch alone never has.

    >>> levelled_off([0.7, 0.8, 0.85, 0.86, 0.8602]), levelled_off([0.7, 0.8, 0.85, 0.86, 0.87])
    (True, False)
    """
    scores = np.asarray(valid_auroc, dtype=float)
    early = len(scores) - max(len(scores) // 5, 1)
    return early > 0 and bool(scores.max() - scores[:early].max() <= tolerance)


def default_device(device: str | torch.device | None = None) -> torch.device:
    """The device named, else CUDA if present, else the CPU."""
    if device is not None:
        return torch.device(device)
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def fit(
    model: nn.Module,
    counts: np.ndarray,
    labels: np.ndarray,
    valid_counts: np.ndarray,
    valid_labels: np.ndarray,
    *,
    recipe: Recipe = PAPER,
    seed: int = 0,
    device: str | torch.device | None = None,
    checkpoint: Path | str | None = None,
    progress: bool = False,
) -> FitResult:
    """Train a model and keep the epoch with the best validation AUROC.

    Parameters
    ----------
    model
        Takes float32 ``(gene, mark, bin)``, returns logits ``(gene, 2)``; trained in place.
    counts, labels
        uint16 ``(gene, bin, mark)``, which may be memory-mapped, and 0 or 1 ``(gene,)``.
    recipe
        The paper's by default: SGD, raw counts, batches of 32, learning rate 1e-3 with a cosine
        schedule, 100 epochs, patience 15.
    seed
        Decides the order of the genes and the dropout.
    checkpoint
        A file that is written after every epoch; if it exists the fit goes on from it.  It knows
        recipe and seed, and neither data nor labels: name another one for other genes or labels.
    progress
        Show a bar with the validation AUROC.

    Raises
    ------
    DataError
        If shapes differ, a label is not 0 or 1, or a set has only one class, or the checkpoint
        belongs to other settings.
    FloatingPointError
        If the loss is not finite (the learning rate is too large for the transform).
    """
    labels = checked_labels(counts, labels, "training")
    valid_labels = checked_labels(valid_counts, valid_labels, "validation")
    place = default_device(device)
    model.to(place).train()
    optimizer = make_optimizer(model, recipe)
    stopping, rows = EarlyStopping(recipe.patience), []
    settings = {**asdict(recipe), "seed": seed}
    path = None if checkpoint is None else Path(checkpoint)

    def restore(saved: dict[str, Any]) -> None:
        model.load_state_dict(saved["weights"])
        optimizer.load_state_dict(saved["optimizer"])
        vars(stopping).update(saved["stopping"])
        rows.extend(saved["rows"])

    resume(path, settings, restore)
    step = train_step(model, optimizer, counts, recipe, place)
    with tqdm(disable=not progress, initial=len(rows), total=recipe.epochs) as bar:
        while len(rows) < recipe.epochs and not stopping.stopped:
            epoch = len(rows)
            loss = train_epoch(
                step, optimizer, counts, labels, recipe, seed, epoch, place)
            scores = validate(model, valid_counts, valid_labels, recipe, place)
            rate = optimizer.param_groups[0]["lr"]
            rows.append({"epoch": epoch, "loss": loss, **scores, "learning_rate": rate})
            stopping.update(scores["valid_auroc"], copied_weights(model))
            if path is not None:
                state = {"rows": rows, "stopping": vars(stopping), "weights": model.state_dict(),
                         "optimizer": optimizer.state_dict()}
                write_checkpoint(path, settings, state)
            bar.update()
            bar.set_postfix(valid_auroc=f"{scores['valid_auroc']:.4f}")
    model.load_state_dict(stopping.best_weights)
    model.eval()
    return FitResult(model, pd.DataFrame(rows), stopping.best_epoch, recipe, seed)


def copied_weights(model: nn.Module) -> dict[str, Tensor]:
    """The weights as they are now."""
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def predict_logits(
    model: nn.Module,
    counts: np.ndarray,
    *,
    transform: str,
    device: str | torch.device | None = None,
    batch_size: int = 512,
) -> np.ndarray:
    """Logits float32 ``(gene, 2)`` of counts ``(gene, bin, mark)``, without dropout."""
    place = default_device(device)
    was_training = model.training
    model.to(place).eval()
    forward = matrix_form(model) if place.type == "cpu" else model
    with torch.inference_mode():
        signals = (
            to_signal(counts[start : start + batch_size], transform, place)
            for start in range(0, len(counts), batch_size)
        )
        logits = [forward(signal).cpu().numpy() for signal in signals]
    model.train(was_training)
    return np.concatenate(logits) if logits else np.empty((0, 2), np.float32)


def checked_labels(counts: np.ndarray, labels: np.ndarray, name: str) -> np.ndarray:
    """The labels as an array; DataError where they do not fit the counts or hold one class."""
    labels = np.asarray(labels)
    if counts.ndim != 3 or len(counts) != len(labels):
        raise DataError(
            f"the {name} counts have shape {counts.shape} and the labels {labels.shape}: expected "
            "(gene, bin, mark) and (gene,)"
        )
    values = set(np.unique(labels).tolist())
    if values != {0, 1}:
        raise DataError(
            f"the {name} labels hold the values {sorted(values)}: expected both 0 and 1; choose "
            "more genes or another label rule"
        )
    return labels


def make_optimizer(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """The recipe's optimizer over the model's parameters."""
    settings = {"lr": recipe.learning_rate, "weight_decay": recipe.weight_decay, "fused": True}
    if recipe.optimizer == "adam":
        return torch.optim.AdamW(model.parameters(), **settings)
    return torch.optim.SGD(model.parameters(), **settings)


def train_step(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    counts: np.ndarray,
    recipe: Recipe,
    device: torch.device,
) -> TrainStep:
    """What updates the model with a batch: ``step(counts, labels, rng)`` returns the loss."""
    if fused_step.supported(model, counts, device):
        return fused_step.FusedStep(model, optimizer, recipe.transform)
    dropout = getattr(model, "dropout", None)

    def step(
        batch: np.ndarray, labels: np.ndarray, rng: np.random.Generator
    ) -> Tensor:
        optimizer.zero_grad()
        with (dropout.drawing_from(rng) if isinstance(dropout, Dropout)
              else nullcontext()):
            logits = model(to_signal(batch, recipe.transform, device))
        loss = nn.functional.cross_entropy(
            logits, torch.from_numpy(labels).to(device))
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


def batches(n: int, batch_size: int, seed: int, epoch: int) -> Iterator[np.ndarray]:
    """Indices of the batches of one epoch: every index once, in an order drawn from the seed."""
    order = np.random.default_rng((seed, epoch)).permutation(n)
    for start in range(0, n, batch_size):
        yield np.sort(order[start : start + batch_size])


def train_epoch(
    step: TrainStep,
    optimizer: torch.optim.Optimizer,
    counts: np.ndarray,
    labels: np.ndarray,
    recipe: Recipe,
    seed: int,
    epoch: int,
    device: torch.device,
) -> float:
    """Update the model with every batch of an epoch; the mean loss.

    ``step`` is of `train_step`; order, dropout and rates follow from the seed and the epoch.

    Raises FloatingPointError if the mean loss is not finite.
    """
    steps = -(-len(counts) // recipe.batch_size)
    labels = labels.astype(np.int64)
    rng = np.random.default_rng((seed, epoch, DROPOUT_STREAM))
    total = 0.0
    with _torch_draws(step, seed, epoch, device), denormals_are_zero():
        for number, index in enumerate(batches(len(counts), recipe.batch_size, seed, epoch)):
            set_learning_rate(optimizer, recipe, (epoch * steps + number) / (recipe.epochs * steps))
            total += step(counts[index], labels[index], rng) * len(index)
    mean = float(total) / len(counts)
    if not np.isfinite(mean):
        raise FloatingPointError(
            f"the training loss of epoch {epoch} is {mean}: lower the learning rate "
            f"({recipe.learning_rate}) or use transform='log1p'"
        )
    return mean


def _torch_draws(
    step: TrainStep, seed: int, epoch: int, device: torch.device
) -> AbstractContextManager[None]:
    """Any other module may draw from torch's state, for which threads wait for each other."""
    if isinstance(step, fused_step.FusedStep):
        return nullcontext()
    return torch_seed(np.random.SeedSequence((seed, epoch)).generate_state(1)[0].item(), device)


@contextmanager
def denormals_are_zero() -> Iterator[None]:
    """Adam's averages of units that died sink below 1e-38, where arithmetic is many times slower.

    Of no effect on the weights.
    """
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


def learning_rate_factor(recipe: Recipe, done: float) -> float:
    """Share of the learning rate when the share ``done`` of all steps is done."""
    return 1.0 if recipe.schedule == "constant" else (1 + math.cos(math.pi * done)) / 2


def set_learning_rate(optimizer: torch.optim.Optimizer, recipe: Recipe, done: float) -> None:
    """Set the rate that the schedule gives when the share ``done`` of all steps is done."""
    for group in optimizer.param_groups:
        group["lr"] = recipe.learning_rate * learning_rate_factor(recipe, done)


def validate(
    model: nn.Module,
    counts: np.ndarray,
    labels: np.ndarray,
    recipe: Recipe,
    device: torch.device,
) -> dict[str, float]:
    """Cross-entropy and AUROC on validation genes: ``valid_loss`` and ``valid_auroc``."""
    logits = predict_logits(model, counts, transform=recipe.transform, device=device)
    loss = nn.functional.cross_entropy(torch.from_numpy(logits), torch.from_numpy(labels).long())
    return {"valid_loss": loss.item(), "valid_auroc": auroc(labels, positive_score(logits))}
