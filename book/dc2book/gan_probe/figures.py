"""Figures of the GAN probe chapter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from dc2book.style import CLASS_COLOURS, INPUT_COLOURS, OTHER_COLOURS, mark_colour

INPUT_STYLES = {"real": "-", "generated": "--", "random": ":"}
LINE_COLOURS = OTHER_COLOURS[1:]
KILOBASES = "distance from the TSS (kb)"


def gan_training(histories: Mapping[str, pd.DataFrame], real: float) -> Figure:
    """Fréchet distance against the step, a line a GAN, with that between real sets."""
    fig, axis = plt.subplots(figsize=(5.6, 3.0))
    for (name, history), colour in zip(histories.items(), LINE_COLOURS, strict=False):
        values = history["frechet_distance"]
        axis.plot(history["step"], values, color=colour, marker="o", ms=3, label=name)
        best = int(values.argmin())
        axis.plot(history["step"].iloc[best], values.iloc[best], "o", mfc="none", ms=10,
                  color=colour)
    axis.axhline(real, color=INPUT_COLOURS["real"], linestyle="--", label="real against real")
    axis.set(xlabel="step", ylabel="Fréchet distance", yscale="log")
    axis.legend()
    return fig


def signal_profiles(
    sets: Mapping[str, np.ndarray], marks: Sequence[str], bin_width: int = 100
) -> Figure:
    """Mean signal by position with the middle 80 % of samples, a panel a mark.

    Parameters
    ----------
    sets
        Signals ``(sample, mark, bin)`` by kind of input ("real", "generated").
    bin_width
        Base pairs of a bin.
    """
    fig, axes = plt.subplots(len(marks), 1, figsize=(5.6, 1.5 * len(marks)), sharex=True)
    for number, (mark, axis) in enumerate(zip(marks, np.atleast_1d(axes), strict=True)):
        for name, signals in sets.items():
            values = signals[:, number]
            place = positions(values.shape[1], bin_width)
            low, high = np.quantile(values, (0.1, 0.9), axis=0)
            colour = INPUT_COLOURS[name]
            axis.fill_between(place, low, high, color=colour, alpha=0.15, linewidth=0)
            axis.plot(place, values.mean(0), INPUT_STYLES[name], color=colour, label=name)
        axis.set_title(mark)
        axis.set_ylabel("log(1 + reads)")
    axis.set_xlabel(KILOBASES)
    fig.legend(*axis.get_legend_handles_labels(), loc="outside upper right", ncols=len(sets))
    return fig


def correlation_panels(sets: Mapping[str, np.ndarray], marks: Sequence[str]) -> Figure:
    """Correlations between marks ``(mark, mark)``, a panel a kind of input."""
    fig, axes = plt.subplots(1, len(sets), figsize=(3.3 * len(sets) + 0.6, 3.6), sharey=True)
    ticks = range(len(marks))
    for axis, (name, values) in zip(np.atleast_1d(axes), sets.items(), strict=True):
        image = axis.imshow(values, vmin=-1, vmax=1, cmap="PuOr_r")
        for row, column in np.ndindex(*values.shape):
            dark = abs(values[row, column]) > 0.6
            axis.text(column, row, f"{values[row, column]:.2f}", ha="center", va="center",
                      fontsize=8, color="white" if dark else "black")
        axis.set_xticks(ticks, marks, rotation=45, ha="right")
        axis.set_yticks(ticks, marks)
        axis.set_title(name)
    fig.colorbar(image, ax=axes, shrink=0.7, label="correlation")
    return fig


def probability_curves(panels: Mapping[str, Mapping[str, np.ndarray]]) -> Figure:
    """Share of inputs below each probability of high expression, a panel a label rule.

    Parameters
    ----------
    panels
        Label rule to kind of input to probabilities ``(sample,)``.
    """
    fig, axes = plt.subplots(
        len(panels), 1, figsize=(5.0, 2.6 * len(panels)), sharex=True, squeeze=False
    )
    shares = np.linspace(0, 1, 201)
    for axis, (rule, inputs) in zip(axes[:, 0], panels.items(), strict=True):
        for name, values in inputs.items():
            axis.plot(np.quantile(values, shares), shares, INPUT_STYLES[name],
                      color=INPUT_COLOURS[name], label=name)
        axis.set(ylabel="share of inputs", title=f"{rule} labels", xlim=(0, 1), ylim=(0, 1))
        axis.legend(loc="lower right")
    axis.set_xlabel("probability of high expression, at most")
    return fig


def mark_activation(table: pd.DataFrame, marks: Sequence[str]) -> Figure:
    """Figure 4 of the paper: activation by mark and class, a row a label rule.

    Parameters
    ----------
    table
        Columns ``labels``, ``class``, ``mark``, ``normalised`` (the label of the vertical
        axis), ``value``, ``low``, ``high``.
    """
    rules = list(dict.fromkeys(table["labels"]))
    kinds = list(dict.fromkeys(table["normalised"]))
    fig, axes = plt.subplots(
        len(rules) * len(kinds), 1, figsize=(5.6, 2.3 * len(rules) * len(kinds)), squeeze=False
    )
    places = np.arange(len(marks))
    for axis, (rule, kind) in zip(
        axes[:, 0], [(rule, kind) for rule in rules for kind in kinds], strict=True
    ):
        part = table[(table["labels"] == rule) & (table["normalised"] == kind)]
        for side, class_ in ((-0.2, "high"), (0.2, "low")):
            rows = part[part["class"] == class_].set_index("mark").loc[list(marks)]
            spread = np.stack([rows["value"] - rows["low"], rows["high"] - rows["value"]])
            axis.bar(places + side, rows["value"], 0.38, yerr=spread.clip(0), capsize=2,
                     color=CLASS_COLOURS[class_], label=f"{class_} expression",
                     hatch="" if class_ == "high" else "//", edgecolor="white")
        axis.set_xticks(places, marks)
        axis.axhline(0, color="#444444", linewidth=0.8)
        axis.set(ylabel=kind, title=f"{rule} labels")
    axes[0, 0].legend()
    return fig


def top_profiles(
    panels: Mapping[str, Mapping[str, np.ndarray]], marks: Sequence[str], bin_width: int = 100
) -> Figure:
    """Mean signal by position of the samples a classifier likes best, a row a mark.

    Parameters
    ----------
    panels
        Class ("high", "low") to kind of input ("real", "generated") to signals
        ``(sample, mark, bin)``; a column a class.
    """
    fig, axes = plt.subplots(
        len(marks), len(panels), figsize=(3.6 * len(panels), 1.4 * len(marks)),
        sharex=True, sharey="row", squeeze=False,
    )
    for column, (class_, sets) in enumerate(panels.items()):
        for number, mark in enumerate(marks):
            axis = axes[number, column]
            for name, signals in sets.items():
                place = positions(signals.shape[2], bin_width)
                colour = mark_colour(mark) if name == "generated" else "#444444"
                axis.plot(place, signals[:, number].mean(0), color=colour,
                          linestyle="-" if name == "generated" else ":", label=name)
            axis.axvline(0, color="#BBBBBB", linewidth=0.8, zorder=0)
            axis.set_title(f"{mark}, {class_}")
            if column == 0:
                axis.set_ylabel("log(1 + reads)")
        axis.set_xlabel(KILOBASES)
    axes[0, 0].legend()
    return fig


def example_signals(panels: Mapping[str, np.ndarray], marks: Sequence[str]) -> Figure:
    """Some signals ``(sample, mark, bin)`` as heat maps, a row a panel."""
    columns = min(len(signals) for signals in panels.values())
    fig, axes = plt.subplots(
        len(panels), columns, figsize=(1.7 * columns + 1, 1.25 * len(panels) + 0.3),
        squeeze=False, sharex=True, sharey=True,
    )
    top = max(float(signals.max()) for signals in panels.values())
    for row, (name, signals) in zip(axes, panels.items(), strict=True):
        for axis, signal in zip(row, signals, strict=False):
            image = axis.imshow(signal, aspect="auto", vmin=0, vmax=top, cmap="magma_r",
                                interpolation="nearest")
            axis.set_yticks(range(len(marks)), marks, fontsize=7)
        row[0].set_title(name)
    for axis in axes[-1]:
        axis.set_xlabel("bin")
    fig.colorbar(image, ax=axes, label="log(1 + reads)", shrink=0.8)
    return fig


def positions(n_bins: int, bin_width: int = 100) -> np.ndarray:
    """Middle of each bin in kilobases from the transcription start site, ``(bin,)``."""
    return (np.arange(n_bins) - n_bins / 2 + 0.5) * bin_width / 1000
