"""Figures of the chapter on attributions and a planted truth."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from dc2book.ground_truth.attributions import Attribution
from dc2book.ground_truth.methods import METHODS
from dc2book.ground_truth.recovery import ASPECTS

RULE_NAMES = {
    "one_mark": "one mark",
    "two_marks": "two marks",
    "position": "position",
    "two_groups": "two groups",
    "null": "null",
}
RULE_COLOURS = {
    "one_mark": "#007A87",
    "two_marks": "#74401A",
    "position": "#1F1F1F",
    "two_groups": "#C2BC46",
    "null": "#7A7A7A",
    "permuted": "#BDBDBD",
}
RULE_MARKERS = {"one_mark": "o", "two_marks": "s", "position": "^", "two_groups": "D"}
KILOBASES = "distance from the TSS (kb)"
HOLLOW = {"color": "#444444", "mfc": "white", "ms": 4.5}
LEGEND = {"loc": "outside upper center", "columnspacing": 1.0, "handletextpad": 0.3}


def world_maps(differences: Mapping[str, np.ndarray], marks: Sequence[str]) -> Figure:
    """Mean signal of high minus low genes ``(mark, bin)``, a panel a rule."""
    fig, axes = plt.subplots(len(differences), 1, figsize=(6.2, 1.25 * len(differences) + 0.6),
                             sharex=True)
    limit = max(np.abs(values).max() for values in differences.values())
    for axis, (rule, values) in zip(np.atleast_1d(axes), differences.items(), strict=True):
        image = _map(axis, values, limit)
        axis.set_yticks(range(len(marks)), marks, fontsize=7.5)
        axis.set_title(RULE_NAMES.get(rule, rule))
    axis.set_xlabel(KILOBASES)
    fig.colorbar(image, ax=axes, shrink=0.6, label="log(1 + reads), high minus low")
    return fig


def attribution_grid(
    columns: Mapping[str, Mapping[str, Attribution]], marks: Sequence[str]
) -> Figure:
    """Attributions, a row a method and a column a network; each scaled to its own largest value.

    A method that does not say where is drawn as one colour a mark.
    """
    methods = list(next(iter(columns.values())))
    fig, axes = plt.subplots(
        len(methods), len(columns), figsize=(1.15 * len(columns) + 1.9, 0.78 * len(methods) + 0.6),
        sharex=True, sharey=True, squeeze=False,
    )
    for (row, column), axis in np.ndenumerate(axes):
        name, method = list(columns)[column], methods[row]
        values = drawn_map(columns[name][method])
        image = _map(axis, values / max(np.abs(values).max(), 1e-12), 1.0)
        axis.set_yticks(range(len(marks)), marks, fontsize=6.5)
        axis.tick_params(axis="x", labelsize=7)
        if row == 0:
            axis.set_title(RULE_NAMES.get(name, name), fontsize=9)
        if column == 0:
            axis.set_ylabel(METHODS[method].replace(" ", "\n"), rotation=0, ha="right",
                            va="center", fontsize=8)
    fig.supxlabel(KILOBASES, fontsize=9)
    fig.colorbar(image, ax=axes, shrink=0.4, label="evidence for high expression / its largest")
    return fig


def drawn_map(attribution: Attribution, n_bins: int = 100) -> np.ndarray:
    """The map ``(mark, bin)``, or a method's one number a mark in every bin."""
    if attribution.evidence is not None:
        return attribution.evidence
    sign = 1 if attribution.direction is None else np.sign(attribution.direction)
    return np.repeat((attribution.strength * sign)[:, None], n_bins, axis=1)


def recovery_dots(table: pd.DataFrame) -> Figure:
    """Score of every method by aspect (panel) and rule (symbol), with its interval.

    Hollow symbols are the same method on networks before training.
    """
    aspects = [aspect for aspect in ASPECTS if aspect in set(table["aspect"])]
    methods = _methods(table["method"])
    fig, axes = plt.subplots(1, len(aspects), figsize=(2.35 * len(aspects) + 1.4, 6.6),
                             sharey=True, squeeze=False)
    for axis, aspect in zip(axes[0], aspects, strict=True):
        for number, rule in enumerate(RULE_MARKERS):
            part = table[(table["aspect"] == aspect) & (table["rule"] == rule)]
            place = _rows(part["method"], methods) + 0.27 - 0.18 * number
            axis.hlines(place, part["low"], part["high"], color=RULE_COLOURS[rule], lw=1)
            _dots(axis, part["untrained"], part["value"], place, rule)
        axis.axvline(0.5, color="#7A7A7A", ls=":", lw=1)
        axis.set(title=aspect, xlim=(-0.04, 1.04))
        _label_methods(axis, methods)
    fig.supxlabel("score (1: all of it, 0.5: chance)", fontsize=10)
    _rule_legend(fig, axes[0, 0])
    return fig


def finding_strips(ratios: pd.DataFrame) -> Figure:
    """Each network's statistic in units of its threshold, a panel a statistic, a row a method."""
    statistics, groups = (list(dict.fromkeys(ratios[name])) for name in ("statistic", "group"))
    methods = _methods(ratios["method"])
    fig, axes = plt.subplots(1, len(statistics), figsize=(8.2, 5.6), sharey=True, squeeze=False)
    for axis, statistic in zip(axes[0], statistics, strict=True):
        for number, group in enumerate(groups):
            part = ratios[(ratios["statistic"] == statistic) & (ratios["group"] == group)]
            offset = 0.32 - 0.64 * number / max(len(groups) - 1, 1)
            axis.plot(part["ratio"], _rows(part["method"], methods) + offset, ls="none", ms=3.2,
                      alpha=0.8, color=RULE_COLOURS.get(group, "#444444"),
                      marker=RULE_MARKERS.get(group, "|" if group == "permuted" else "x"),
                      label=RULE_NAMES.get(group, f"{group} labels"))
        axis.axvline(1, color="#444444", lw=1)
        axis.set(title=statistic, xscale="log" if statistic == "size" else "linear",
                 xlabel=f"{statistic} / threshold")
        _label_methods(axis, methods)
    fig.legend(*axis.get_legend_handles_labels(), ncols=6, **LEGEND)
    return fig


def similarity_dots(table: pd.DataFrame) -> Figure:
    """How alike the attributions of two trained networks are, and of one before and after training.

    A row a method, a symbol a rule; hollow symbols are before and after training.
    """
    methods = _methods(table["method"])
    fig, axis = plt.subplots(figsize=(6.6, 5.0))
    means = table.groupby(["rule", "method"], sort=False)[["other_seed", "untrained"]].mean()
    for number, rule in enumerate(RULE_MARKERS):
        if rule in means.index.get_level_values(0):
            part = means.loc[rule]
            place = _rows(part.index, methods) + 0.27 - 0.18 * number
            _dots(axis, part["untrained"], part["other_seed"], place, rule)
    axis.axvline(0, color="#7A7A7A", ls=":", lw=1)
    axis.set_xlabel("Spearman correlation of absolute attributions")
    axis.set_xlim(min(-0.2, axis.get_xlim()[0]), 1.03)
    _label_methods(axis, methods)
    _rule_legend(fig, axis)
    return fig


def agreement_map(table: pd.DataFrame) -> Figure:
    """Correlations of the methods' attributions of one classifier, method by method."""
    names = [METHODS[method] for method in table.index]
    fig, axis = plt.subplots(figsize=(6.2, 5.2))
    image = axis.imshow(table.to_numpy(), vmin=-1, vmax=1, cmap="PuOr_r")
    for (row, column), value in np.ndenumerate(table.to_numpy()):
        axis.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=7.5,
                  color="white" if abs(value) > 0.65 else "black")
    axis.set_xticks(range(len(names)), names, rotation=40, ha="right")
    axis.set_yticks(range(len(names)), names)
    fig.colorbar(image, shrink=0.7, label="Spearman correlation")
    return fig


def _methods(named: Iterable[str]) -> list[str]:
    """The methods that are named, from the lowest row up."""
    return [method for method in METHODS if method in set(named)][::-1]


def _rows(named: Iterable[str], methods: Sequence[str]) -> np.ndarray:
    return np.array([methods.index(method) for method in named], dtype=float)


def _label_methods(axis: Axes, methods: Sequence[str]) -> None:
    axis.set_yticks(range(len(methods)), [METHODS[method] for method in methods])
    axis.set_ylim(-0.6, len(methods) - 0.4)
    for line in np.arange(len(methods) - 1) + 0.5:
        axis.axhline(line, color="#EEEEEE", lw=0.8, zorder=0)


def _dots(axis: Axes, before: pd.Series, after: pd.Series, place: np.ndarray, rule: str) -> None:
    look = {"color": RULE_COLOURS[rule], "marker": RULE_MARKERS[rule], "ls": "none", "ms": 4.5}
    axis.plot(before, place, **look, mfc="white", zorder=3)
    axis.plot(after, place, **look, zorder=4, label=RULE_NAMES[rule])


def _rule_legend(fig: Figure, axis: Axes) -> None:
    axis.plot([], [], "o", **HOLLOW, label="before training")
    fig.legend(*axis.get_legend_handles_labels(), ncols=5, **LEGEND)


def _map(axis: Axes, values: np.ndarray, limit: float) -> AxesImage:
    half = values.shape[1] / 20  # kilobases: bins of 100 base pairs
    return axis.imshow(
        values, aspect="auto", cmap="PuOr_r", vmin=-limit, vmax=limit, interpolation="nearest",
        extent=(-half, half, len(values) - 0.5, -0.5),
    )
