"""Gradient descent on an input: the loss is a sum of terms that the caller chooses.

Section 3.1 of DeepChrome 2.0: (a) the classifier alone, (b) with a discriminator, (c) with a
penalty for leaving the start; and the recipe of DeepChrome (Singh et al. 2016,
doi:10.1093/bioinformatics/btw427, after Simonyan et al. 2013, arXiv 1312.6034).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, softplus

from dc2lib.errors import DataError
from dc2lib.models.gan import generate
from dc2lib.models.networks import Network, apply_in_batches, evaluating, frozen
from dc2lib.training.fit import default_device

OPTIMIZERS = {"gradient_descent": torch.optim.SGD, "adam": torch.optim.Adam}
DEEPCHROME_L2 = 0.009

Weight = float | Tensor


@dataclass(frozen=True)
class LossTerm:
    """One term of the loss: ``weight`` times ``value(inputs, start)``, one number a sample.

    The weight is one number, or one a sample ``(sample,)``: then one call sweeps over weights.
    ``networks`` are the modules that the value calls, so that they can be put into evaluation mode.
    """

    weight: Weight
    value: Callable[[Tensor, Tensor], Tensor]
    networks: tuple[Network, ...] = ()


@dataclass(frozen=True)
class Trajectory:
    """How inputs moved; losses are weighted, and those before each step was taken."""

    steps: np.ndarray  #: int64 (record,): numbers of the recorded steps; 0 is the start
    inputs: np.ndarray  #: float32 (record, sample, ...) at those steps
    losses: np.ndarray  #: float32 (step, term, sample)

    @property
    def start(self) -> np.ndarray:
        """The inputs before the first step, ``(sample, ...)``."""
        return self.inputs[0]

    @property
    def final(self) -> np.ndarray:
        """The inputs after the last step, ``(sample, ...)``."""
        return self.inputs[-1]

    @property
    def distance(self) -> np.ndarray:
        """Euclidean distance from the start at the recorded steps, ``(record, sample)``."""
        moved = (self.inputs - self.inputs[0]).reshape(*self.inputs.shape[:2], -1)
        return np.sqrt(np.square(moved).sum(2))


def optimise_input(
    start: np.ndarray | Tensor,
    terms: Sequence[LossTerm],
    *,
    steps: int = 200,
    learning_rate: float = 0.05,
    optimizer: str = "adam",
    bounds: tuple[float, float] | None = None,
    record_every: int = 0,
    device: str | torch.device | None = None,
) -> Trajectory:
    """Move inputs down the gradient of a sum of loss terms; every sample on its own.

    Parameters
    ----------
    start
        Inputs ``(sample, ...)`` as the classifier reads them: for a model of genes signals
        ``(gene, mark, bin)`` after its recipe's transform (`dc2lib.signals.to_signal`), not counts.
    terms
        A list of what the loss is made of, such as ``[class_term(model, 1), norm_term()]``: see
        `class_term`, `score_term`, `discriminator_term`, `distance_term` and `norm_term`.
    optimizer
        ``"gradient_descent"``: the gradient times the learning rate; ``"adam"``.
    bounds
        If given, inputs are brought back between these two after each step.
    record_every
        Keep the inputs every so many steps in the trajectory; 0 keeps the start and the end.
    device
        Where it is computed, wherever the networks and weights of the terms lie; default CUDA if
        present, else the CPU.

    Raises
    ------
    DataError
        If there is no term, the optimizer is unknown, or the start lies out of bounds.
    FloatingPointError
        If the loss is not finite.
    """
    _check(start, terms, steps, optimizer, bounds)
    networks = [network for term in terms for network in term.networks]
    place = default_device(device)
    first = torch.as_tensor(start).detach().float().to(place)
    weights = [torch.as_tensor(term.weight).to(place) for term in terms]
    inputs = first.clone().requires_grad_(True)
    rule = OPTIMIZERS[optimizer]([inputs], lr=learning_rate)
    recorded, path, losses = [0], [first.cpu().numpy()], []
    with evaluating(*networks, device=place), frozen(*networks):
        for step in range(1, steps + 1):
            losses.append(gradient_step(inputs, first, terms, weights, rule).cpu().numpy())
            if not np.isfinite(losses[-1]).all():
                raise FloatingPointError(f"the loss of step {step} is not finite: lower the rate")
            if bounds is not None:
                inputs.data.clamp_(*bounds)
            if step == steps or (record_every and step % record_every == 0):
                recorded.append(step)
                path.append(inputs.detach().cpu().numpy().copy())
    return Trajectory(np.array(recorded), np.stack(path), np.stack(losses))


def gradient_step(
    inputs: Tensor, start: Tensor, terms: Sequence[LossTerm],
    weights: Sequence[Tensor], rule: torch.optim.Optimizer,
) -> Tensor:  # fmt: skip
    """Move inputs down the gradient of their loss; return its terms."""
    values = torch.stack([
        weight * term.value(inputs, start)
        for weight, term in zip(weights, terms, strict=True)
    ])
    (inputs.grad,) = torch.autograd.grad(values.sum(), inputs)
    rule.step()
    return values.detach()


def class_term(
    classifier: Network, target: int | Sequence[int], weight: Weight = 1.0
) -> LossTerm:
    """Cross-entropy of a class: minus the log of the probability it gets.

    ``target`` is one class for all samples, or one per sample.
    """

    def value(inputs: Tensor, start: Tensor) -> Tensor:
        logits = classifier(inputs)
        wanted = torch.as_tensor(
            target, device=logits.device).expand(len(logits))
        return cross_entropy(logits, wanted, reduction="none")

    return LossTerm(weight, value, (classifier,))


def score_term(classifier: Network, target: int, weight: Weight = 1.0) -> LossTerm:
    """Minus the class score before the softmax, which DeepChrome maximises."""

    def value(inputs: Tensor, start: Tensor) -> Tensor:
        return -classifier(inputs)[:, target]

    return LossTerm(weight, value, (classifier,))


def discriminator_term(discriminator: Network, weight: Weight) -> LossTerm:
    """Minus the log of the probability that a discriminator gives to "real"."""

    def value(inputs: Tensor, start: Tensor) -> Tensor:
        return softplus(-discriminator(inputs).flatten())

    return LossTerm(weight, value, (discriminator,))


def distance_term(weight: Weight) -> LossTerm:
    """Squared Euclidean distance from the start; the weight is Phi."""
    return LossTerm(weight, lambda inputs, start: _squares(inputs - start))


def norm_term(weight: Weight = DEEPCHROME_L2) -> LossTerm:
    """Squared Euclidean norm of the input; DeepChrome's weight is 0.009."""
    return LossTerm(weight, lambda inputs, start: _squares(inputs))


def uniform_start(n: int, shape: Sequence[int], seed: int = 0) -> Tensor:
    """Inputs with every value uniform in [0, 1], float32 ``(n, *shape)``."""
    return torch.rand(n, *shape, generator=torch.Generator().manual_seed(seed))


def generated_start(
    generator: nn.Module,
    classifier: Network,
    avoid: Sequence[int],
    *,
    seed: int = 0,
    pool: int = 512,
) -> np.ndarray:
    """Generated inputs that are not yet of the class they will be moved to, float32 ``(n, ...)``.

    ``avoid`` holds the class that each must not have for the classifier, ``(n,)``; ``pool`` samples
    are drawn to choose from, each used once, in the order drawn.  Raises DataError if no suitable
    one is left.
    """
    made = generate(generator, pool, seed=seed)
    predicted = apply_in_batches(classifier, made).argmax(1)
    free = np.ones(pool, bool)
    chosen = []
    for target in avoid:
        suitable = np.flatnonzero(free & (predicted != target))
        if not len(suitable):
            raise DataError(
                f"no generated sample of {pool} is left that is not of class {target}: give a "
                "larger pool"
            )
        chosen.append(suitable[0])
        free[suitable[0]] = False
    return made[chosen]


def _squares(values: Tensor) -> Tensor:
    return values.flatten(1).square().sum(1)


def _check(
    start: np.ndarray | Tensor, terms: Sequence[LossTerm], steps: int, optimizer: str,
    bounds: tuple[float, float] | None,
) -> None:  # fmt: skip
    if not terms:
        raise DataError("no loss term: expected at least one, such as class_term")
    if optimizer not in OPTIMIZERS:
        raise DataError(f"unknown optimizer {optimizer!r}: expected one of {list(OPTIMIZERS)}")
    if steps < 1 or len(start) < 1:
        raise DataError(f"{steps} steps for {len(start)} inputs: expected at least 1 of both")
    if bounds is not None:
        low, high = float(start.min()), float(start.max())
        if not bounds[0] <= low <= high <= bounds[1]:
            raise DataError(f"the start spans [{low}, {high}], outside of the bounds {bounds}")
