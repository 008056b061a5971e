"""AttentiveChrome: an LSTM a mark with attention over bins, and attention over marks.

Source: Singh et al. 2017, Attend and Predict, NeurIPS 30 (doi:10.48550/arXiv.1708.00339).  The
description gives five core marks over 100 bins of 100 bp around the TSS, the same input as
DeepChrome, so nothing is missing here.  The description trains for up to 100 epochs; here an epoch
costs several of the network's, and the budget says how many there are.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from dc2lib.baselines.contract import Fitted, Genes, Setting
from dc2lib.baselines.network import fit_network
from dc2lib.models.networks import device_of
from dc2lib.signals import to_signal

CANDIDATES: tuple[Setting, ...] = (
    {"learning_rate": 2e-3},
    {"learning_rate": 1e-3},
    {"learning_rate": 4e-3},
)


def remember_at_first(lstm: nn.LSTM) -> None:
    """Raise the forget gates' bias by 1, so that what is read at one bin lasts over many."""
    units = lstm.hidden_size
    for name, bias in lstm.named_parameters():
        if name.startswith("bias_ih"):
            with torch.no_grad():
                bias[units : 2 * units] += 1


class AttentiveChrome(nn.Module):
    """Bidirectional LSTM a mark, attention over its bins, LSTM over marks, attention over marks.

    Parameters
    ----------
    n_marks, n_bins
        Shape of one signal; 5 and 100 in the released data.
    hidden
        Units of each direction of the LSTMs over bins; the LSTM over marks has half as many.
    channels
        Numbers a bin; more than one where several cell types are read side by side.
    """

    def __init__(
        self, n_marks: int = 5, n_bins: int = 100, hidden: int = 32, channels: int = 1
    ) -> None:
        super().__init__()
        self.n_bins = n_bins
        self.over_bins = nn.ModuleList(
            nn.LSTM(channels, hidden, batch_first=True, bidirectional=True) for _ in range(n_marks)
        )
        self.bin_context = nn.Parameter(torch.empty(n_marks, 2 * hidden).uniform_(-0.1, 0.1))
        self.over_marks = nn.LSTM(2 * hidden, hidden // 2, batch_first=True, bidirectional=True)
        self.mark_context = nn.Parameter(torch.empty(hidden).uniform_(-0.1, 0.1))
        self.output = nn.Linear(hidden, 2)
        for lstm in (*self.over_bins, self.over_marks):
            remember_at_first(lstm)

    def forward(self, signal: Tensor) -> Tensor:
        """Logits ``(gene, 2)`` of signals ``(gene, mark, bin)``."""
        return self.output(self.attended(signal)[0])

    def attention(self, signal: Tensor) -> tuple[Tensor, Tensor]:
        """Attention over each mark's bins ``(gene, mark, bin)`` and over marks ``(gene, mark)``.

        Both sum to 1 over their last axis.
        """
        return self.attended(signal)[1:]

    def attended(self, signal: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Embedding of each gene ``(gene, hidden)`` and the two attentions that made it.

        The signal is ``(gene, mark, bin)``, or ``(gene, mark, bin, channel)``.
        """
        signal = signal.unsqueeze(3) if signal.ndim == 3 else signal
        bins, summaries = [], []
        for mark, lstm in enumerate(self.over_bins):
            states = lstm(signal[:, mark])[0]
            weight = (states @ self.bin_context[mark]).softmax(-1)
            bins.append(weight)
            summaries.append(_weighted(weight, states))
        mark_states = self.over_marks(torch.stack(summaries, dim=1))[0]
        marks = (mark_states @ self.mark_context).softmax(-1)
        return _weighted(marks, mark_states), torch.stack(bins, dim=1), marks


class JointLSTM(nn.Module):
    """One bidirectional LSTM that reads all marks of a bin at once, and attention over bins.

    Not in the description: it tells what it costs AttentiveChrome to read every mark alone.
    """

    def __init__(self, n_marks: int = 5, n_bins: int = 100, hidden: int = 32) -> None:
        super().__init__()
        self.over_bins = nn.LSTM(n_marks, hidden, batch_first=True, bidirectional=True)
        self.bin_context = nn.Parameter(torch.empty(2 * hidden).uniform_(-0.1, 0.1))
        self.output = nn.Linear(2 * hidden, 2)
        remember_at_first(self.over_bins)

    def forward(self, signal: Tensor) -> Tensor:
        """Logits ``(gene, 2)`` of signals ``(gene, mark, bin)``."""
        states = self.over_bins(signal.transpose(1, 2))[0]
        attention = (states @ self.bin_context).softmax(-1)
        return self.output(_weighted(attention, states))


def _weighted(weight: Tensor, states: Tensor) -> Tensor:
    """States ``(gene, step, unit)`` averaged with weights ``(gene, step)``: ``(gene, unit)``."""
    return (weight.unsqueeze(1) @ states).squeeze(1)


def fit(train: Genes, valid: Genes, setting: Setting, seed: int) -> Fitted:
    """AttentiveChrome on log counts by Adam; the epoch with the best validation AUROC is kept."""
    return fit_network(AttentiveChrome, train, valid, setting, seed)


def fit_joint(train: Genes, valid: Genes, setting: Setting, seed: int) -> Fitted:
    """As `fit`, for the network that reads all marks at once."""
    return fit_network(JointLSTM, train, valid, setting, seed)


def from_record(about: Mapping[str, np.ndarray], n_marks: int, n_bins: int) -> AttentiveChrome:
    """The network whose weights a fit left in its ``about`` as ``weights.NAME``."""
    model = AttentiveChrome(n_marks, n_bins)
    prefix = "weights."
    model.load_state_dict({
        name[len(prefix) :]: torch.from_numpy(values)
        for name, values in about.items()
        if name.startswith(prefix)
    })
    return model.eval()


def attention_maps(
    model: AttentiveChrome, counts: np.ndarray, batch_size: int = 256
) -> tuple[np.ndarray, np.ndarray]:
    """Attention over bins ``(gene, mark, bin)`` and over marks ``(gene, mark)`` of counts.

    Parameters
    ----------
    counts
        ``(gene, bin, mark)``, upstream first.
    """
    place = device_of(model)
    with torch.inference_mode():
        parts = [
            model.attention(to_signal(counts[start : start + batch_size], "log1p", place))
            for start in range(0, len(counts), batch_size)
        ]
    return tuple(torch.cat(one).cpu().numpy() for one in zip(*parts, strict=True))
