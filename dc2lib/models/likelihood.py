"""A generator of histone signals with a likelihood: bin after bin, and in a bin mark after mark.

A recurrent network reads what lies behind, and for each mark in turn gives a probability to every
class of counts.  So the probability of a signal is known and training is maximum likelihood; and
sampling draws each count from its distribution, by a number of the noise.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import log_softmax, pad, relu

from dc2lib.errors import DataError
from dc2lib.models.networks import initial_weights

N_CLASSES = 33
LAGS = 3  # bins behind that are read as they are; the state remembers the others
MOSTLY = 0.5  # values above 0 that equal the one before: peaks, not reads
STAY = 4.0  # logit with which a peak goes on, before training
AT_ONCE = 256  # samples drawn at once, always so many: rounding does not depend on the batch


class HistoneLikelihood(nn.Module):
    """Signals ``(sample, mark, bin)`` with a likelihood, and from standard normal noise.

    ``starts`` holds the first count of each class, int64 ``(mark, class + 1)``, and at last one
    more than the largest count (see `count_classes`); within a class all counts are equally likely.
    ``step`` is what a count of one stands for: 1 read, or a part of a peak's signal.  With
    ``stays``, for peaks that hold one value over many bins, the class of the bin before adds to the
    logits.
    """

    def __init__(
        self,
        starts: Tensor,
        n_bins: int = 100,
        step: float = 1.0,
        hidden: int = 128,
        head: int = 64,
        stays: bool = False,
    ) -> None:
        super().__init__()
        n_marks, n_classes = len(starts), starts.shape[1] - 1
        self.shape, self.n_latent = (n_marks, n_bins), n_marks * n_bins
        self.position = nn.Parameter(torch.randn(n_bins, 8) / 2)
        self.gru = nn.GRU(n_marks * (LAGS + 1) + 8, hidden, batch_first=True)
        self.inner = nn.Linear(hidden, n_marks * head)
        self.context = nn.Parameter(torch.randn(n_marks, 2 * n_marks, head) / 8)
        self.outer = nn.Parameter(torch.randn(n_marks, head, n_classes) / head**0.5)
        self.bias = nn.Parameter(torch.zeros(n_marks, n_classes))
        if stays:
            self.stay = nn.Parameter(STAY * torch.eye(n_classes).repeat(n_marks, 1, 1))
        self.register_buffer("starts", starts)
        self.register_buffer("step", torch.tensor(float(step)))
        self.register_buffer("earlier", torch.ones(n_marks, n_marks).tril(-1).repeat(1, 2))

    def log_likelihood(self, signals: Tensor) -> Tensor:
        """Natural logarithm of the probability of each signal, ``(sample,)``."""
        signals = signals.transpose(1, 2)
        states, _ = self.gru(self.behind(signals))
        inner = self.inner(states).unflatten(2, (self.shape[0], -1))
        inner = inner + torch.einsum(
            "sbk,mkh->sbmh", self.now(signals), self.visible())
        logits = torch.einsum(
            "sbmh,mhc->sbmc", relu(inner), self.outer) + self.open()
        classes = self.classes(signals)
        logits = logits + self.staying(pad(signals[:, :-1], (0, 0, 1, 0)))
        widths = self.starts.diff()[torch.arange(self.shape[0]), classes]
        chosen = log_softmax(logits, 3).gather(3, classes.unsqueeze(3)).squeeze(3)
        return (chosen - widths.log()).sum((1, 2))

    @torch.no_grad()
    def forward(self, noise: Tensor) -> Tensor:
        """Signals of standard normal noise ``(sample, n_latent)``."""
        parts = [self.draw(pad(part, (0, 0, 0, AT_ONCE - len(part))))[: len(part)]
                 for part in noise.split(AT_ONCE)]
        return torch.cat(parts)

    def draw(self, noise: Tensor) -> Tensor:
        """One count after the other, by the inverse of its distribution."""
        n_marks, n_bins = self.shape
        share = torch.special.ndtr(noise).view(-1, n_bins, n_marks)
        made = noise.new_zeros(len(noise), LAGS + n_bins, n_marks)
        state = noise.new_zeros(len(noise), self.gru.hidden_size)
        total, visible, open_ = made[:, 0].clone(), self.visible(), self.open()
        for place in range(n_bins):
            last = made[:, place : place + LAGS].flatten(1)
            where = self.position[place].expand(len(noise), -1)
            seen = torch.cat([last, total / max(place, 1), where], 1)
            state = torch.gru_cell(seen, state, *self.gru.all_weights[0])
            inner = self.inner(state).unflatten(1, (n_marks, -1))
            here = made[:, LAGS + place]
            stay = self.staying(made[:, LAGS + place - 1 : LAGS + place])[:, 0]
            for mark in range(n_marks):
                hidden = relu(inner[:, mark] + self.now(here) @ visible[mark])
                chances = (hidden @ self.outer[mark] + open_[mark] + stay[:, mark]).softmax(1)
                counts = inverse_distribution(chances, self.starts[mark], share[:, place, mark])
                here[:, mark] = torch.log1p(counts * self.step)
            total += here
        return made[:, LAGS:].transpose(1, 2)

    def behind(self, signals: Tensor) -> Tensor:
        """What is known at each bin of ``(sample, bin, mark)``: bins behind, their mean, place."""
        n, n_bins, _ = signals.shape
        late = pad(signals, (0, 0, LAGS, 0))
        last = [late[:, lag : lag + n_bins] for lag in range(LAGS)]
        count = torch.arange(n_bins, device=signals.device).clamp(min=1).unsqueeze(1)
        mean = pad(signals.cumsum(1)[:, :-1], (0, 0, 1, 0)) / count
        return torch.cat([*last, mean, self.position.expand(n, -1, -1)], 2)

    def staying(self, before: Tensor) -> Tensor:
        """What the bins before ``(sample, bin, mark)`` add to the logits of classes."""
        if not hasattr(self, "stay"):
            return before.new_zeros(1, 1, self.shape[0], 1)
        return self.stay[torch.arange(self.shape[0]), self.classes(before)]

    def now(self, signals: Tensor) -> Tensor:
        """Marks of the same bin as a mark sees them: their signal, and whether there is any."""
        return torch.cat([signals, (signals > 0).to(signals.dtype)], -1)

    def visible(self) -> Tensor:
        """Weights on the marks of the same bin, zero for those that are drawn later."""
        return self.context * self.earlier.unsqueeze(2)

    def open(self) -> Tensor:
        """Bias of each class ``(mark, class)``; a class that a mark does not have is shut."""
        return self.bias.masked_fill(self.starts.diff() == 0, -1e9)

    def classes(self, signals: Tensor) -> Tensor:
        """Class of each bin and mark of ``(sample, bin, mark)``; beyond the largest, the last."""
        counts = torch.round(torch.expm1(signals) / self.step).long()
        counts = counts.minimum(self.starts[:, -1] - 1).movedim(-1, 0).contiguous()
        places = torch.searchsorted(self.starts, counts.flatten(1), right=True) - 1
        return places.view_as(counts).movedim(0, -1)


def inverse_distribution(chances: Tensor, starts: Tensor, share: Tensor) -> Tensor:
    """Counts below which a share of the distribution lies, int64 ``(sample,)``.

    ``chances`` of the classes ``(sample, class)`` need not sum to one exactly: a rounded sum below
    1 would give the largest class to shares above it, so the share is one of the sum.
    """
    below = chances.cumsum(1)
    target = (share * below[:, -1]).unsqueeze(1)
    chosen = (below < target).sum(1, keepdim=True)
    chance = chances.gather(1, chosen)
    inside = ((target - below.gather(1, chosen)) / chance + 1).clamp(0, 1 - 1e-6)
    first, end = starts[chosen], starts[chosen + 1]
    return (first + (inside * (end - first)).long()).squeeze(1)


def count_classes(largest: int, n_classes: int = N_CLASSES) -> np.ndarray:
    """First count of each class and, at last, ``largest + 1``, int64 ``(n_classes + 1,)``.

    Small counts have a class each, large ones share classes that grow by the same factor, the first
    of them one or two counts wide; where there are fewer counts than classes, the last are empty.

    Examples
    --------
    >>> count_classes(9, 6).tolist(), count_classes(2, 4).tolist()
    ([0, 1, 2, 3, 4, 6, 10], [0, 1, 2, 3, 3])
    """
    end = largest + 1
    for exact in range(min(n_classes, end), 0, -1):
        if exact == end:
            return np.r_[np.arange(end), np.full(n_classes - exact + 1, end)]
        wide = np.rint(np.geomspace(exact, end, n_classes - exact + 1)).astype(int)
        if exact < n_classes and 0 < np.diff(wide).min() <= wide[1] - wide[0] <= 2:
            return np.r_[np.arange(exact), wide]
    raise DataError(f"counts up to {largest} do not fit into {n_classes} classes")


def step_of(values: np.ndarray) -> float:
    """What a count of one stands for: 1 where all values are whole, else a tenth of the median.

    The median is that of the values above 0, such as the signal of peaks.
    """
    if np.allclose(values, np.rint(values), rtol=1e-5, atol=1e-4):
        return 1.0
    return float(np.median(values[values > 0]) / 10)


def histone_likelihood_for(
    signals: np.ndarray, seed: int = 0, hidden: int = 128
) -> HistoneLikelihood:
    """A new model for these signals ``(gene, mark, bin)``: shape, unit, largest count a mark."""
    values = np.expm1(signals.astype(np.float64))
    step = step_of(values)
    largest = np.rint(values.max((0, 2)) / step).astype(int)
    starts = torch.from_numpy(np.stack([count_classes(int(one)) for one in largest]))
    equal = (signals[..., 1:] == signals[..., :-1])[signals[..., 1:] > 0]
    with initial_weights(seed):
        return HistoneLikelihood(starts, signals.shape[2], step, hidden,
                                 stays=bool(equal.mean() > MOSTLY))
