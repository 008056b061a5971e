"""Recurrent networks of histone signals: AttentiveChrome, one LSTM for all marks, DeepDiff.

Sources: Singh et al. 2017, Attend and Predict, NeurIPS 30 (doi:10.48550/arXiv.1708.00339); Sekhon
et al. 2018, DeepDiff (doi:10.1093/bioinformatics/bty612).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class AttentiveChrome(nn.Module):
    """Bidirectional LSTM a mark, attention over its bins, LSTM over marks, attention over marks.

    ``hidden`` are the units of each direction of the LSTMs over bins (the LSTM over marks has half
    as many), ``channels`` the numbers a bin: several where cell types are read side by side.
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
            raise_forget_bias(lstm)

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
            summaries.append(_weighted_mean(weight, states))
        mark_states = self.over_marks(torch.stack(summaries, dim=1))[0]
        marks = (mark_states @ self.mark_context).softmax(-1)
        return _weighted_mean(marks, mark_states), torch.stack(bins, dim=1), marks


class JointLSTM(nn.Module):
    """One bidirectional LSTM that reads all marks of a bin at once, and attention over bins.

    Not in the description: it tells what it costs AttentiveChrome to read every mark alone.
    """

    def __init__(self, n_marks: int = 5, n_bins: int = 100, hidden: int = 32) -> None:
        super().__init__()
        self.over_bins = nn.LSTM(n_marks, hidden, batch_first=True, bidirectional=True)
        self.bin_context = nn.Parameter(torch.empty(2 * hidden).uniform_(-0.1, 0.1))
        self.output = nn.Linear(2 * hidden, 2)
        raise_forget_bias(self.over_bins)

    def forward(self, signal: Tensor) -> Tensor:
        """Logits ``(gene, 2)`` of signals ``(gene, mark, bin)``."""
        states = self.over_bins(signal.transpose(1, 2))[0]
        attention = (states @ self.bin_context).softmax(-1)
        return self.output(_weighted_mean(attention, states))


class DeepDiff(nn.Module):
    """LSTMs over the bins of two cell types side by side: log fold change of expression.

    Exchanging the cell types turns the sign of the answer and nothing else, by construction: the
    answer is ``g(a, b) - g(b, a)``.
    """

    def __init__(self, n_marks: int = 5, n_bins: int = 100, hidden: int = 32) -> None:
        super().__init__()
        self.encoder = AttentiveChrome(n_marks, n_bins, hidden, channels=2)
        self.encoder.output = nn.Linear(hidden, 1, bias=False)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Log fold change ``(gene,)`` of signals ``(gene, mark, bin)`` of two cell types."""
        both = torch.stack([first, second], dim=3)
        answers = self.encoder(torch.cat([both, both.flip(3)])).squeeze(1)
        return answers[: len(first)] - answers[len(first) :]


def raise_forget_bias(lstm: nn.LSTM) -> None:
    """Raise the forget gates' bias by 1, so that what is read at one bin lasts over many."""
    units = lstm.hidden_size
    for name, bias in lstm.named_parameters():
        if name.startswith("bias_ih"):
            with torch.no_grad():
                bias[units : 2 * units] += 1


def _weighted_mean(weight: Tensor, states: Tensor) -> Tensor:
    """States ``(gene, step, unit)`` averaged with weights ``(gene, step)``."""
    return (weight.unsqueeze(1) @ states).squeeze(1)
