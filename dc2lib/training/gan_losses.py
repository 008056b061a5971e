"""Recipe of a GAN, and its losses and penalties as they were published."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import relu, softplus

LOSSES = ("nonsaturating", "hinge", "wasserstein", "relativistic")
REGULARISERS = ("none", "r1", "gradient_penalty")


@dataclass(frozen=True)
class GanRecipe:
    """How a generator and a discriminator are trained.

    Attributes
    ----------
    loss
        ``"nonsaturating"`` (Goodfellow et al. 2014, arXiv 1406.2661), ``"hinge"`` (Miyato et al.
        2018, arXiv 1802.05957), ``"wasserstein"`` (Arjovsky et al. 2017, arXiv 1701.07875) or
        ``"relativistic"`` (real and generated samples in pairs: Jolicoeur-Martineau 2018, arXiv
        1807.00734).
    regulariser, strength, regularise_every
        ``"r1"``: strength / 2 times the squared gradient of the discriminator at real samples
        (Mescheder et al. 2018, arXiv 1801.04406); ``"gradient_penalty"``: strength times the
        squared distance of the gradient's norm from 1 between real and generated samples (Gulrajani
        et al. 2017, arXiv 1704.00028); or ``"none"``.  Computed every so many steps, and then
        multiplied by their number.
    steps, batch_size, round_steps
        Discriminator steps in all, samples a step, and steps between two reports.
    discriminator_steps
        Steps of the discriminator for each of the generator.
    learning_rate, discriminator_learning_rate, beta1, beta2
        Of Adam; the rates of generator and discriminator.
    averaging
        Decay of the moving average of the generator's weights, a generator step; 0 for none.
        The averaged generator is the result.
    schedule
        ``"constant"``, or ``"linear"`` to zero over the second half of the steps.
    """

    loss: str = "nonsaturating"
    regulariser: str = "r1"
    strength: float = 1.0
    regularise_every: int = 1
    steps: int = 2000
    batch_size: int = 64
    round_steps: int = 100
    discriminator_steps: int = 1
    learning_rate: float = 1e-3
    discriminator_learning_rate: float = 1e-3
    beta1: float = 0.5
    beta2: float = 0.99
    averaging: float = 0.99
    schedule: str = "linear"

    def __post_init__(self) -> None:
        for value, known in (
            (self.loss, LOSSES),
            (self.regulariser, REGULARISERS),
            (self.schedule, ("constant", "linear")),
        ):
            if value not in known:
                raise ValueError(f"unknown {value!r} in the recipe: expected one of {known}")
        counted = ("regularise_every", "steps", "batch_size", "round_steps", "discriminator_steps")
        for name in counted:
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} in the recipe: expected at least 1")

    @property
    def rounds(self) -> int:
        """Reports in a whole training; the last round may be shorter."""
        return -(-self.steps // self.round_steps)


def discriminator_loss(loss: str, real: Tensor, generated: Tensor) -> Tensor:
    """Mean loss of the discriminator for logits of real and generated samples, both ``(sample,)``.

    Examples
    --------
    >>> float(discriminator_loss("hinge", torch.tensor([2.0]), torch.tensor([-0.5])))
    0.5
    """
    if loss == "hinge":
        return relu(1 - real).mean() + relu(1 + generated).mean()
    if loss == "wasserstein":
        return generated.mean() - real.mean()
    if loss == "relativistic":
        return softplus(generated - real).mean()
    return softplus(-real).mean() + softplus(generated).mean()


def generator_loss(loss: str, real: Tensor | None, generated: Tensor) -> Tensor:
    """Mean loss of the generator; only the relativistic loss reads the real samples' logits."""
    if loss == "relativistic":
        return softplus(real - generated).mean()
    if loss == "nonsaturating":
        return softplus(-generated).mean()
    return -generated.mean()


def gradient_norms(discriminator: nn.Module, samples: Tensor) -> Tensor:
    """Squared norms of the gradient at each sample, differentiable, ``(sample,)``."""
    samples = samples.detach().requires_grad_(True)
    logits = discriminator(samples)
    (gradient,) = torch.autograd.grad(logits.sum(), samples, create_graph=True)
    return gradient.flatten(1).square().sum(1)


def regulariser_loss(
    recipe: GanRecipe,
    discriminator: nn.Module,
    real: Tensor,
    generated: Tensor,
    source: torch.Generator,
) -> Tensor:
    """The penalty of the recipe, its strength included."""
    if recipe.regulariser == "r1":
        return recipe.strength / 2 * gradient_norms(discriminator, real).mean()
    shape = (len(real), *[1] * (real.ndim - 1))
    share = torch.rand(shape, generator=source).to(real.device)
    between = share * real + (1 - share) * generated
    norms = (gradient_norms(discriminator, between) + 1e-12).sqrt()
    return recipe.strength * (norms - 1).square().mean()
