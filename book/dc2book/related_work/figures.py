"""Figures of the chapter on the systems that the paper stands on."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dc2book.related_work.ranking import Ranking
from dc2book.style import CLASS_COLOURS, LABEL_COLOURS, mark_colour

CELL_MARKERS = "osD^v<>P"
PREDICTOR_COLOURS = ("#1F1F1F", "#007A87", "#74401A", "#CC8294", "#C2BC46")
BIN_KB = 0.1


def auroc_of_systems(table: pd.DataFrame) -> Figure:
    """Test AUROC of every system, a panel a label rule, a marker a cell type.

    Parameters
    ----------
    table
        Columns title, labels, cell, estimate, low, high; systems in the order of the rows.
    """
    rules = list(dict.fromkeys(table["labels"]))
    titles = list(dict.fromkeys(table["title"]))
    cells = list(dict.fromkeys(table["cell"]))
    fig, axes = plt.subplots(
        1, len(rules), figsize=(2.6 + 3.0 * len(rules), 1.2 + 0.36 * len(titles)), sharey=True,
        squeeze=False,
    )
    shifts = np.linspace(-0.18, 0.18, len(cells)) if len(cells) > 1 else [0.0]
    for axis, rule in zip(axes[0], rules, strict=True):
        for number, cell in enumerate(cells):
            rows = table[(table["labels"] == rule) & (table["cell"] == cell)]
            y = [titles.index(title) + shifts[number] for title in rows["title"]]
            _intervals(axis, rows, y, LABEL_COLOURS[rule], CELL_MARKERS[number % 8], cell)
        axis.set(title=f"{rule} labels", xlabel="test AUROC")
        axis.grid(alpha=0.3)
    axes[0, 0].set_yticks(range(len(titles)), titles)
    axes[0, 0].invert_yaxis()
    handles, names = axes[0, 0].get_legend_handles_labels()
    fig.legend(handles, names, loc="outside lower center", ncols=4, title="cell type")
    return fig


def critical_difference(rankings: Mapping[str, Ranking], titles: Mapping[str, str]) -> Figure:
    """Mean ranks of the systems with bars over those that Nemenyi's test does not tell apart.

    Parameters
    ----------
    rankings
        One panel each, by title.
    titles
        Names of the systems for readers.
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
    for level, (first, last) in enumerate(ranking.alike()):
        span = ranking.mean_rank[first] - 0.08, ranking.mean_rank[last] + 0.08
        axis.plot(span, [0.25 + 0.22 * level] * 2, color="#C0392B", linewidth=3)
    axis.plot([1, 1 + ranking.critical], [-0.8, -0.8], color="black", linewidth=1.5)
    axis.text(1 + ranking.critical / 2, -0.95, "critical difference", ha="center", va="bottom",
              fontsize=8.5)
    axis.set(xlim=(-3.6, systems + 4.6), ylim=(half + 1.4, -1.7), yticks=[])
    axis.set_xticks(range(1, systems + 1))
    axis.spines["left"].set_visible(False)


def attention(bins: pd.DataFrame, marks: pd.DataFrame) -> Figure:
    """AttentiveChrome's attention over bins of each mark, by class, and over marks.

    Parameters
    ----------
    bins
        Columns mark, class, kb (distance from the TSS), attention (mean over genes).
    marks
        Columns mark, class, attention.
    """
    names = list(dict.fromkeys(bins["mark"]))
    fig, axes = plt.subplots(2, 3, figsize=(8.6, 4.8), sharex=False)
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
    axes[0, 0].set_ylabel("attention of a bin")
    axes[1, 0].set_ylabel("attention of a bin")
    last = panels[-1]
    for shift, (class_, rows) in zip((-0.18, 0.18), marks.groupby("class", sort=False),
                                     strict=False):
        x = np.array([names.index(mark) for mark in rows["mark"]])
        last.bar(x + shift, rows["attention"], width=0.34, color=CLASS_COLOURS[class_])
    last.set_xticks(range(len(names)), names, rotation=40, ha="right")
    last.set(title="marks", ylabel="attention of a mark")
    handles, labels = panels[0].get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside lower center", ncols=2)
    return fig


def auroc_by_bin(table: pd.DataFrame) -> Figure:
    """What one bin is worth: validation AUROC of a linear SVM in each bin, a line a cell type.

    Parameters
    ----------
    table
        Columns cell, kb, auroc.
    """
    fig, axis = plt.subplots(figsize=(6.4, 3.2))
    for (cell, rows), style in zip(table.groupby("cell", sort=False), ("-", "--", ":", "-."),
                                   strict=False):
        axis.plot(rows["kb"], rows["auroc"], style, color="#1F1F1F", linewidth=1.4, label=cell)
    axis.axvline(0, color="0.6", linewidth=0.8)
    axis.set(xlabel="bin, kb from the TSS (upstream is negative)", ylabel="validation AUROC")
    axis.grid(alpha=0.3)
    axis.legend()
    return fig


def auroc_by_breadth(table: pd.DataFrame, words: Mapping[str, str]) -> Figure:
    """AUROC by the number of other cell types that express a gene, a panel a cell type.

    Parameters
    ----------
    table
        Columns cell, title, group, estimate, low, high, positives, n.
    words
        Numbers of cell types of each group, for the axis.
    """
    cells = list(dict.fromkeys(table["cell"]))
    groups = [name for name in words if name in set(table["group"])]
    titles = list(dict.fromkeys(table["title"]))
    fig, axes = plt.subplots(
        1, len(cells), figsize=(1.6 + 3.5 * len(cells), 3.9), sharey=True, squeeze=False
    )
    for axis, cell in zip(axes[0], cells, strict=True):
        for number, title in enumerate(titles):
            rows = table[(table["cell"] == cell) & (table["title"] == title)]
            x = np.array([groups.index(one) for one in rows["group"]]) + 0.12 * (
                number - (len(titles) - 1) / 2
            )
            colour = PREDICTOR_COLOURS[number % len(PREDICTOR_COLOURS)]
            error = np.abs(np.stack([rows["estimate"] - rows["low"],
                                     rows["high"] - rows["estimate"]]))
            axis.errorbar(x, rows["estimate"], yerr=error, fmt=CELL_MARKERS[number], color=colour,
                          markersize=4.5, linewidth=1.2, label=title)
        shares = table[table["cell"] == cell].drop_duplicates("group").set_index("group")
        ticks = [
            f"{words[one]}\n{shares.loc[one, 'positives']:.0%}" if one in shares.index
            else words[one]
            for one in groups
        ]
        axis.set_xticks(range(len(groups)), ticks)
        axis.set(title=cell, xlabel="other cell types above their median\nshare of positive genes")
        axis.axhline(0.5, color="0.6", linewidth=0.8)
        axis.grid(axis="y", alpha=0.3)
    axes[0, 0].set_ylabel("test AUROC within the group")
    handles, names = axes[0, 0].get_legend_handles_labels()
    fig.legend(handles, names, loc="outside lower center", ncols=3)
    return fig


def against_other_cells(table: pd.DataFrame) -> Figure:
    """Predictors with and without histone marks, by how much the genes' class varies.

    Parameters
    ----------
    table
        Columns cell, genes (name of the set), predictor, estimate, low, high.
    """
    cells = list(dict.fromkeys(table["cell"]))
    sets = list(dict.fromkeys(table["genes"]))
    predictors = list(dict.fromkeys(table["predictor"]))
    fig, axes = plt.subplots(
        1, len(cells), figsize=(2.8 + 3.2 * len(cells), 1.6 + 0.95 * len(sets)), sharex=True,
        sharey=True, squeeze=False,
    )
    shifts = np.linspace(-0.3, 0.3, len(predictors))
    for axis, cell in zip(axes[0], cells, strict=True):
        for number, predictor in enumerate(predictors):
            rows = table[(table["cell"] == cell) & (table["predictor"] == predictor)]
            y = [sets.index(one) + shifts[number] for one in rows["genes"]]
            _intervals(axis, rows, y, PREDICTOR_COLOURS[number % 5], CELL_MARKERS[number],
                       predictor)
        axis.set(title=cell, xlabel="test AUROC")
        axis.grid(axis="x", alpha=0.3)
    axes[0, 0].set_yticks(range(len(sets)), [name.replace(" and ", "\nand ") for name in sets])
    axes[0, 0].invert_yaxis()
    handles, names = axes[0, 0].get_legend_handles_labels()
    fig.legend(handles, names, loc="outside lower center", ncols=2)
    return fig


def _intervals(
    axis: Axes, rows: pd.DataFrame, y: list[float], colour: str, marker: str, name: str
) -> None:
    estimate = rows["estimate"].to_numpy()
    error = np.abs(np.stack([estimate - rows["low"], rows["high"] - estimate]))
    axis.errorbar(
        estimate, y, xerr=error, fmt=marker, color=colour, markersize=4.5, linewidth=1.2, label=name
    )
