"""Figures of the data chapter."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from dc2book import style
from dc2book.data.tables import ORIENTATIONS
from dc2book.style import LABEL_COLOURS, LABEL_NAMES, MANY_CELLS, mark_colour
from dc2lib.datasets.histone import SPLITS, HistoneDataset

SPLIT_NAMES = {"train": "training genes", "valid": "validation genes", "test": "test genes"}
POSITION = {way: f"kb from the TSS, along the {way}" for way in ORIENTATIONS}
EDGED = {"edgecolor": "black", "linewidth": 0.5, "s": 36, "zorder": 3}


def gene_heat_maps(dataset: HistoneDataset, genes: pd.DataFrame) -> Figure:
    """Counts of single genes, a panel per gene, a row per mark, colour by log count.

    ``genes``: columns row, name, rpkm and why, as from :func:`dc2book.data.tables.example_genes`.
    """
    counts = dataset.counts[genes["row"].to_numpy()].astype(np.float64)
    top = np.log1p(counts.max())
    fig, panels = style.panels(
        dict(enumerate(counts)), (7.6, 0.3 + 0.3 * len(dataset.marks)), down=True,
        xlabel=POSITION["genome"])
    for (axis, _, one), gene in zip(panels, genes.to_dict("records"), strict=True):
        image = style.mark_map(axis, np.log1p(one.T), dataset.marks, vmin=0, vmax=top)
        axis.axvline(0, color="white", linewidth=0.8, linestyle=":")
        name = f"{gene['name']} {_arrow(dataset, gene['row'])}".strip()
        title = f"{name}, RPKM {gene['rpkm']:.3f}: {gene['why']}"
        axis.set_title(title, fontsize=9, fontweight="normal")
    bar = fig.colorbar(image, ax=fig.axes, shrink=0.6, pad=0.02)
    ticks = [count for count in (0, 1, 3, 10, 30, 100, 300) if np.log1p(count) <= top]
    bar.set_ticks(np.log1p(ticks), labels=[str(count) for count in ticks])
    bar.set_label(f"{dataset.unit} per bin")
    return fig


def class_profiles(profiles: Mapping[str, pd.DataFrame], unit: str = "reads") -> Figure:
    """Mean profiles of both classes with bands: a column per mark, a row per orientation."""
    shown = [name for name in ORIENTATIONS if name in profiles]
    marks = list(dict.fromkeys(profiles[shown[0]]["mark"]))
    fig, axes = plt.subplots(
        len(shown), len(marks), figsize=(0.8 + 1.5 * len(marks), 0.6 + 1.7 * len(shown)),
        sharex=True, sharey="col", squeeze=False,
    )
    for row, orientation in zip(axes, shown, strict=True):
        table = profiles[orientation]
        for axis, mark in zip(row, marks, strict=True):
            for name, line in (("high", "-"), ("low", "--")):
                one = table[(table["mark"] == mark) & (table["class"] == name)]
                colour = style.CLASS_COLOURS[name]
                axis.fill_between(one["position"], one["low"], one["high"], color=colour, alpha=0.3)
                axis.plot(one["position"], one["mean"], line, color=colour, label=name)
            axis.axvline(0, color="0.6", linewidth=0.7, linestyle=":")
        row[0].set_ylabel(f"{orientation}-oriented\n{unit} per bin")
        row[len(marks) // 2].set_xlabel(POSITION[orientation])
    for axis, mark in zip(axes[0], marks, strict=True):
        axis.set_title(mark, color=mark_colour(mark) if mark != "H3K4me1" else "#8A6D00")
    for axis in axes.flat:
        axis.set_ylim(bottom=0)
        axis.tick_params(labelbottom=True)
    fig.legend(*axes[0, 0].get_legend_handles_labels(), title="expression", title_fontsize=9,
               loc="outside right upper")
    return fig


def count_tails(tails: pd.DataFrame, summary: pd.DataFrame, unit: str = "reads") -> Figure:
    """Share of bins with at least so many reads, and mean against variance, by mark."""
    fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6))
    for mark, one in tails.groupby("mark", sort=False):
        colour = mark_colour(mark)
        left.step(one["count"], one["share"], where="post", color=colour, label=mark)
    left.set_xscale("symlog", linthresh=1)
    left.set(yscale="log", xlabel=f"{unit} in a bin, at least", ylabel="share of bins",
             title="How often a bin holds so many")
    left.legend()
    for marker, (mark, one) in zip(
        style.MARKERS * len(summary), summary.groupby("mark", sort=False), strict=False
    ):
        right.scatter(one["mean"], one["variance"], color=mark_colour(mark), marker=marker,
                      label=mark, **EDGED)
    ends = np.array([summary["mean"].min() / 2, summary["mean"].max() * 2])
    right.plot(ends, ends, color="0.4", linestyle="--", linewidth=1, label="Poisson")
    right.set(xscale="log", yscale="log", xlabel=f"mean {unit} per bin", ylabel="variance",
              title="Spread against mean, a point per cell type")
    right.legend()
    return fig


def class_shares(balance: pd.DataFrame, along: pd.DataFrame) -> Figure:
    """Share of high-expression genes by split and label rule, and along the gene list.

    ``balance``: columns cell, labels, split, estimate, low, high. ``along``: columns cell, labels,
    rank, share.
    """
    fig, (left, right) = plt.subplots(
        1, 2, figsize=(9.2, 3.7), sharey=True, gridspec_kw={"width_ratios": [1, 1.25]}
    )
    cells = list(dict.fromkeys(balance["cell"]))
    spread = np.linspace(-0.2, 0.2, len(cells)) if len(cells) > 1 else np.zeros(1)
    many = len(cells) > MANY_CELLS  # then the rules stand side by side, in small marks
    look = {"capsize": 0 if many else 2, "markersize": 2 if many else 4.5,
            "linewidth": 0.5 if many else 1.2, "markeredgewidth": 0 if many else 0.4}
    offsets = dict(zip(cells, spread / 2 if many else spread, strict=True))
    for rule, part in balance.groupby("labels", sort=False):
        side = (0.2 if rule == "lexicographic" else -0.2) if many else 0
        place = part["split"].map(SPLITS.index) + part["cell"].map(offsets) + side
        style.intervals(left, part, place, vertical=True, fmt=style.LABEL_MARKERS[rule],
                        color=LABEL_COLOURS[rule], markeredgecolor="black",
                        label=LABEL_NAMES[rule], **look)
    left.axhline(0.5, color="0.6", linewidth=0.8, linestyle=":")
    left.set_xticks(range(len(SPLITS)), SPLITS)
    left.set(xlabel="split", ylabel="genes in the class high", ylim=(0, 1), title="By split")
    left.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    left.legend(loc="upper right")
    for (cell, rule), one in along.groupby(["cell", "labels"], sort=False):
        line = "-" if rule == "numeric" else "--"
        right.plot(
            one["rank"], one["share"], line, color=LABEL_COLOURS[rule], linewidth=1.1,
            label=f"{cell}, {rule}",
        )
    right.axhline(0.5, color="0.6", linewidth=0.8, linestyle=":")
    right.set(xlabel="gene, in the order of the list (window of neighbouring genes)",
              title="Along the list of genes")
    return fig


def expression_distribution(
    rpkm: pd.DataFrame, shown: Sequence[str], table: pd.DataFrame
) -> Figure:
    """Distribution of RPKM in a few cell types, and median against zeros in all.

    ``rpkm``: (gene, cell). ``shown``: cell types of the left panel. ``table``: columns cell,
    median, zero_share, ambiguous.
    """
    fig, (left, right) = plt.subplots(1, 2, figsize=(9.2, 3.6))
    edges = np.r_[0, np.geomspace(1e-3, 1e4, 71)]
    styles = ("-", "--", "-.", ":")
    for place, cell in enumerate(shown):
        values = np.sort(rpkm[cell].to_numpy())
        share = np.searchsorted(values, edges, side="right") / len(values)
        left.plot(edges, share, styles[place % 4], color=f"{0.15 * place:.2f}", label=cell)
    left.set_xscale("symlog", linthresh=1e-3, linscale=0.4)
    left.set_xlim(-1e-4, 1e4)
    left.set_xticks([0, 1e-2, 1, 1e2, 1e4], ["0", "0.01", "1", "100", "10,000"])
    left.minorticks_off()
    left.axhline(0.5, color="0.6", linewidth=0.8, linestyle=":")
    left.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    left.set(ylim=(0, 1), xlabel="RPKM, at most", ylabel="share of genes",
             title="Expression of all genes")
    left.legend(loc="upper left")
    safe = table["median"] < 2
    for chosen, colour, marker, name in (
        (safe, LABEL_COLOURS["numeric"], "o", "1: text and number agree"),
        (~safe, LABEL_COLOURS["lexicographic"], "s", "2 or more: some labels flip"),
    ):
        right.scatter(table["median"][chosen], table["ambiguous"][chosen], color=colour,
                      marker=marker, label=name, **EDGED)
    right.yaxis.set_major_formatter(PercentFormatter(1))
    right.set(xlabel="median RPKM of the cell type", title="What the median's first digit does",
              ylabel="genes whose class the text rule flips")
    right.legend(title="median begins with", title_fontsize=9)
    return fig


def expression_heat_maps(
    correlations: Mapping[str, pd.DataFrame], label: str = "correlation, stretched to 0 … 1",
    thresholds: Iterable[float] = (),
) -> Figure:
    """Figure 3 of the paper: correlation between cell types, a panel per split or a title.

    Tables (cell, cell), NaN stays blank; thresholds are marked in the colour bar.
    """
    fig, panels = style.panels(correlations, (2.5 + 1.4 / len(correlations), 3.2), SPLIT_NAMES,
                               sharey=False, xlabel="cell type", ylabel="cell type")
    for axis, _, matrix in panels:
        image = axis.imshow(matrix, vmin=0, vmax=1, interpolation="nearest")
        step = max(1, round(len(matrix) / 8))
        ticks = range(0, len(matrix), step)
        axis.set_xticks(ticks, matrix.columns[::step], rotation=90, fontsize=8)
        axis.set_yticks(ticks, matrix.index[::step], fontsize=8)
        axis.spines[:].set_visible(False)
    bar = fig.colorbar(image, ax=fig.axes, label=label, shrink=0.85)
    for threshold in thresholds:
        bar.ax.axhline(threshold, color="white", linewidth=1.2)
    return fig


def _arrow(dataset: HistoneDataset, row: int) -> str:
    strand = "." if dataset.strand is None else dataset.strand[row]
    return {"+": "→", "-": "←"}.get(strand, "")
