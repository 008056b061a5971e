"""AttentiveChrome: an LSTM a mark with attention over bins, and attention over marks.

Source: Singh et al. 2017, Attend and Predict, NeurIPS 30 (doi:10.48550/arXiv.1708.00339).  The
description gives five core marks over 100 bins of 100 bp around the TSS, the same input as
DeepChrome, so nothing is missing here.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


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
    """

    def __init__(self, n_marks: int = 5, n_bins: int = 100, hidden: int = 32) -> None:
        super().__init__()
        self.n_bins = n_bins
        self.over_bins = nn.ModuleList(
            nn.LSTM(1, hidden, batch_first=True, bidirectional=True) for _ in range(n_marks)
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
        """Embedding of each gene ``(gene, hidden)`` and the two attentions that made it."""
        states = torch.stack([
            lstm(signal[:, mark, :, None])[0] for mark, lstm in enumerate(self.over_bins)
        ], dim=1)
        bins = torch.einsum("gmbh,mh->gmb", states, self.bin_context).softmax(-1)
        marks_in = torch.einsum("gmb,gmbh->gmh", bins, states)
        mark_states = self.over_marks(marks_in)[0]
        marks = (mark_states @ self.mark_context).softmax(-1)
        return torch.einsum("gm,gmh->gh", marks, mark_states), bins, marks
