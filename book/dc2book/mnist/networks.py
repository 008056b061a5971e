"""Networks of 28 x 28 images: DeepChrome's twin, another classifier to judge with, and a GAN.

Images are float32 ``(image, 1, 28, 28)`` with pixels in [0, 1].
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from dc2lib.models.deepchrome import DROPOUT, HIDDEN, POOL_WIDTH
from dc2lib.models.networks import initial_weights

SIDE = 28
N_DIGITS = 10
N_LATENT = 64
FILTERS = 56
KERNEL = (8, 9)


def as_pixels(images: np.ndarray) -> Tensor:
    """Images uint8 ``(image, 28, 28)`` as float32 ``(image, 1, 28, 28)`` in [0, 1]."""
    return torch.from_numpy(np.asarray(images)).unsqueeze(1).float().div_(255)


class DeepChromeMNIST(nn.Module):
    """DeepChrome's layers over images instead of signals: 644,223 parameters.

    Convolution (56 filters of 8 x 9 pixels), ReLU, max-pooling of 5 x 5, dropout, and DeepChrome's
    two hidden layers.  No other number of filters with a square kernel, or one pixel off square,
    comes nearer to the 644,177 parameters of `dc2lib.models.deepchrome.DeepChrome`.  Section 3.1
    of DeepChrome 2.0.
    """

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(1, FILTERS, KERNEL)
        self.dropout = nn.Dropout(DROPOUT)
        height, width = ((SIDE - side + 1) // POOL_WIDTH for side in KERNEL)
        self.hidden1 = nn.Linear(height * width * FILTERS, HIDDEN[0])
        self.hidden2 = nn.Linear(*HIDDEN)
        self.output = nn.Linear(HIDDEN[1], N_DIGITS)

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``(image, 10)``."""
        return self.output(self.features(images))

    def features(self, images: Tensor) -> Tensor:
        """Activations of the last hidden layer, ``(image, 125)``."""
        pooled = torch.relu(nn.functional.max_pool2d(
            self.convolution(images), POOL_WIDTH))
        hidden = torch.relu(self.hidden1(self.dropout(pooled.flatten(1))))
        return torch.relu(self.hidden2(hidden))


class DigitJudge(nn.Module):
    """Two strided convolutions with smooth activations and no pooling: 237,898 parameters.

    Another architecture than `DeepChromeMNIST` on purpose: what fools the one need not fool the
    other.
    """

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 24, 5, stride=2, padding=2),
            nn.SiLU(),
            nn.Conv2d(24, 48, 3, stride=2, padding=1),
            nn.SiLU(),
            nn.Flatten(),
            nn.Linear(48 * 49, 96),
            nn.SiLU(),
        )
        self.output = nn.Linear(96, N_DIGITS)

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``(image, 10)``."""
        return self.output(self.body(images))

    def features(self, images: Tensor) -> Tensor:
        """Activations of the last hidden layer, ``(image, 96)``."""
        return self.body(images)


class DigitGenerator(nn.Module):
    """Noise ``(image, n_latent)`` to images; ``width`` channels at 14 x 14, twice at 7 x 7."""

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

    def forward(self, noise: Tensor) -> Tensor:
        """Images ``(image, 1, 28, 28)``."""
        return self.layers(noise)


class DigitDiscriminator(nn.Module):
    """Images to logits ``(image,)``, positive for real images.

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
        """Logits ``(image,)``."""
        return self.layers(images).squeeze(1)


class RealOrNot(DigitDiscriminator):
    """A wider discriminator with two classes, not real and real, to be trained by itself.

    It sees what generated digits have and real ones lack far better than `DigitJudge` does.
    """

    def __init__(self, width: int = 32, hidden: int = 128) -> None:
        super().__init__(width, hidden)
        self.layers[-1] = nn.Linear(hidden, 2)

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``(image, 2)``."""
        return self.layers(images)


DIGIT_CLASSIFIERS = {
    "mnist_classifier": DeepChromeMNIST, "digit_judge": DigitJudge, "real_or_not": RealOrNot,
}  # fmt: skip


def build_digit_classifier(name: str, seed: int = 0) -> nn.Module:
    """A new one of `DIGIT_CLASSIFIERS`; the global random state is left untouched.

    Raises ValueError if the name is unknown.
    """
    if name not in DIGIT_CLASSIFIERS:
        raise ValueError(f"unknown model {name!r}: expected one of {', '.join(DIGIT_CLASSIFIERS)}")
    with initial_weights(seed):
        return DIGIT_CLASSIFIERS[name]()


def build_digit_gan(
    seed: int = 0, *, width: int = 16, hidden: int = 128
) -> tuple[DigitGenerator, DigitDiscriminator]:
    """A new generator and discriminator; the global random state is left untouched."""
    with initial_weights(seed):
        return DigitGenerator(width=width), DigitDiscriminator(width, hidden)
