"""Train classifiers of handwritten digits, on plain or on attacked images."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from dc2book.mnist.networks import as_pixels, build_digit_classifier
from dc2lib.cache import cached
from dc2lib.errors import DataError
from dc2lib.models.networks import device_of, evaluating, torch_seed
from dc2lib.training.fit import batches, default_device


@dataclass(frozen=True)
class DigitRecipe:
    """How a classifier of digits is trained: by Adam, with a cosine schedule to zero."""

    epochs: int = 3
    batch_size: int = 128
    learning_rate: float = 2e-3  #: the highest of the schedule
    epsilon: float = 0.0  #: if above 0, train on images that `attacked` moved by so much

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch_size < 1 or not 0 <= self.epsilon <= 1:
            raise ValueError(f"{self}: expected epochs and batch_size >= 1, epsilon in [0, 1]")


def fit_digits(
    model: nn.Module,
    images: np.ndarray,
    labels: np.ndarray,
    *,
    recipe: DigitRecipe,
    seed: int = 0,
) -> pd.DataFrame:
    """Train a classifier in place; a row an epoch: ``epoch``, ``loss``, ``accuracy`` (training).

    The model takes float32 ``(image, 1, 28, 28)`` in [0, 1] and returns logits ``(image, class)``;
    images are uint8 ``(image, 28, 28)``, labels class numbers ``(image,)``.  The seed decides the
    order of the images, dropout and the random starts of attacks.

    Raises
    ------
    DataError
        If the numbers of images and labels differ.
    FloatingPointError
        If the loss is not finite.
    """
    if len(images) != len(labels) or len(images) == 0:
        raise DataError(f"{len(images)} images and {len(labels)} labels: expected as many of both")
    model.to(default_device()).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=recipe.learning_rate, fused=True)
    steps = recipe.epochs * -(-len(images) // recipe.batch_size)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda done: (1 + math.cos(math.pi * done / steps)) / 2
    )
    rows = []
    for epoch in range(recipe.epochs):
        row = _epoch(model, optimizer, schedule, images, labels, recipe, (seed, epoch))
        rows.append({"epoch": epoch, **row})
    model.eval()
    return pd.DataFrame(rows)


def attacked(
    model: nn.Module, images: Tensor, labels: Tensor, epsilon: float, source: torch.Generator
) -> Tensor:
    """Images moved by at most ``epsilon`` a pixel so that the loss rises, within [0, 1].

    One step of 1.25 epsilon along the sign of the gradient from a random start (Wong et al. 2020,
    arXiv 2001.03994).
    """
    shift = torch.empty(images.shape).uniform_(-epsilon, epsilon, generator=source)
    shift = shift.to(images.device).requires_grad_(True)
    loss = cross_entropy(model((images + shift).clamp(0, 1)), labels)
    (gradient,) = torch.autograd.grad(loss, shift)
    moved = (shift.detach() + 1.25 * epsilon * gradient.sign()).clamp(-epsilon, epsilon)
    return (images + moved).clamp(0, 1)


def attacked_accuracy(
    model: nn.Module, images: np.ndarray, labels: np.ndarray, epsilon: float, *, seed: int = 0
) -> float:
    """Accuracy on images ``(image, 28, 28)`` that were attacked with the gradient of the model."""
    source = torch.Generator().manual_seed(seed)
    place = device_of(model)
    right = 0
    with evaluating(model):
        for start in range(0, len(images), 256):
            batch = as_pixels(images[start : start + 256]).to(place)
            target = torch.from_numpy(labels[start : start + 256]).to(place)
            moved = attacked(model, batch, target, epsilon, source)
            with torch.inference_mode():
                right += int((model(moved).argmax(1) == target).sum())
    return right / len(images)


def cached_digit_classifier(
    name: str,
    images: np.ndarray,
    labels: np.ndarray,
    *,
    recipe: DigitRecipe,
    seed: int = 0,
    home: Path | str | None = None,
) -> nn.Module:
    """One of `DIGIT_CLASSIFIERS` trained by `fit_digits`, once for equal arguments."""
    model = build_digit_classifier(name, seed)
    settings = {"model": name, "recipe": recipe, "seed": seed, "images": images, "labels": labels}

    def train() -> dict[str, np.ndarray]:
        fit_digits(model, images, labels, recipe=recipe, seed=seed)
        return {key: value.cpu().numpy() for key, value in model.state_dict().items()}

    weights = cached("digits", settings, train, code=__name__, home=home)
    model.load_state_dict({key: torch.from_numpy(value) for key, value in weights.items()})
    return model.to(default_device()).eval()


def _epoch(
    model: nn.Module, optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler, images: np.ndarray, labels: np.ndarray,
    recipe: DigitRecipe, key: tuple[int, int],
) -> dict[str, float]:  # fmt: skip
    place = device_of(model)
    number = np.random.SeedSequence(key).generate_state(1)[0].item()
    source = torch.Generator().manual_seed(number)
    loss_sum, right = 0.0, 0
    with torch_seed(number, place):
        for rows in batches(len(images), recipe.batch_size, *key):
            batch = as_pixels(images[rows]).to(place)
            target = torch.from_numpy(labels[rows]).to(place)
            if recipe.epsilon:
                batch = attacked(model, batch, target, recipe.epsilon, source)
            logits = model(batch)
            loss = cross_entropy(logits, target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            loss_sum += float(loss.detach()) * len(rows)
            right += int((logits.argmax(1) == target).sum())
    if not math.isfinite(loss_sum):
        raise FloatingPointError(f"the loss of epoch {key[1]} is {loss_sum}")
    return {"loss": loss_sum / len(images), "accuracy": right / len(images)}
