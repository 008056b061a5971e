"""Train a generator against a discriminator: loss and regulariser by name, for data of any shape.

What is drawn in a round (the order of the data, noise, dropout) follows from the seed and the
number of the round, so a training that was interrupted ends exactly like one that was not.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn.functional import relu, softplus

from dc2lib.cache import cache_path, plain, resume, write_checkpoint
from dc2lib.errors import DataError
from dc2lib.models.gan import draw_noise
from dc2lib.models.networks import frozen, torch_seed, weights_digest
from dc2lib.training.fit import default_device

LOSSES = ("nonsaturating", "hinge", "wasserstein", "relativistic")
REGULARISERS = ("none", "r1", "gradient_penalty")
ADAM_BETAS = (0.5, 0.99)
STATEFUL = (
    "generator", "discriminator", "averaged", "generator_optimizer", "discriminator_optimizer",
)  # fmt: skip

Quality = Callable[[nn.Module], Mapping[str, float]]


@dataclass(frozen=True)
class GanRecipe:
    """How a generator and a discriminator are trained, each by a step of Adam in turn.

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
    learning_rate, discriminator_learning_rate
        Both fall to zero over the second half of the steps.
    averaging
        Decay of the moving average of the generator's weights, a step; 0 for none.  The averaged
        generator is the result.
    """

    loss: str = "nonsaturating"
    regulariser: str = "r1"
    strength: float = 1.0
    regularise_every: int = 1
    steps: int = 2000
    batch_size: int = 64
    round_steps: int = 100  #: between two reports
    learning_rate: float = 1e-3
    discriminator_learning_rate: float = 1e-3
    averaging: float = 0.99

    def __post_init__(self) -> None:
        for value, known in ((self.loss, LOSSES), (self.regulariser, REGULARISERS)):
            if value not in known:
                raise ValueError(f"unknown {value!r} in the recipe: expected one of {known}")
        for name in ("regularise_every", "steps", "batch_size", "round_steps"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} in the recipe: expected at least 1")


@dataclass(frozen=True)
class GanFit:
    """A trained pair, in evaluation mode, and its history.

    ``history`` has a row a round: ``step``, ``discriminator_loss``, ``generator_loss``,
    ``penalty``, ``real_score`` and ``generated_score`` (mean logits of the discriminator), and
    what the quality function returned.
    """

    generator: nn.Module
    discriminator: nn.Module
    history: pd.DataFrame


def discriminator_loss(loss: str, real: Tensor, generated: Tensor) -> Tensor:
    """Mean loss of the discriminator for logits of real and generated samples.

    Examples
    --------
    >>> real, generated = torch.tensor([2.0]), torch.tensor([-0.5])
    >>> float(discriminator_loss("hinge", real, generated))
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
    """Mean loss of the generator; only the relativistic one reads ``real``."""
    if loss == "relativistic":
        return softplus(real - generated).mean()
    if loss == "nonsaturating":
        return softplus(-generated).mean()
    return -generated.mean()


def regulariser_loss(
    recipe: GanRecipe, discriminator: nn.Module, real: Tensor, generated: Tensor,
    source: torch.Generator,
) -> Tensor:  # fmt: skip
    """The recipe's penalty on the slope of the discriminator, its strength included."""
    if recipe.regulariser == "none":
        return torch.zeros((), device=real.device)
    if recipe.regulariser == "r1":
        return recipe.strength / 2 * squared_slopes(discriminator, real).mean()
    share = torch.rand((len(real), *[1] * (real.ndim - 1)), generator=source).to(real.device)
    between = share * real + (1 - share) * generated
    slopes = (squared_slopes(discriminator, between) + 1e-12).sqrt()
    return recipe.strength * (slopes - 1).square().mean()


def squared_slopes(discriminator: nn.Module, samples: Tensor) -> Tensor:
    """Squared norm of the gradient at each sample, differentiable."""
    samples = samples.detach().requires_grad_(True)
    (slope,) = torch.autograd.grad(
        discriminator(samples).sum(), samples, create_graph=True)
    return slope.flatten(1).square().sum(1)


def train_gan(
    generator: nn.Module,
    discriminator: nn.Module,
    data: np.ndarray | Tensor,
    *,
    recipe: GanRecipe,
    seed: int = 0,
    quality: Quality | None = None,
    device: str | torch.device | None = None,
    checkpoint: Path | str | None = None,
) -> GanFit:
    """Train a generative adversarial network, in place; no global random state changes.

    Parameters
    ----------
    generator
        Turns standard normal noise ``(sample, generator.n_latent)`` into samples of the data's
        shape.
    discriminator
        Turns samples into logits ``(sample,)`` or ``(sample, 1)``, positive for real ones.
    data
        Real samples ``(sample, ...)``, floats; or uint8, which is divided by 255 a batch at a time.
    seed
        Decides the order of the data, the noise and dropout; not the initial weights.
    quality
        Called with the averaged generator after each round; its numbers join the history.
    checkpoint
        A file that is written after every round; if it exists the training goes on from it.

    Raises
    ------
    DataError
        If there are fewer samples than one batch, the generator makes another shape, or the
        checkpoint belongs to other settings or data.
    FloatingPointError
        If a loss is not finite.
    """
    place = default_device(device)
    generator.to(place), discriminator.to(place)
    _check_data(generator, data, recipe, place)
    training = GanTraining(generator, discriminator, data, recipe, seed, checkpoint)
    while training.steps_done < recipe.steps:
        row = run_round(training, data, place)
        if quality is not None:
            row |= {k: float(v) for k, v in quality(training.averaged.eval()).items()}
        training.finish_round(row)
    generator.load_state_dict(training.averaged.state_dict())
    return GanFit(generator.eval(), discriminator.eval(), pd.DataFrame(training.rows))


def cached_gan(
    kind: str,
    networks: tuple[nn.Module, nn.Module],
    data: np.ndarray,
    *,
    recipe: GanRecipe,
    seed: int = 0,
    quality: Quality | None = None,
    home: Path | str | None = None,
) -> GanFit:
    """What `train_gan` gives, trained once for equal arguments; an interrupted training goes on.

    ``networks`` are generator and discriminator with their initial weights; ``quality`` is known by
    its ``digest``, if it has one; ``kind`` is a folder of the data folder, or of ``home``.
    """
    settings = {
        "recipe": recipe,
        "seed": seed,
        "quality": getattr(quality, "digest", None),
        "networks": [weights_digest(network) for network in networks],
        "data": data,
    }
    code = (__name__, *sorted({type(network).__module__ for network in networks}))
    path = cache_path(kind, settings, code=code, home=home, suffix=".pt")
    return train_gan(*networks, data, recipe=recipe, seed=seed, quality=quality, checkpoint=path)


class GanTraining:
    """Networks, optimizers and history of a training, written to a checkpoint after every round."""

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        data: np.ndarray | Tensor,
        recipe: GanRecipe,
        seed: int,
        checkpoint: Path | str | None,
    ) -> None:
        self.generator, self.discriminator = generator, discriminator
        self.recipe, self.seed = recipe, seed
        self.path = None if checkpoint is None else Path(checkpoint)
        settings = {**asdict(recipe), "seed": seed, "data": data}
        self.settings = plain(settings) if self.path else {}
        self.averaged = copy.deepcopy(generator)
        self.generator_optimizer = _adam(generator, recipe.learning_rate)
        self.discriminator_optimizer = _adam(discriminator, recipe.discriminator_learning_rate)
        self.steps_done = 0
        self.rows: list[dict[str, float]] = []
        resume(self.path, self.settings, self._restore)

    def step(self, real: Tensor, source: torch.Generator) -> dict[str, Tensor]:
        """One step of the discriminator, then one of the generator.

        ``source`` draws the noise.  Returns losses and mean logits.
        """
        recipe, discriminator = self.recipe, self.discriminator
        with torch.no_grad():
            generated = self.generator(self._noise(real, source))
        real_score = discriminator(real).flatten()
        generated_score = discriminator(generated).flatten()
        loss = discriminator_loss(recipe.loss, real_score, generated_score)
        penalty = torch.zeros_like(loss)
        if self.steps_done % recipe.regularise_every == 0:
            penalty = regulariser_loss(
                recipe, discriminator, real, generated, source)
        _descend(self.discriminator_optimizer,
                 loss + recipe.regularise_every * penalty)
        return {
            "discriminator_loss": loss.detach(),
            "penalty": penalty.detach(),
            "real_score": real_score.detach().mean(),
            "generated_score": generated_score.detach().mean(),
            "generator_loss": self.generator_step(real, source),
        }

    def generator_step(self, real: Tensor, source: torch.Generator) -> Tensor:
        """One step of the generator against the discriminator; its loss."""
        with frozen(self.discriminator):
            score = self.discriminator(
                self.generator(self._noise(real, source))).flatten()
            paired = self.recipe.loss == "relativistic"
            real_score = (self.discriminator(real).flatten().detach()
                          if paired else None)
            loss = generator_loss(self.recipe.loss, real_score, score)
            _descend(self.generator_optimizer, loss)
        self._average()
        return loss.detach()

    def set_learning_rates(self) -> None:
        """Both rates as they are in the recipe, falling to zero over the second half."""
        share = min(1.0, 2 * (1 - self.steps_done / self.recipe.steps))
        for optimizer in (self.generator_optimizer, self.discriminator_optimizer):
            for group in optimizer.param_groups:
                group["lr"] = group["initial_lr"] * share

    def finish_round(self, row: dict[str, float]) -> None:
        """Note a round and write the checkpoint."""
        if not np.isfinite(row["discriminator_loss"] + row["generator_loss"]):
            raise FloatingPointError(
                f"the losses of the round that ended with step {self.steps_done} are "
                f"{row['discriminator_loss']} and {row['generator_loss']}: lower the learning "
                "rates or strengthen the regulariser"
            )
        self.rows.append(row)
        if self.path is not None:
            state = {name: getattr(self, name).state_dict() for name in STATEFUL}
            state |= {"steps_done": self.steps_done, "rows": self.rows}
            write_checkpoint(self.path, self.settings, state)

    def _noise(self, real: Tensor, source: torch.Generator) -> Tensor:
        return draw_noise(len(real), self.generator.n_latent, source).to(real.device)

    @torch.no_grad()
    def _average(self) -> None:
        """Move the averaged weights towards the generator's; buffers are taken over."""
        done = self.steps_done + 1
        decay = min(self.recipe.averaging, done / (done + 10))
        own = self.generator.state_dict()
        learned = {name for name, _ in self.generator.named_parameters()}
        for name, value in self.averaged.state_dict().items():
            if name in learned:
                value.lerp_(own[name], 1 - decay)
            else:
                value.copy_(own[name])

    def _restore(self, saved: dict[str, Any]) -> None:
        for name in STATEFUL:
            getattr(self, name).load_state_dict(saved[name])
        self.steps_done, self.rows = saved["steps_done"], saved["rows"]


def _adam(network: nn.Module, rate: float) -> torch.optim.Optimizer:
    weights = [{"params": list(network.parameters()), "initial_lr": rate}]
    return torch.optim.Adam(weights, lr=rate, betas=ADAM_BETAS, fused=True)


def _descend(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def run_round(
    training: GanTraining, data: np.ndarray | Tensor, device: torch.device
) -> dict[str, float]:
    """The steps of one round: the mean of what each returned."""
    recipe, key = training.recipe, (training.seed, len(training.rows))
    number = np.random.SeedSequence(key).generate_state(1)[0].item()
    source = torch.Generator().manual_seed(number)
    steps = min(recipe.round_steps, recipe.steps - training.steps_done)
    order = _order(len(data), steps * recipe.batch_size, key).reshape(steps, recipe.batch_size)
    training.generator.train(), training.discriminator.train()
    totals: dict[str, Tensor] = {}
    with torch_seed(number, device):
        for rows in order:
            training.set_learning_rates()
            row = training.step(_as_float(data, np.sort(rows), device), source)
            training.steps_done += 1
            totals = {name: totals.get(name, 0.0) + value for name, value in row.items()}
    means = {name: float(value) / steps for name, value in totals.items()}
    return {"step": training.steps_done, **means}


def _order(n: int, wanted: int, key: tuple[int, ...]) -> np.ndarray:
    """Indices of ``wanted`` samples: whole passes in random order, the last one cut."""
    rng = np.random.default_rng(key)
    passes = [rng.permutation(n) for _ in range(-(-wanted // n))]
    return np.concatenate(passes)[:wanted]


def _as_float(data: np.ndarray | Tensor, rows: np.ndarray, device: torch.device) -> Tensor:
    chosen = torch.as_tensor(data[rows])
    scale = 1 / 255 if chosen.dtype == torch.uint8 else 1.0
    return chosen.to(device).float().mul_(scale)


def _check_data(
    generator: nn.Module, data: np.ndarray | Tensor, recipe: GanRecipe, device: torch.device
) -> None:
    if len(data) < recipe.batch_size:
        raise DataError(
            f"{len(data)} real samples are fewer than one batch ({recipe.batch_size}): give more "
            "samples or a smaller batch_size"
        )
    was_training = generator.training
    with torch.inference_mode():
        made = generator.eval()(torch.zeros(2, generator.n_latent, device=device)).shape[1:]
    generator.train(was_training)
    if tuple(made) != tuple(data.shape[1:]):
        raise DataError(
            f"the generator makes samples of shape {tuple(made)}, the data have "
            f"{tuple(data.shape[1:])}: expected the same"
        )
