"""A small generator and discriminator of 28 x 28 images."""

from __future__ import annotations

from torch import Tensor, nn

from dc2lib.models.networks import initial_weights

SIDE = 28
N_LATENT = 64


class MnistGenerator(nn.Module):
    """Latents ``(sample, latent)`` to images ``(sample, 1, 28, 28)`` with pixels in [0, 1].

    Parameters
    ----------
    n_latent
        Length of a latent.
    width
        Channels at 14 x 14 pixels; twice as many at 7 x 7.
    """

    def __init__(self, n_latent: int = N_LATENT, width: int = 16) -> None:
        super().__init__()
        self.n_latent = n_latent
        self.layers = nn.Sequential(
            nn.Linear(n_latent, 2 * width * 49, bias=False),
            nn.Unflatten(1, (2 * width, 7, 7)),
            nn.BatchNorm2d(2 * width),
            nn.ReLU(),
            nn.ConvTranspose2d(2 * width, width, 4, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.ConvTranspose2d(width, 1, 4, stride=2, padding=1),
            nn.Sigmoid(),
        )

    def forward(self, z: Tensor) -> Tensor:
        """Images ``(sample, 1, 28, 28)``."""
        return self.layers(z)


class MnistDiscriminator(nn.Module):
    """Images ``(sample, 1, 28, 28)`` to logits ``(sample,)``, positive for real images.

    The hidden layer over the whole image lets it judge how strokes fit together; without it the
    generator draws strokes that make no digit.
    """

    def __init__(self, width: int = 16, hidden: int = 128) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, width, 5, stride=2, padding=2),
            nn.LeakyReLU(0.2),
            nn.Conv2d(width, 2 * width, 3, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Flatten(),
            nn.Linear(2 * width * 49, hidden),
            nn.LeakyReLU(0.2),
            nn.Linear(hidden, 1),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``(sample,)``."""
        return self.layers(images).squeeze(1)


def build_mnist_gan(
    seed: int = 0, *, n_latent: int = N_LATENT, width: int = 16, hidden: int = 128
) -> tuple[MnistGenerator, MnistDiscriminator]:
    """A freshly initialised pair; the global random state is left untouched."""
    with initial_weights(seed):
        return MnistGenerator(n_latent, width), MnistDiscriminator(width, hidden)
