"""Train a generator that has a likelihood: the mean negative log-likelihood, a batch at a time.

The order of the data in an epoch follows from the seed and the number of the epoch, so a training
that was interrupted ends exactly like one that was not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from dc2lib.cache import cache_path, plain, resume, write_checkpoint
from dc2lib.models.networks import weights_digest


@dataclass(frozen=True)
class LikelihoodRecipe:
    """Adam with weight decay; its rate rises over 100 steps and falls to zero along a cosine."""

    epochs: int = 15
    batch_size: int = 64
    learning_rate: float = 4e-3
    weight_decay: float = 0.01
    largest_gradient: float = 1.0  #: norm to which a longer gradient is cut


@dataclass(frozen=True)
class LikelihoodFit:
    """A trained generator, and its history: ``epoch``, ``train``, ``valid`` (nats a value)."""

    generator: nn.Module
    history: pd.DataFrame


def nats_a_value(model: nn.Module, signals: Tensor) -> Tensor:
    """Mean negative log-likelihood of a bin and mark: the loss."""
    return -model.log_likelihood(signals).mean() / signals[0].numel()


def train_likelihood(
    model: nn.Module,
    train: np.ndarray,
    valid: np.ndarray,
    *,
    recipe: LikelihoodRecipe,
    seed: int = 0,
    checkpoint: Path | str | None = None,
) -> LikelihoodFit:
    """Train a model in place on signals ``(gene, mark, bin)``; validation signals are only scored.

    Parameters
    ----------
    seed
        Decides the order of the genes; not the initial weights.
    checkpoint
        A file that is written after every epoch; if it exists the training goes on from it.

    Raises
    ------
    DataError
        If the checkpoint belongs to other settings or data.
    FloatingPointError
        If the loss is not finite.
    """
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay, fused=True
    )
    rows: list[dict[str, float]] = []
    path = checkpoint and Path(checkpoint)
    settings = {**asdict(recipe), "seed": seed, "train": train, "valid": valid}
    settings = plain(settings) if path else {}

    def restore(saved: Mapping[str, Any]) -> None:
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        rows.extend(saved["rows"])

    resume(path, settings, restore)
    data, held_out = (torch.from_numpy(np.ascontiguousarray(part)) for part in (train, valid))
    for epoch in range(len(rows), recipe.epochs):
        loss = run_epoch(model.train(), optimizer, data, recipe, (seed, epoch))
        with torch.inference_mode():
            parts = [nats_a_value(model.eval(), part) * len(part) for part in held_out.split(256)]
        rows.append({"epoch": epoch + 1, "train": loss, "valid": float(sum(parts)) / len(valid)})
        if path is not None:
            state = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
            write_checkpoint(path, settings, {**state, "rows": rows})
    return LikelihoodFit(model.eval(), pd.DataFrame(rows))


def run_epoch(
    model: nn.Module, optimizer: torch.optim.Optimizer, data: Tensor, recipe: LikelihoodRecipe,
    key: tuple[int, int],
) -> float:  # fmt: skip
    """Every gene once, in an order that follows from the key (seed, epoch): the mean loss."""
    order = torch.from_numpy(np.random.default_rng(key).permutation(len(data)))
    batches = order.split(recipe.batch_size)
    total = 0.0
    for number, rows in enumerate(batches):
        step = key[1] * len(batches) + number
        fall = (1 + math.cos(math.pi * step / (recipe.epochs * len(batches)))) / 2
        for group in optimizer.param_groups:
            group["lr"] = recipe.learning_rate * min(1.0, (step + 1) / 100) * fall
        loss = nats_a_value(model, data[rows])
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), recipe.largest_gradient)
        optimizer.step()
        total += loss.item() * len(rows)
    if not math.isfinite(total):
        raise FloatingPointError(
            f"the loss of epoch {key[1] + 1} is {total}: lower the learning rate"
        )
    return total / len(data)


def cached_likelihood(
    kind: str,
    model: nn.Module,
    train: np.ndarray,
    valid: np.ndarray,
    *,
    recipe: LikelihoodRecipe,
    seed: int = 0,
    home: Path | str | None = None,
) -> LikelihoodFit:
    """What `train_likelihood` gives, trained once for equal arguments; an interrupted one goes on.

    ``kind`` is a folder of the data folder, or of ``home``.
    """
    settings = {"recipe": recipe, "seed": seed, "model": weights_digest(model), "train": train,
                "valid": valid}
    code = (__name__, type(model).__module__)
    path = cache_path(kind, settings, code=code, home=home, suffix=".pt")
    return train_likelihood(model, train, valid, recipe=recipe, seed=seed, checkpoint=path)
