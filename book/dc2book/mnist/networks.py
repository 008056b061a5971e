"""Networks of handwritten digits: classifiers, one of them to judge with, and kept GANs.

The classifier that is probed is `DeepChromeMNIST`.  `DigitJudge` has another
architecture on purpose: what fools the one need not fool the other.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy
from tqdm import tqdm

from dc2lib.errors import DataError
from dc2lib.files import replacing
from dc2lib.models.digits import build_digit_classifier, build_digit_gan
from dc2lib.models.networks import apply_in_batches, device_of, evaluating
from dc2lib.training.checkpoints import checkpoint_path
from dc2lib.training.fit import batches, default_device
from dc2lib.training.gan import GanFit, Quality, train_gan
from dc2lib.training.gan_losses import GanRecipe


@dataclass(frozen=True)
class DigitRecipe:
    """How a classifier of digits is trained: Adam, a cosine schedule to zero, every digit an epoch.

    Attributes
    ----------
    epochs, batch_size, learning_rate
        As usual; the learning rate is the highest of the schedule.
    epsilon
        If above 0, train on attacked images: each pixel is moved by at most so much, in one step
        along the sign of the gradient from a random start (Wong et al. 2020, arXiv 2001.03994).
    """

    epochs: int = 3
    batch_size: int = 128
    learning_rate: float = 2e-3
    epsilon: float = 0.0

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch_size < 1 or not 0 <= self.epsilon <= 1:
            raise ValueError(f"{self}: expected epochs and batch_size >= 1, epsilon in [0, 1]")


def as_pixels(images: np.ndarray) -> Tensor:
    """Images uint8 ``(image, 28, 28)`` as float32 ``(image, 1, 28, 28)`` in [0, 1]."""
    return torch.from_numpy(np.asarray(images)).unsqueeze(1).float().div_(255)


def as_bytes(images: np.ndarray) -> np.ndarray:
    """Images ``(image, 1, 28, 28)`` in [0, 1] as uint8 ``(image, 28, 28)``, like the data."""
    return np.rint(np.asarray(images)[:, 0] * 255).astype(np.uint8)


def fit_digits(
    model: nn.Module,
    images: np.ndarray,
    labels: np.ndarray,
    *,
    recipe: DigitRecipe | None = None,
    seed: int = 0,
    device: str | torch.device | None = None,
    progress: bool = False,
) -> pd.DataFrame:
    """Train a classifier in place; a row an epoch: ``epoch``, ``loss``, ``accuracy`` (training).

    Parameters
    ----------
    model
        Takes float32 ``(image, 1, 28, 28)`` in [0, 1], returns logits ``(image, class)``.
    images, labels
        uint8 ``(image, 28, 28)`` and class numbers ``(image,)``.
    seed
        Decides the order of the images, dropout and the random starts of attacks.

    Raises
    ------
    DataError
        If the numbers of images and labels differ.
    FloatingPointError
        If the loss is not finite.
    """
    if len(images) != len(labels) or len(images) == 0:
        raise DataError(f"{len(images)} images and {len(labels)} labels: expected as many of both")
    recipe = recipe or DigitRecipe()
    place = default_device(device)
    model.to(place)
    optimizer = torch.optim.Adam(model.parameters(), lr=recipe.learning_rate, fused=True)
    steps = -(-len(images) // recipe.batch_size)
    rows = []
    with tqdm(total=recipe.epochs * steps, disable=not progress) as bar:
        for epoch in range(recipe.epochs):
            row = _epoch(model, optimizer, images, labels, recipe, (seed, epoch), bar)
            rows.append({"epoch": epoch, **row})
            if not math.isfinite(row["loss"]):
                raise FloatingPointError(f"the loss of epoch {epoch} is {row['loss']}")
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


def digit_logits(model: nn.Module, images: np.ndarray | Tensor) -> np.ndarray:
    """Logits float32 ``(image, class)``; uint8 images are divided by 255."""
    pixels = as_pixels(images) if getattr(images, "dtype", None) == np.uint8 else images
    return apply_in_batches(model, pixels)


def convolutional_fit(
    epochs: int = 8, seed: int = 0, width: int = 32
) -> Callable[[np.ndarray, np.ndarray], Callable[[np.ndarray], np.ndarray]]:
    """A discriminator on pixels for `dc2lib.evaluation.generated.two_sample_test`, images as uint8.

    It sees both sets at the same grey levels, so rounding gives nothing away.
    """

    def fit(images: np.ndarray, labels: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        place = default_device()
        _, model = build_digit_gan(seed, width=width)
        model.to(place)
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
        targets = torch.from_numpy(labels).float().to(place)
        for epoch in range(epochs):
            for rows in batches(len(images), 64, seed, epoch):
                logits = model(as_pixels(images[rows]).to(place))
                loss = binary_cross_entropy_with_logits(logits, targets[rows])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        return lambda tested: (digit_logits(model, tested) > 0).astype(int)

    return fit


def kept_digit_model(
    name: str,
    images: np.ndarray,
    labels: np.ndarray,
    *,
    recipe: DigitRecipe | None = None,
    seed: int = 0,
    home: Path | str | None = None,
    progress: bool = False,
) -> tuple[nn.Module, pd.DataFrame]:
    """A trained classifier of `DIGIT_CLASSIFIERS` and its history, once for equal arguments.

    The weights are kept in the data folder; a changed argument, digit or library trains again.
    """
    recipe = recipe or DigitRecipe()
    digits = hashlib.sha256(images.tobytes() + labels.tobytes()).hexdigest()
    settings = {"recipe": recipe, "seed": seed, "digits": digits}
    path = checkpoint_path(f"digits/{name}", settings, __name__, home)
    model = build_digit_classifier(name, seed)
    if path.exists():
        saved = torch.load(path, map_location="cpu", weights_only=True)
        model.load_state_dict(saved["weights"])
        return model.to(default_device()).eval(), pd.DataFrame(saved["history"])
    history = fit_digits(model, images, labels, recipe=recipe, seed=seed, progress=progress)
    with replacing(path) as temporary:
        torch.save({"weights": model.state_dict(), "history": history.to_dict("list")}, temporary)
    return model, history


def kept_gan(
    images: np.ndarray,
    *,
    recipe: GanRecipe,
    seed: int = 0,
    width: int = 16,
    hidden: int = 128,
    quality: Quality | None = None,
    home: Path | str | None = None,
    progress: bool = False,
) -> GanFit:
    """A GAN of digits trained by `dc2lib.training.gan.train_gan`, once for equal arguments.

    It is kept in the data folder after every round, so an interrupted training goes on; ``quality``
    is not part of what is compared.
    """
    digits = hashlib.sha256(images.tobytes()).hexdigest()
    settings = {"recipe": recipe, "seed": seed, "digits": digits, "size": (width, hidden)}
    return train_gan(
        *build_digit_gan(seed, width=width, hidden=hidden),
        images[:, None],
        recipe=recipe,
        seed=seed,
        quality=quality,
        checkpoint=checkpoint_path("digits/gan", settings, __name__, home),
        progress=progress,
    )


def _epoch(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    images: np.ndarray,
    labels: np.ndarray,
    recipe: DigitRecipe,
    key: tuple[int, int],
    bar: tqdm,
) -> dict[str, float]:
    model.train()
    place = device_of(model)
    steps = -(-len(images) // recipe.batch_size)
    number = np.random.SeedSequence(key).generate_state(1)[0].item()
    source = torch.Generator().manual_seed(number)
    loss_sum, right = 0.0, 0
    with torch.random.fork_rng(devices=[place] if place.type == "cuda" else []):
        torch.manual_seed(number)
        for step, rows in enumerate(batches(len(images), recipe.batch_size, *key)):
            done = (key[1] + step / steps) / recipe.epochs
            for group in optimizer.param_groups:
                group["lr"] = recipe.learning_rate * (1 + math.cos(math.pi * done)) / 2
            batch = as_pixels(images[rows]).to(place)
            target = torch.from_numpy(labels[rows]).to(place)
            if recipe.epsilon:
                batch = attacked(model, batch, target, recipe.epsilon, source)
            logits = model(batch)
            loss = cross_entropy(logits, target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            loss_sum += float(loss.detach()) * len(rows)
            right += int((logits.argmax(1) == target).sum())
            bar.update()
    return {"loss": loss_sum / len(images), "accuracy": right / len(images)}
