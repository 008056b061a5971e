"""The few lines of arithmetic that the two primers are about, and their figures."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from sklearn import metrics

from dc2book import style
from dc2book.style import BIN_KB, INPUT_COLOURS, mark_colour
from dc2lib.datasets.histone import HistoneDataset
from dc2lib.errors import DataError

GREY = "0.5"


def thin_reads(counts: np.ndarray, share: float, seed: int = 0) -> np.ndarray:
    """Keep each read with the same chance, as in less deep sequencing.

    ``counts``: reads, any shape; the int64 array returned has the same.
    ``share``: chance of each read to be kept, between 0 and 1.
    """
    if not 0 <= share <= 1:
        raise DataError(
            f"share={share} is no chance of a read: use a number from 0 to 1.")
    return np.random.default_rng(seed).binomial(
        np.asarray(counts, dtype=np.int64), share)


def typical_gene(dataset: HistoneDataset, mark: str, quantile: float) -> int:
    """Row of the gene whose mean count of a mark is nearest to a quantile over the genes."""
    if mark not in dataset.marks:
        raise DataError(f"{dataset.cell} has no {mark}; it has {', '.join(dataset.marks)}.")
    means = dataset.counts[:, :, dataset.marks.index(mark)].mean(axis=1)
    return int(np.abs(means - np.quantile(means, quantile)).argmin())


def middle_gene(dataset: HistoneDataset, chosen: np.ndarray) -> int:
    """Row of the most ordinary of the chosen genes: nearest to the median of each mark's reads.

    ``chosen``: boolean array ``(gene,)``.
    """
    totals = np.log1p(dataset.counts.sum(axis=1, dtype=np.float64))
    away = np.abs(totals - np.median(totals[chosen], axis=0)).sum(axis=1)
    return int(np.where(chosen, away, np.inf).argmin())


def roc_curve(labels: np.ndarray, scores: np.ndarray) -> pd.DataFrame:
    """Shares of low and of high genes at or above each score, from the highest score on.

    Columns threshold, false_positive and true_positive, beginning at (0, 0); genes with equal
    scores enter together.  Raises DataError without genes of both classes.
    """
    if not {0, 1} <= set(np.asarray(labels).tolist()):
        raise DataError("A ROC curve needs genes of both classes.")
    low, high, thresholds = metrics.roc_curve(labels, scores, drop_intermediate=False)
    return pd.DataFrame({"threshold": thresholds, "false_positive": low, "true_positive": high})


def plot_genes(dataset: HistoneDataset, genes: Mapping[str, int]) -> Figure:
    """Counts of each mark along single genes, a column per gene, a row per mark.

    ``genes``: row of each gene by what is said above its column.
    """
    marks = dataset.marks
    fig, axes = plt.subplots(len(marks), len(genes), figsize=(6.4, 0.6 + 0.95 * len(marks)),
                             sharex=True, sharey="row", squeeze=False)
    for column, (title, gene) in zip(axes.T, genes.items(), strict=True):
        for axis, mark, reads in zip(column, marks, dataset.counts[gene].T, strict=True):
            axis.bar(style.kilobases(len(reads)), reads, width=BIN_KB, color=mark_colour(mark))
            axis.axvline(0, color=GREY, linewidth=0.8, linestyle="--")
        column[0].set_title(f"{title}, RPKM {dataset.rpkm[gene]:.1f}")
        column[-1].set_xlabel(style.FROM_TSS)
    for axis, mark in zip(axes[:, 0], marks, strict=True):
        axis.set_ylabel(mark, rotation=0, ha="right", va="center")
    fig.supylabel("reads per bin", fontsize=9)
    return fig


def plot_counts_by_depth(counts: Mapping[str, np.ndarray], mark: str) -> Figure:
    """Counts of one mark along one gene, a panel per depth of sequencing.

    ``counts``: reads ``(bin,)`` by title.
    """
    fig, panels = style.panels(counts, (6.4, 1.9), down=True, sharey=True, ylabel="reads per bin",
                               xlabel=f"{style.FROM_TSS}, along the genome")
    for axis, _, reads in panels:
        axis.bar(style.kilobases(len(reads)), reads, width=BIN_KB, color=mark_colour(mark))
        axis.axvline(0, color=GREY, linewidth=1, linestyle="--")
    return fig


def plot_convolution_steps(
    signal: np.ndarray, filter_: np.ndarray, answers: np.ndarray, pooled: np.ndarray, mark: str
) -> Figure:
    """A signal, a filter, the filter's answers, and what pooling keeps of them.

    ``signal``, ``filter_``, ``answers``: ``(bin,)``, ``(width,)`` and ``(bin - width + 1,)``.
    ``pooled``: largest answer of each stretch of neighbours.
    """
    fig, axes = plt.subplots(3, 1, figsize=(6.4, 5.4), sharex=True)
    axes[0].step(np.arange(1, len(signal) + 1), signal, where="mid", color=mark_colour(mark))
    axes[0].set(title=f"signal: log (1 + reads of {mark})", ylabel="log reads")
    inset = axes[0].inset_axes((0.02, 0.5, 0.16, 0.42))
    inset.step(np.arange(len(filter_)), filter_, where="mid", color="#1F1F1F")
    inset.axhline(0, color=GREY, linewidth=0.8)
    inset.set(xlabel="filter", xticks=[], yticks=[])
    axes[1].plot(np.arange(1, len(answers) + 1), answers, color="#1F1F1F")
    axes[1].axhline(0, color=GREY, linewidth=0.8)
    axes[1].set(title="the filter's answer where it begins", ylabel="sum of products")
    width = len(answers) // len(pooled)
    middle = np.arange(len(pooled)) * width + (width + 1) / 2
    axes[2].bar(middle, np.maximum(pooled, 0), width=width * 0.9, color=GREY)
    axes[2].set(title="positive part, largest of each five neighbours", xlabel="bin",
                ylabel="kept")
    return fig


def plot_roc_curves(curves: Mapping[str, pd.DataFrame]) -> Figure:
    """Receiver operating characteristics, a line per score.

    ``curves``: tables of `roc_curve` by title; a title that names a mark gets its colour.
    """
    fig, axis = plt.subplots(figsize=(4.6, 4.6))
    for line, (title, table) in zip(("-", "--", ":", "-."), curves.items(), strict=False):
        axis.plot(table["false_positive"], table["true_positive"], label=title, linestyle=line,
                  color=mark_colour(title.split(",")[0]))
    axis.plot([0, 1], [0, 1], color=GREY, linewidth=1)
    axis.set(xlabel="share of low genes above the threshold",
             ylabel="share of high genes above the threshold", aspect="equal")
    axis.legend(loc="lower right")
    return fig


def plot_samples(samples: Mapping[str, np.ndarray]) -> Figure:
    """Histograms of samples ``(sample,)`` by kind of input, on the same bins."""
    fig, axis = plt.subplots(figsize=(5.6, 2.6))
    edges = np.linspace(*np.quantile(np.concatenate(list(samples.values())), (0.001, 0.999)), 50)
    for name, values in samples.items():
        axis.hist(values, edges, histtype="step", color=INPUT_COLOURS[name], label=name,
                  linewidth=1.6, linestyle="-" if name == "real" else "--")
    axis.set(xlabel="standardised mean signal", ylabel="samples")
    axis.legend()
    return fig

