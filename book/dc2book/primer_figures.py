"""Figures of the two primers."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from dc2book.style import mark_colour

BIN_KB = 0.1
GREY = "0.5"


def counts_by_depth(counts: Mapping[str, np.ndarray], mark: str) -> Figure:
    """Counts of one mark along one gene, a panel a depth of sequencing.

    Parameters
    ----------
    counts
        Reads ``(bin,)`` by title.
    """
    fig, axes = plt.subplots(len(counts), 1, figsize=(6.4, 1.5 + 1.25 * len(counts)), sharex=True,
                             sharey=True, squeeze=False)
    for axis, (title, reads) in zip(axes[:, 0], counts.items(), strict=True):
        axis.bar(_place(len(reads)), reads, width=BIN_KB, color=mark_colour(mark))
        axis.set(title=title, ylabel="reads a bin")
        axis.axvline(0, color=GREY, linewidth=1, linestyle="--")
    axes[-1, 0].set_xlabel("distance from the TSS (kb, along the genome)")
    return fig


def convolution_steps(
    signal: np.ndarray, filter_: np.ndarray, answers: np.ndarray, pooled: np.ndarray, mark: str
) -> Figure:
    """A signal, a filter, the filter's answers, and what pooling keeps of them.

    Parameters
    ----------
    signal, filter_, answers
        ``(bin,)``, ``(width,)`` and ``(bin - width + 1,)``.
    pooled
        Largest answer of each stretch of neighbours.
    """
    fig, axes = plt.subplots(3, 1, figsize=(6.4, 5.4), sharex=True)
    axes[0].step(_bins(len(signal)), signal, where="mid", color=mark_colour(mark))
    axes[0].set(title=f"signal: log (1 + reads of {mark})", ylabel="log reads")
    inset = axes[0].inset_axes((0.02, 0.5, 0.16, 0.42))
    inset.step(np.arange(len(filter_)), filter_, where="mid", color="#1F1F1F")
    inset.axhline(0, color=GREY, linewidth=0.8)
    inset.set(xlabel="filter", xticks=[], yticks=[])
    axes[1].plot(_bins(len(answers)), answers, color="#1F1F1F")
    axes[1].axhline(0, color=GREY, linewidth=0.8)
    axes[1].set(title="the filter's answer where it begins", ylabel="sum of products")
    width = len(answers) // len(pooled)
    middle = np.arange(len(pooled)) * width + (width + 1) / 2
    axes[2].bar(middle, np.maximum(pooled, 0), width=width * 0.9, color=GREY)
    axes[2].set(title="positive part, largest of each five neighbours", xlabel="bin",
                ylabel="kept")
    return fig


def roc_curves(curves: Mapping[str, pd.DataFrame]) -> Figure:
    """Receiver operating characteristics, a line a score.

    Parameters
    ----------
    curves
        Tables of `dc2book.primers.roc_curve` by title; a title that names a mark gets its colour.
    """
    fig, axis = plt.subplots(figsize=(4.6, 4.6))
    for style, (title, table) in zip(("-", "--", ":", "-."), curves.items(), strict=False):
        axis.plot(table["false_positive"], table["true_positive"], label=title, linestyle=style,
                  color=mark_colour(title.split(",")[0]))
    axis.plot([0, 1], [0, 1], color=GREY, linewidth=1)
    axis.set(xlabel="share of low genes above the threshold",
             ylabel="share of high genes above the threshold", aspect="equal")
    axis.legend(loc="lower right")
    return fig


def _place(n_bins: int) -> np.ndarray:
    return (np.arange(n_bins) - (n_bins - 1) / 2) * BIN_KB


def _bins(n: int) -> np.ndarray:
    return np.arange(1, n + 1)
