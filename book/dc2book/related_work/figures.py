"""Figures of the chapter on the systems that the paper stands on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dc2book.related_work.scores import Ranking
from dc2book.style import CLASS_COLOURS, LABEL_COLOURS, OTHER_COLOURS, mark_colour

CELL_MARKERS = "osD^v<>P"


def auroc_of_systems(table: pd.DataFrame) -> Figure:
    """Test AUROC of every system, a panel a label rule, a marker a cell type.

    Columns title, labels, cell, estimate, low, high; systems in the order of the rows.
    """
    titles, cells = (list(dict.fromkeys(table[name])) for name in ("title", "cell"))
    shifts = np.linspace(-0.18, 0.18, len(cells)) if len(cells) > 1 else [0.0]
    fig, axes = _panels(table, "labels", (2.6, 3.0), 1.2 + 0.36 * len(titles))
    for rule, axis in axes.items():
        for cell, shift, marker in zip(cells, shifts, CELL_MARKERS * len(cells), strict=False):
            rows = table[(table["labels"] == rule) & (table["cell"] == cell)]
            y = [titles.index(title) + shift for title in rows["title"]]
            _intervals(axis, rows, y, LABEL_COLOURS[rule], marker, cell)
        axis.set(title=f"{rule} labels", xlabel="test AUROC")
        axis.grid(alpha=0.3)
    return _finished(fig, axes, titles, ncols=4, title="cell type")


def against_other_cells(table: pd.DataFrame) -> Figure:
    """Predictors with and without histone marks, by how much the genes' class varies.

    Columns cell (a panel each), genes (name of the set), predictor, estimate, low, high.
    """
    sets, predictors = (list(dict.fromkeys(table[name])) for name in ("genes", "predictor"))
    shifts = np.linspace(-0.3, 0.3, len(predictors))
    fig, axes = _panels(table, "cell", (2.8, 3.2), 1.6 + 0.95 * len(sets))
    for cell, axis in axes.items():
        for predictor, shift, colour, marker in zip(
            predictors, shifts, OTHER_COLOURS, CELL_MARKERS, strict=False
        ):
            rows = table[(table["cell"] == cell) & (table["predictor"] == predictor)]
            y = [sets.index(one) + shift for one in rows["genes"]]
            _intervals(axis, rows, y, colour, marker, predictor)
        axis.set(title=cell, xlabel="test AUROC")
        axis.grid(axis="x", alpha=0.3)
    return _finished(fig, axes, [name.replace(" and ", "\nand ") for name in sets], ncols=2)


def auroc_by_breadth(table: pd.DataFrame, ranges: Mapping[str, str]) -> Figure:
    """AUROC by the number of other cell types that express a gene.

    Columns cell (a panel each), title, group, estimate, low, high, positives; ``ranges`` are those
    of `dc2book.related_work.breadth.group_ranges`.
    """
    groups = [name for name in ranges if name in set(table["group"])]
    titles = list(dict.fromkeys(table["title"]))
    shifts = 0.12 * (np.arange(len(titles)) - (len(titles) - 1) / 2)
    fig, axes = _panels(table, "cell", (2.2, 3.2), 1.8 + 0.55 * len(groups))
    for cell, axis in axes.items():
        for title, shift, colour, marker in zip(
            titles, shifts, OTHER_COLOURS, CELL_MARKERS, strict=False
        ):
            rows = table[(table["cell"] == cell) & (table["title"] == title)]
            y = [groups.index(one) + shift for one in rows["group"]]
            _intervals(axis, rows, y, colour, marker, title)
        axis.axvline(0.5, color="0.6", linewidth=0.8)
        axis.set(title=cell, xlabel="test AUROC within the group")
        axis.grid(axis="x", alpha=0.3)
    shares = table.groupby("group")["positives"].agg(["min", "max"])
    names = [f"{ranges[one]} ({_range(*shares.loc[one])})" for one in groups]
    next(iter(axes.values())).set_ylabel("other cell types above their median\n(positive genes)")
    return _finished(fig, axes, names, ncols=3)


def critical_difference(rankings: Mapping[str, Ranking], titles: Mapping[str, str]) -> Figure:
    """Mean ranks of the systems with bars over those that Nemenyi's test does not tell apart.

    A panel a ranking, by title; ``titles`` are the systems' names for readers.
    """
    systems = max(len(one.mean_rank) for one in rankings.values())
    fig, axes = plt.subplots(
        len(rankings), 1, figsize=(7.6, 3.1 * len(rankings)), squeeze=False, sharex=True
    )
    for axis, (name, ranking) in zip(axes[:, 0], rankings.items(), strict=True):
        _critical_difference(axis, ranking, titles, systems)
        blocks = f"{ranking.blocks} block{'s' * (ranking.blocks > 1)}"
        axis.set_title(f"{name}, {blocks}: critical difference {ranking.critical:.1f} ranks")
    axes[-1, 0].set_xlabel("mean rank by test AUROC (1 is best)")
    return fig


def attention(bins: pd.DataFrame, marks: pd.DataFrame) -> Figure:
    """AttentiveChrome's attention over bins of each mark, by class, and over marks.

    Columns mark, class, attention (mean over genes), and for bins kb (distance from the TSS).
    """
    names = list(dict.fromkeys(bins["mark"]))
    fig, axes = plt.subplots(2, 3, figsize=(8.6, 4.8))
    panels = axes.ravel()
    for axis, mark in zip(panels, names, strict=False):
        for class_, rows in bins[bins["mark"] == mark].groupby("class", sort=False):
            axis.plot(rows["kb"], rows["attention"], color=CLASS_COLOURS[class_],
                      linewidth=1.3, label=f"{class_} expression")
        axis.axvline(0, color="0.6", linewidth=0.8)
        axis.set_title(mark, color=mark_colour(mark))
        axis.set(xlabel="kb from the TSS", ylim=(0, 1.15 * bins["attention"].max()))
    for axis in panels[len(names) : -1]:
        axis.set_visible(False)
    for axis in axes[:, 0]:
        axis.set_ylabel("attention of a bin")
    wide = marks.pivot(index="mark", columns="class", values="attention").loc[names]
    classes = [name for name in CLASS_COLOURS if name in wide]
    wide[classes].plot.bar(ax=panels[-1], color=CLASS_COLOURS, width=0.7, legend=False)
    panels[-1].set(title="marks", xlabel="", ylabel="attention of a mark")
    panels[-1].tick_params(axis="x", rotation=40)
    fig.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return fig


def auroc_by_bin(table: pd.DataFrame) -> Figure:
    """What one bin is worth: validation AUROC of a linear SVM in each bin, a line a cell type.

    Columns cell, kb, auroc.
    """
    fig, axis = plt.subplots(figsize=(6.4, 3.2))
    styles = ("-", "--", ":", "-.")
    for (cell, rows), style in zip(table.groupby("cell", sort=False), styles, strict=False):
        axis.plot(rows["kb"], rows["auroc"], style, color="#1F1F1F", linewidth=1.4, label=cell)
    axis.axvline(0, color="0.6", linewidth=0.8)
    axis.set(xlabel="bin, kb from the TSS (upstream is negative)", ylabel="validation AUROC")
    axis.grid(alpha=0.3)
    axis.legend()
    return fig


def _panels(
    table: pd.DataFrame, column: str, width: tuple[float, float], height: float
) -> tuple[Figure, dict[str, Axes]]:
    """A panel for each value of a column, side by side; width of the rest and of one panel."""
    names = list(dict.fromkeys(table[column]))
    fig, axes = plt.subplots(
        1, len(names), figsize=(width[0] + width[1] * len(names), height), sharex=True, sharey=True,
        squeeze=False,
    )
    return fig, dict(zip(names, axes[0], strict=True))


def _intervals(
    axis: Axes, rows: pd.DataFrame, y: Sequence[float], colour: str, marker: str, name: str
) -> None:
    error = np.abs(rows[["low", "high"]].to_numpy().T - rows["estimate"].to_numpy())
    axis.errorbar(rows["estimate"], y, xerr=error, fmt=marker, color=colour, markersize=4.5,
                  linewidth=1.2, label=name)


def _finished(
    fig: Figure, axes: Mapping[str, Axes], names: Sequence[str], **legend: int | str
) -> Figure:
    first = next(iter(axes.values()))
    first.set_yticks(range(len(names)), names)
    first.invert_yaxis()
    fig.legend(*first.get_legend_handles_labels(), loc="outside lower center", **legend)
    return fig


def _range(low: float, high: float) -> str:
    return f"{low:.0%}" if f"{low:.0%}" == f"{high:.0%}" else f"{low:.0%}-{high:.0%}"


def _critical_difference(
    axis: Axes, ranking: Ranking, titles: Mapping[str, str], systems: int
) -> None:
    names = list(ranking.mean_rank.index)
    half = (len(names) + 1) // 2
    for position, (name, value) in enumerate(ranking.mean_rank.items()):
        left = position < half
        depth = 1.2 + (position if left else len(names) - 1 - position)
        edge = 0.4 if left else systems + 0.6
        axis.plot([value, value, edge], [0, depth, depth], color="0.35", linewidth=0.9)
        axis.plot([value], [0], marker="o", color="black", markersize=4)
        axis.text(edge, depth, f"{titles[name]} ({value:.1f})", va="center", fontsize=8.5,
                  ha="right" if left else "left")
    for level, (first, last) in enumerate(ranking.not_told_apart()):
        span = ranking.mean_rank[first] - 0.08, ranking.mean_rank[last] + 0.08
        axis.plot(span, [0.25 + 0.22 * level] * 2, color="#C0392B", linewidth=3)
    axis.plot([1, 1 + ranking.critical], [-0.8, -0.8], color="black", linewidth=1.5)
    axis.text(1 + ranking.critical / 2, -0.95, "critical difference", ha="center", va="bottom",
              fontsize=8.5)
    axis.set(xlim=(-3.6, systems + 4.6), ylim=(half + 1.4, -1.7), yticks=[])
    axis.set_xticks(range(1, systems + 1))
    axis.spines["left"].set_visible(False)
