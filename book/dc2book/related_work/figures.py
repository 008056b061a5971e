"""Figures of the chapter on the systems that the paper stands on."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dc2book.related_work.scores import Ranking
from dc2book.style import CLASS_COLOURS, mark_colour


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
