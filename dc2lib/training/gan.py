"""Train a generator against a discriminator: loss and regulariser by name, for data of any shape.

What is drawn in a round (the order of the data, latents, dropout) follows from the seed and the
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
from tqdm import tqdm

from dc2lib.errors import DataError
from dc2lib.models.networks import apply_in_batches, frozen
from dc2lib.training.checkpoints import resume, write_checkpoint
from dc2lib.training.fit import default_device
from dc2lib.training.gan_losses import (
    GanRecipe,
    discriminator_loss,
    generator_loss,
    regulariser_loss,
)

Quality = Callable[[nn.Module], Mapping[str, float]]


@dataclass(frozen=True)
class GanFit:
    """A trained pair, in evaluation mode, and how it came about.

    ``history`` has a row a round: ``step``, ``discriminator_loss``, ``generator_loss``,
    ``penalty``, ``real_score`` and ``generated_score`` (mean logits of the discriminator), and
    what the quality function returned.  The generator is that of the round ``best_round`` and the
    discriminator that of the same round.
    """

    generator: nn.Module
    discriminator: nn.Module
    history: pd.DataFrame
    best_round: int
    recipe: GanRecipe
    seed: int


def train_gan(
    generator: nn.Module,
    discriminator: nn.Module,
    data: np.ndarray | Tensor,
    *,
    recipe: GanRecipe | None = None,
    seed: int = 0,
    quality: Quality | None = None,
    select: str | None = None,
    device: str | torch.device | None = None,
    checkpoint: Path | str | None = None,
    progress: bool = False,
) -> GanFit:
    """Train a generative adversarial network.

    Parameters
    ----------
    generator
        Turns standard normal latents ``(sample, generator.n_latent)`` into samples of the data's
        shape; trained in place.
    discriminator
        Turns samples into logits ``(sample,)`` or ``(sample, 1)``, positive for real ones; trained
        in place.
    data
        Real samples ``(sample, ...)``, floats; or uint8, which is divided by 255 a batch at a time.
    recipe
        Default `GanRecipe`.
    seed
        Decides the order of the data, the latents and dropout; not the initial weights.
    quality
        Called with the averaged generator after each round; its numbers join the history.
    select
        The entry of the history by which the best round is kept, the lowest being best; by default
        the last round is kept.
    checkpoint
        A file that is written after every round; if it exists the training goes on from it.
    progress
        Show a bar with the latest losses.

    Raises
    ------
    DataError
        If there are fewer samples than one batch, the generator makes another shape, ``select`` is
        not in the history, or the checkpoint belongs to other settings.
    FloatingPointError
        If a loss is not finite.

    Notes
    -----
    The global random state is left as it was.
    """
    recipe = recipe or GanRecipe()
    place = default_device(device)
    generator.to(place), discriminator.to(place)
    _check_data(generator, data, recipe, place)
    state = _State.start(generator, discriminator, recipe, seed, select, checkpoint)
    with tqdm(total=recipe.steps, initial=state.step, disable=not progress) as bar:
        while state.step < recipe.steps:
            before = state.step
            row = _run_round(state, data, place)
            if quality is not None:
                row |= {name: float(v) for name, v in quality(state.averaged.eval()).items()}
            state.finish_round(row)
            bar.update(state.step - before)
            bar.set_postfix(d=f"{row['discriminator_loss']:.2f}", g=f"{row['generator_loss']:.2f}")
    return state.result()


def draw_latents(n: int, n_latent: int, source: torch.Generator) -> Tensor:
    """Standard normal latents, float32 ``(n, n_latent)``."""
    return torch.randn(n, n_latent, generator=source)


def generate(
    generator: nn.Module, n: int, *, seed: int = 0, batch_size: int = 256
) -> np.ndarray:
    """Samples of a generator in evaluation mode, float32 ``(n, ...)``."""
    source = torch.Generator().manual_seed(seed)
    return apply_in_batches(generator, draw_latents(n, generator.n_latent, source), batch_size)


def _run_round(state: _State, data: np.ndarray | Tensor, device: torch.device) -> dict[str, float]:
    recipe = state.recipe
    key = np.random.SeedSequence((state.seed, len(state.rows))).generate_state(1)[0].item()
    source = torch.Generator().manual_seed(key)
    totals = dict.fromkeys(
        ("discriminator_loss", "generator_loss", "penalty", "real_score", "generated_score"), 0.0
    )
    steps = min(recipe.round_steps, recipe.steps - state.step)
    order = _order(len(data), steps * recipe.batch_size, (state.seed, len(state.rows)))
    state.generator.train(), state.discriminator.train()
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(key)
        for number in range(steps):
            rows = np.sort(order[number * recipe.batch_size : (number + 1) * recipe.batch_size])
            real = _as_float(data, rows, device)
            for name, value in _step(state, real, source).items():
                totals[name] += value
    return {"step": state.step, **{name: float(v) / steps for name, v in totals.items()}}


def _step(state: _State, real: Tensor, source: torch.Generator) -> dict[str, Tensor]:
    recipe, discriminator = state.recipe, state.discriminator
    state.set_learning_rates()
    z = draw_latents(len(real), state.generator.n_latent, source).to(real.device)
    with torch.no_grad():
        generated = state.generator(z)
    real_score = discriminator(real).flatten()
    generated_score = discriminator(generated).flatten()
    loss = discriminator_loss(recipe.loss, real_score, generated_score)
    penalty = torch.zeros((), device=real.device)
    if recipe.regulariser != "none" and state.step % recipe.regularise_every == 0:
        penalty = regulariser_loss(recipe, discriminator, real, generated, source)
    state.discriminator_optimizer.zero_grad()
    (loss + recipe.regularise_every * penalty).backward()
    state.discriminator_optimizer.step()
    values = {
        "discriminator_loss": loss.detach(),
        "penalty": penalty.detach(),
        "real_score": real_score.detach().mean(),
        "generated_score": generated_score.detach().mean(),
    }
    if (state.step + 1) % recipe.discriminator_steps == 0:
        values["generator_loss"] = _generator_step(state, real, source)
    state.step += 1
    return values


def _generator_step(state: _State, real: Tensor, source: torch.Generator) -> Tensor:
    z = draw_latents(len(real), state.generator.n_latent, source).to(real.device)
    with frozen(state.discriminator):
        generated_score = state.discriminator(state.generator(z)).flatten()
        real_score = None
        if state.recipe.loss == "relativistic":
            real_score = state.discriminator(real).flatten().detach()
        loss = generator_loss(state.recipe.loss, real_score, generated_score)
        state.generator_optimizer.zero_grad()
        loss.backward()
    state.generator_optimizer.step()
    state.average()
    return loss.detach()


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


class _State:
    """Networks, optimizers and history of a training, kept in the checkpoint after every round."""

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        recipe: GanRecipe,
        seed: int,
        select: str | None,
        path: Path | None,
    ) -> None:
        self.generator, self.discriminator = generator, discriminator
        self.recipe, self.seed, self.select, self.path = recipe, seed, select, path
        self.averaged = copy.deepcopy(generator)
        self.generator_optimizer = _adam(generator, recipe, recipe.learning_rate)
        self.discriminator_optimizer = _adam(
            discriminator, recipe, recipe.discriminator_learning_rate
        )
        self.step = 0
        self.rows: list[dict[str, float]] = []
        self.best_round = -1
        self.best: dict[str, dict[str, Tensor]] = {}

    @classmethod
    def start(
        cls,
        generator: nn.Module,
        discriminator: nn.Module,
        recipe: GanRecipe,
        seed: int,
        select: str | None,
        checkpoint: Path | str | None,
    ) -> _State:
        path = None if checkpoint is None else Path(checkpoint)
        state = cls(generator, discriminator, recipe, seed, select, path)
        resume(path, state.settings, state._restore)
        return state

    @property
    def settings(self) -> dict[str, Any]:
        return {**asdict(self.recipe), "seed": self.seed, "select": self.select}

    def set_learning_rates(self) -> None:
        done = self.step / self.recipe.steps
        factor = 1.0 if self.recipe.schedule == "constant" else min(1.0, 2 * (1 - done))
        for group in self.generator_optimizer.param_groups:
            group["lr"] = self.recipe.learning_rate * factor
        for group in self.discriminator_optimizer.param_groups:
            group["lr"] = self.recipe.discriminator_learning_rate * factor

    @torch.no_grad()
    def average(self) -> None:
        """Move the averaged weights towards the generator's; buffers are taken over."""
        done = (self.step + 1) // self.recipe.discriminator_steps
        decay = min(self.recipe.averaging, done / (done + 10))
        own = self.generator.state_dict()
        learned = {name for name, _ in self.generator.named_parameters()}
        for name, value in self.averaged.state_dict().items():
            if name in learned:
                value.lerp_(own[name], 1 - decay)
            else:
                value.copy_(own[name])

    def finish_round(self, row: dict[str, float]) -> None:
        if not np.isfinite(row["discriminator_loss"] + row["generator_loss"]):
            raise FloatingPointError(
                f"the losses of the round that ended with step {self.step} are "
                f"{row['discriminator_loss']} and {row['generator_loss']}: lower the learning "
                "rates or strengthen the regulariser"
            )
        row["step"] = self.step
        if self.select is not None and self.select not in row:
            raise DataError(
                f"select={self.select!r} is not in the history: it has {', '.join(row)}"
            )
        best = min((r[self.select] for r in self.rows), default=np.inf) if self.select else np.inf
        if self.select is None or row[self.select] < best or self.best_round < 0:
            self.best_round = len(self.rows)
            self.best = {
                "generator": _copy(self.averaged),
                "discriminator": _copy(self.discriminator),
            }
        self.rows.append(row)
        if self.path is not None:
            parts = {name: getattr(self, name).state_dict() for name in STATEFUL}
            values = {name: getattr(self, name) for name in PLAIN}
            write_checkpoint(self.path, self.settings, {**values, **parts})

    def result(self) -> GanFit:
        self.generator.load_state_dict(self.best["generator"])
        self.discriminator.load_state_dict(self.best["discriminator"])
        return GanFit(
            self.generator.eval(),
            self.discriminator.eval(),
            pd.DataFrame(self.rows),
            self.best_round,
            self.recipe,
            self.seed,
        )

    def _restore(self, saved: dict[str, Any]) -> None:
        for name in STATEFUL:
            getattr(self, name).load_state_dict(saved[name])
        for name in PLAIN:
            setattr(self, name, saved[name])


PLAIN = ("step", "rows", "best_round", "best")
STATEFUL = (
    "generator",
    "discriminator",
    "averaged",
    "generator_optimizer",
    "discriminator_optimizer",
)


def _adam(module: nn.Module, recipe: GanRecipe, rate: float) -> torch.optim.Optimizer:
    return torch.optim.Adam(
        module.parameters(), lr=rate, betas=(recipe.beta1, recipe.beta2), fused=True
    )


def _copy(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in module.state_dict().items()}
