"""Generative adversarial networks: training for any shape of data, networks of digits and marks."""

from dc2lib.gan.histone import (
    HistoneDiscriminator,
    HistoneGenerator,
    build_histone_gan,
    counts_to_signals,
    signals_to_counts,
)
from dc2lib.gan.losses import (
    LOSSES,
    REGULARISERS,
    GanRecipe,
    discriminator_loss,
    generator_loss,
)
from dc2lib.gan.mnist import MnistDiscriminator, MnistGenerator, build_mnist_gan
from dc2lib.gan.training import GanFit, generate, train_gan

__all__ = [
    "LOSSES",
    "REGULARISERS",
    "GanFit",
    "GanRecipe",
    "HistoneDiscriminator",
    "HistoneGenerator",
    "MnistDiscriminator",
    "MnistGenerator",
    "build_histone_gan",
    "build_mnist_gan",
    "counts_to_signals",
    "discriminator_loss",
    "generate",
    "generator_loss",
    "signals_to_counts",
    "train_gan",
]
