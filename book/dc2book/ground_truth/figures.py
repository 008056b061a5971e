"""Figures of the chapter on attributions and a planted truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from dc2book.ground_truth.attributions import Attribution
from dc2book.ground_truth.methods import METHODS
from dc2book.style import forest

RULE_NAMES = {
    "one_mark": "one mark",
    "two_marks": "two marks",
    "position": "position",
    "two_groups": "two groups",
    "null": "null",
    "permuted": "permuted labels",
}
RULE_COLOURS = {
    "one_mark": "#007A87",
    "two_marks": "#74401A",
    "position": "#1F1F1F",
    "two_groups": "#C2BC46",
    "null": "#7A7A7A",
    "permuted": "#BDBDBD",
}
RULE_MARKERS = {"one_mark": "o", "two_marks": "s", "position": "^", "two_groups": "D",
                "null": "x", "permuted": "|"}
KILOBASES = "distance from the TSS (kb)"
LOOK = {
    "colour": "rule", "colours": RULE_COLOURS, "names": METHODS | RULE_NAMES,
    "order": tuple(METHODS), "markers": RULE_MARKERS, "legend_columns": 6,
}


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


def recovery_forest(table: pd.DataFrame) -> Figure:
    """Score of every method by aspect (panel) and rule (symbol), with its interval.

    Hollow symbols are the same method on networks before training.
    """
    return forest(
        table.rename(columns={"value": "estimate"}), "method", panels="aspect", hollow="untrained",
        reference=0.5, xlim=(-0.04, 1.04), xlabel="score (0.5: chance)", **LOOK,
    )


def finding_strips(ratios: pd.DataFrame) -> Figure:
    """Each network's statistic in units of its threshold, a panel a statistic, a row a method."""
    table = ratios.rename(columns={"ratio": "estimate", "group": "rule"})
    fig = forest(
        table.assign(low=np.nan, high=np.nan), "method", panels="statistic", reference=1,
        sharex=False, xlabel="statistic / threshold", **LOOK,
    )
    sizes = table.loc[(table["statistic"] == "size") & (table["estimate"] > 0), "estimate"]
    for axis, statistic in zip(fig.axes, table["statistic"].unique(), strict=True):
        if statistic == "size":
            axis.set(xscale="log", xlim=(sizes.min() / 1.2, sizes.max() * 1.2))
    return fig


def similarity_forest(table: pd.DataFrame) -> Figure:
    """How alike the attributions of two trained networks are, and of one before and after training.

    A row a method, a symbol a rule; hollow symbols are before and after training.
    """
    means = table.groupby(["rule", "method"], sort=False)[["other_seed", "untrained"]].mean()
    means = means.rename(columns={"other_seed": "estimate"}).reset_index()
    return forest(
        means.assign(low=np.nan, high=np.nan), "method", hollow="untrained", reference=0,
        xlabel="Spearman correlation of absolute attributions", **LOOK,
    )


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


def _map(axis: Axes, values: np.ndarray, limit: float) -> AxesImage:
    half = values.shape[1] / 20  # kilobases: bins of 100 base pairs
    return axis.imshow(
        values, aspect="auto", cmap="PuOr_r", vmin=-limit, vmax=limit, interpolation="nearest",
        extent=(-half, half, len(values) - 0.5, -0.5),
    )
