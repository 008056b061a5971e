"""Figures of the chapter on the systems that the paper stands on."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from dc2book.style import CLASS_COLOURS, FROM_TSS, mark_colour


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
        axis.set(xlabel=FROM_TSS, ylim=(0, 1.15 * bins["attention"].max()))
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
    """What one bin is worth: validation AUROC of a linear SVM in each bin, a line per cell type.

    Of more cell types than there are line styles all lines are thin, and their mean is thick.

    Columns cell, kb, auroc.
    """
    fig, axis = plt.subplots(figsize=(6.4, 3.2))
    styles = ("-", "--", ":", "-.")
    cells = table["cell"].unique()
    few = len(cells) <= len(styles)
    for number, (cell, rows) in enumerate(table.groupby("cell", sort=False)):
        name = cell if few else None if number else "one cell type"
        look = {"color": "#1F1F1F", "linewidth": 1.4} if few else {"color": "0.6", "linewidth": 0.7}
        axis.plot(rows["kb"], rows["auroc"], styles[number] if few else "-", label=name, **look)
    if not few:
        mean = table.groupby("kb")["auroc"].mean()
        axis.plot(mean.index, mean, color="#1F1F1F", linewidth=2,
                  label=f"mean of {len(cells)} cell types")
    axis.axvline(0, color="0.6", linewidth=0.8)
    axis.set(xlabel="bin, kb from the TSS (upstream is negative)", ylabel="validation AUROC")
    axis.grid(alpha=0.3)
    axis.legend()
    return fig
