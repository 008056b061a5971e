"""Generative adversarial networks: training for data of any shape, and networks for digits."""

from dc2lib.gan.mnist import MnistDiscriminator, MnistGenerator, build_mnist_gan
from dc2lib.gan.training import (
    LOSSES,
    REGULARISERS,
    GanFit,
    GanRecipe,
    discriminator_loss,
    generate,
    generator_loss,
    train_gan,
)

__all__ = [
    "LOSSES",
    "REGULARISERS",
    "GanFit",
    "GanRecipe",
    "MnistDiscriminator",
    "MnistGenerator",
    "build_mnist_gan",
    "discriminator_loss",
    "generate",
    "generator_loss",
    "train_gan",
]
