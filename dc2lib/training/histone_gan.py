"""GANs of histone signals that are trained once and kept in the data folder."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from dc2lib.models.gan import build_histone_gan
from dc2lib.training.checkpoints import checkpoint_path
from dc2lib.training.gan import GanFit, Quality, train_gan
from dc2lib.training.gan_losses import GanRecipe


def kept_histone_gan(
    signals: np.ndarray,
    *,
    recipe: GanRecipe,
    seed: int = 0,
    width: int = 16,
    quality: Quality | None = None,
    select: str | None = None,
    home: Path | str | None = None,
    progress: bool = False,
) -> GanFit:
    """A GAN of histone signals, trained once for equal arguments and kept in the data folder.

    It is written after every round, so an interrupted training goes on; the quality function is
    known by its ``key`` if it has an attribute of that name.
    """
    settings = {
        "recipe": recipe,
        "seed": seed,
        "width": width,
        "select": select,
        "quality": getattr(quality, "key", None),
        "signals": hashlib.sha256(np.ascontiguousarray(signals).tobytes()).hexdigest(),
    }
    n_marks, n_bins = signals.shape[1:]
    largest = int(np.rint(np.expm1(np.float64(signals.max()))))
    return train_gan(
        *build_histone_gan(
            seed, n_marks=n_marks, n_bins=n_bins, width=width, largest_count=largest
        ),
        signals,
        recipe=recipe,
        seed=seed,
        quality=quality,
        select=select,
        checkpoint=checkpoint_path("histone_gans/gan", settings, __name__, home),
        progress=progress,
    )
