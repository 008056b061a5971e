"""Figures of the GAN probe chapter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from dc2book import style
from dc2book.gan_probe.quality import NAMES
from dc2book.style import CLASS_COLOURS, INPUT_COLOURS

SOURCE_STYLES = {
    "measured_genes": ("-", INPUT_COLOURS["real"]),
    "histone_gan": ("--", INPUT_COLOURS["generated"]),
    "histone_likelihood": ("-.", style.FURTHER_COLOURS[1]),
}
INPUT_STYLES = {"real": "-", "generated": "--", "random": ":"}
NORMALISED = {
    "mark_share_of_reads": "share of reads",
    "mark_activation": "log2 of reads against all",
}


def signal_profiles(sets: Mapping[str, np.ndarray], marks: Sequence[str]) -> Figure:
    """Mean and 90th percentile of the signal by position, a panel per mark.

    ``sets``: signals ``(sample, mark, bin)`` by source, as in `NAMES`.
    """
    fig, panels = style.panels(dict(zip(marks, range(len(marks)), strict=True)), (5.6, 1.5),
                               down=True, xlabel=style.FROM_TSS, ylabel="log(1 + reads)")
    for axis, _, number in panels:
        for name, signals in sets.items():
            values = signals[:, number]
            place = style.kilobases(values.shape[1])
            line, colour = SOURCE_STYLES[name]
            axis.plot(place, values.mean(0), line, color=colour, linewidth=2, label=NAMES[name])
            axis.plot(place, np.quantile(values, 0.9, axis=0), line, color=colour, linewidth=0.8)
    fig.legend(*axis.get_legend_handles_labels(), loc="outside upper right", ncols=len(sets))
    return fig


def probability_curves(panels: Mapping[str, Mapping[str, np.ndarray]]) -> Figure:
    """Share of inputs below each probability of high expression, a panel per label rule.

    ``panels``: label rule to kind of input to probabilities ``(sample,)``.
    """
    fig, by_rule = style.panels(
        panels, (5.0, 2.6), style.LABEL_NAMES, down=True, ylabel="share of inputs",
        xlabel="probability of high expression, at most")
    shares = np.linspace(0, 1, 201)
    for axis, _, inputs in by_rule:
        for name, values in inputs.items():
            axis.plot(np.quantile(values, shares), shares, INPUT_STYLES[name],
                      color=INPUT_COLOURS[name], label=name)
        axis.set(xlim=(0, 1), ylim=(0, 1))
        axis.legend(loc="lower right")
    return fig


def mark_activation(table: pd.DataFrame, marks: Sequence[str]) -> Figure:
    """Figure 4 of the paper: activation by mark and class, a column per source.

    ``table``: columns ``key`` (one of `NORMALISED`, a row each), ``model``, ``class``, ``mark``,
    ``estimate``, ``low``, ``high``, of one label rule.
    """
    fig, axes = plt.subplots(
        len(NORMALISED), len(NAMES), figsize=(2.7 * len(NAMES), 2.3 * len(NORMALISED)),
        squeeze=False, sharex=True, sharey="row",
    )
    places = np.arange(len(marks))
    for row, (key, title) in zip(axes, NORMALISED.items(), strict=True):
        row[0].set_ylabel(title)
        for axis, model in zip(row, NAMES, strict=True):
            part = table[(table["model"] == model) & (table["key"] == key)]
            for side, class_ in ((-0.2, "high"), (0.2, "low")):
                one = part[part["class"] == class_].set_index("mark").loc[list(marks)]
                spread = np.stack([one["estimate"] - one["low"], one["high"] - one["estimate"]])
                axis.bar(places + side, one["estimate"], 0.38, yerr=spread.clip(0), capsize=2,
                         color=CLASS_COLOURS[class_], label=f"{class_} expression",
                         hatch="" if class_ == "high" else "//", edgecolor="white")
            axis.set_xticks(places, marks, rotation=40, ha="right")
            axis.axhline(0, color="#444444", linewidth=0.8)
    for axis, title in zip(axes[0], NAMES.values(), strict=True):
        axis.set_title(title)
    fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper right", ncols=2)
    return fig


def top_profiles(panels: Mapping[str, Mapping[str, np.ndarray]], marks: Sequence[str]) -> Figure:
    """Mean signal by position of the samples a classifier likes best, a row per mark.

    ``panels``: class ("high", "low") to source, as in `NAMES`, to signals ``(sample, mark,
    bin)``; a column per class.
    """
    fig, axes = plt.subplots(
        len(marks), len(panels), figsize=(3.6 * len(panels), 1.4 * len(marks)),
        sharex=True, sharey="row", squeeze=False,
    )
    for column, (class_, sets) in enumerate(panels.items()):
        for number, mark in enumerate(marks):
            axis = axes[number, column]
            for name, signals in sets.items():
                place = style.kilobases(signals.shape[2])
                real = name == "measured_genes"
                axis.plot(place, signals[:, number].mean(0), SOURCE_STYLES[name][0],
                          color="#444444" if real else style.mark_colour(mark), label=NAMES[name],
                          linewidth=2.4 if real else 1.2)
            axis.axvline(0, color="#BBBBBB", linewidth=0.8, zorder=0)
            axis.set_title(f"{mark}, {class_}")
            if column == 0:
                axis.set_ylabel("log(1 + reads)")
        axis.set_xlabel(style.FROM_TSS)
    fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper right", ncols=3)
    return fig
