"""Many models of one architecture trained at once, step by step together, each as if alone.

Their weights are stacked, so a step of all models is one batch of matrix products.  A GPU is busy
with it where one small network leaves it idle; on a CPU the stacked weights leave the cache, and
processes of one thread each are faster.  Order, dropout and updates of each model are those of
`dc2lib.training.fit.fit` with its seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap
from torch.nn.functional import cross_entropy

from dc2lib.models.deepchrome import dropout_mask, dropout_noise
from dc2lib.signals import to_signal
from dc2lib.training.fit import (
    DROPOUT_STREAM,
    PAPER,
    FitResult,
    Recipe,
    batches,
    checked_labels,
    default_device,
    denormals_are_zero,
    make_optimizer,
    set_learning_rate,
    validate,
)
from dc2lib.training.state import TrainingState


class Lockstep:
    """The stacked weights of several models and their common optimizer.

    Parameters
    ----------
    models
        Of one architecture, `DeepChrome` or one without dropout. They are not changed until
        `load` writes the weights back.
    recipe
        The same for all.
    seeds
        One a model: its order of genes and its dropout.
    device
        Where the stacked weights lie.
    """

    def __init__(
        self,
        models: Sequence[nn.Module],
        recipe: Recipe,
        seeds: Sequence[int],
        device: torch.device,
    ) -> None:
        self.recipe, self.seeds, self.device = recipe, list(seeds), device
        stacked, _ = stack_module_state([model.to(device) for model in models])
        self.weights = {name: nn.Parameter(value.detach()) for name, value in stacked.items()}
        self.optimizer = make_optimizer(nn.ParameterList(self.weights.values()), recipe)
        self.skeleton = deepcopy(models[0])
        self.dropout = 0.0
        if hasattr(models[0], "dropout"):
            self.dropout, self.width = models[0].dropout.p, models[0].hidden1.in_features
            self.skeleton.dropout = _GivenMask()

    def load(self, number: int, model: nn.Module) -> nn.Module:
        """Give a model the present weights of one of the models."""
        model.load_state_dict({name: value[number] for name, value in self.weights.items()})
        return model

    def train_epoch(
        self, counts: Sequence[np.ndarray], labels: Sequence[np.ndarray], epoch: int
    ) -> np.ndarray:
        """One pass of each model over its own genes, of which all have the same number.

        Returns
        -------
        float64 array (model,)
            Mean training loss; not finite where a model diverged, which leaves the others alone.
        """
        n, size = len(labels[0]), self.recipe.batch_size
        steps = -(-n // size)
        orders = [batches(n, size, seed, epoch) for seed in self.seeds]
        noise = [np.random.default_rng((seed, epoch, DROPOUT_STREAM)) for seed in self.seeds]
        total = torch.zeros(len(self.seeds), dtype=torch.float64, device=self.device)
        with denormals_are_zero():
            for number, indices in enumerate(zip(*orders, strict=True)):
                done = (epoch * steps + number) / (self.recipe.epochs * steps)
                set_learning_rate(self.optimizer, self.recipe, done)
                batch = np.stack([one[i] for one, i in zip(counts, indices, strict=True)])
                truth = np.stack([one[i] for one, i in zip(labels, indices, strict=True)])
                total += self._step(batch, truth, noise) * batch.shape[1]
        return total.cpu().numpy() / n

    def _step(
        self, counts: np.ndarray, labels: np.ndarray, noise: list[np.random.Generator]
    ) -> Tensor:
        shape = counts.shape[:2]
        signal = to_signal(counts.reshape(-1, *counts.shape[2:]), self.recipe.transform,
                               self.device).unflatten(0, shape)
        given = {"dropout.mask": self._mask(shape[1], noise)} if self.dropout else {}
        logits = vmap(self._logits)({**self.weights, **given}, signal)
        truth = torch.from_numpy(labels.astype(np.int64)).to(self.device)
        loss = cross_entropy(logits.flatten(0, 1), truth.flatten(), reduction="none")
        loss = loss.unflatten(0, shape).mean(1)
        self.optimizer.zero_grad()
        loss.sum().backward()
        self.optimizer.step()
        return loss.detach()

    def _logits(self, weights: dict[str, Tensor], signal: Tensor) -> Tensor:
        return functional_call(self.skeleton, weights, (signal,))

    def _mask(self, n: int, noise: list[np.random.Generator]) -> Tensor:
        drawn = np.stack([dropout_noise(rng, n, self.width) for rng in noise])
        return dropout_mask(torch.from_numpy(drawn).to(self.device), self.dropout)


class _GivenMask(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mask", torch.ones(()))

    def forward(self, pooled: Tensor) -> Tensor:
        return pooled * self.mask


def fit_many(
    models: Sequence[nn.Module],
    counts: Sequence[np.ndarray],
    labels: Sequence[np.ndarray],
    valid_counts: Sequence[np.ndarray],
    valid_labels: Sequence[np.ndarray],
    *,
    recipe: Recipe = PAPER,
    seeds: Sequence[int],
    device: str | torch.device | None = None,
) -> list[FitResult]:
    """Train models in lockstep; each result is what `dc2lib.training.fit.fit` gives for it alone.

    Parameters
    ----------
    models
        Of one architecture; trained in place.
    counts, labels, valid_counts, valid_labels
        As for `dc2lib.training.fit.fit`, one a model; the numbers of training genes are equal.
    recipe, seeds, device
        One recipe, and a seed a model.

    Raises
    ------
    ValueError
        If the models differ in their numbers of training genes.
    DataError
        As for `dc2lib.training.fit.fit`.
    FloatingPointError
        If a training loss is not finite.
    """
    if len({len(one) for one in counts}) != 1:
        raise ValueError(
            f"the models have {sorted({len(one) for one in counts})} training genes: in lockstep "
            "all need the same number; train those apart that differ"
        )
    place = default_device(device)
    labels = [checked_labels(c, y, "training") for c, y in zip(counts, labels, strict=True)]
    valid = [
        (c, checked_labels(c, y, "validation"))
        for c, y in zip(valid_counts, valid_labels, strict=True)
    ]
    together = Lockstep(models, recipe, seeds, place)
    states = [
        TrainingState(model, together.optimizer, {}, recipe.patience, None) for model in models
    ]
    for epoch in range(recipe.epochs):
        running = [number for number, state in enumerate(states) if not state.stopped]
        if not running:
            break
        losses = together.train_epoch(counts, labels, epoch)
        if not np.isfinite(losses[running]).all():
            raise FloatingPointError(
                f"the training losses of epoch {epoch} are {losses}: lower the learning rate "
                f"({recipe.learning_rate}) or use transform='log1p'"
            )
        for number in running:
            together.load(number, models[number])
            row = {"epoch": epoch, "loss": float(losses[number])}
            row |= validate(models[number], *valid[number], recipe, place)
            row["learning_rate"] = together.optimizer.param_groups[0]["lr"]
            states[number].finish_epoch(row)
    for model, state in zip(models, states, strict=True):
        model.load_state_dict(state.best_weights)
        model.eval()
    return [
        FitResult(model, pd.DataFrame(state.rows), state.best_epoch, recipe, seed)
        for model, state, seed in zip(models, states, seeds, strict=True)
    ]
