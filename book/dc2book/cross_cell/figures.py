"""Figures of the cross-cell chapter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from dc2book.cross_cell.results import BASELINE
from dc2book.style import (
    LABEL_COLOURS,
    LABEL_NAMES,
    MANY_CELLS,
    OTHER_COLOURS,
    forest,
    legend_below,
)

EXPERIMENT_NAMES = {
    "deepchrome": "DeepChrome (own)",
    "inclusive_highly": "Inclusive Highly",
    "exclusive_highly": "Exclusive Highly",
    "inclusive_somewhat": "Inclusive Somewhat",
    "exclusive_somewhat": "Exclusive Somewhat",
    "inclusive_random": "Inclusive Random",
    "exclusive_random": "Exclusive Random",
    "inclusive_all": "Inclusive All",
    "exclusive_all": "Exclusive All",
}
DRIVER_NAMES = {
    "released_correlation": "correlation as released",
    "aligned_correlation": "correlation, columns right",
    "log_correlation": "correlation of log RPKM",
    "label_flips": "clean training labels",
    "median": "low median of the training cell type",
    "positives": "positive share of training labels",
}
RULE_MARKERS = {"numeric": "o", "lexicographic": "s"}


def learning_curves(table: pd.DataFrame) -> Figure:
    """What training has still to gain by the gene passes made, a panel per label rule.

    Parameters
    ----------
    table
        Columns labels, experiment, passes, missing.
    """
    rules = list(dict.fromkeys(table["labels"]))
    fig, axes = plt.subplots(1, len(rules), figsize=(1 + 3.5 * len(rules), 3.1), sharey=True,
                             squeeze=False)
    for axis, rule in zip(axes[0], rules, strict=True):
        for name, one in table[table["labels"] == rule].groupby("experiment", sort=False):
            alone = name == BASELINE
            axis.plot(one["passes"], one["missing"], color=OTHER_COLOURS[0 if alone else 1],
                      marker="o", markersize=3, linewidth=1.8 if alone else 1,
                      label="own model" if alone else
                      "several cell types" if name == "inclusive_all" else None)
        axis.axhline(0.001, color="0.4", linewidth=0.8, linestyle=":")
        axis.set(xscale="log", xlabel="gene passes", title=LABEL_NAMES[rule])
    axes[0, 0].set_ylabel("validation AUROC\nstill to gain")
    legend_below(fig, 2)
    return fig


def experiment_maps(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """AUROC normalised by cell type, a row per experiment; blank where none qualifies (Figure 5).

    ``tables``: table (experiment, cell) with values from 0 to 1, by title.
    """
    first = next(iter(tables.values()))
    height = 0.9 + 0.27 * len(first) + (0.35 if len(first.columns) > MANY_CELLS else 0.1)
    fig, axes = plt.subplots(len(tables), 1, figsize=(7.6, height * len(tables)), squeeze=False)
    for axis, (title, table) in zip(axes[:, 0], tables.items(), strict=True):
        axis.set_facecolor("0.92")
        image = axis.imshow(
            np.ma.masked_invalid(table.to_numpy(dtype=float)), vmin=0, vmax=1, aspect="auto",
            interpolation="nearest",
        )
        axis.set_yticks(range(len(table)), [EXPERIMENT_NAMES[name] for name in table.index])
        _cell_ticks(axis.xaxis, table.columns, rotation=90 if len(table.columns) > 10 else 0)
        axis.set_title(title)
    axes[-1, 0].set_xlabel("test cell type")
    fig.colorbar(image, ax=axes[:, 0].tolist(), shrink=0.7,
                 label="AUROC, from the cell type's\nworst (0) to its best (1)")
    return fig


def experiment_bars(means: pd.DataFrame) -> Figure:
    """Mean AUROC of the experiments, sorted by correlation and by training-set size (Figure 6).

    ``means``: columns labels, experiment, estimate, low, high, correlation (mean of the training
    cell types with the test cell type), genes (mean number of training genes).
    """
    rules = list(dict.fromkeys(means["labels"]))
    fig, axes = plt.subplots(len(rules), 2, figsize=(8.6, 0.9 + 2.9 * len(rules)), squeeze=False,
                             sharex="row")
    orders = {"correlation": "(a) by correlation", "genes": "(b) by training genes"}
    for row, rule in zip(axes, rules, strict=True):
        part = means[means["labels"] == rule]
        low, high = part["low"].min(), part["high"].max()
        for axis, (column, title) in zip(row, orders.items(), strict=True):
            table = part.sort_values(column)
            error = np.abs(table[["low", "high"]].sub(table["estimate"], axis=0)).to_numpy().T
            axis.barh(range(len(table)), table["estimate"], xerr=error, height=0.66,
                      color=LABEL_COLOURS[rule], alpha=0.8, error_kw={"linewidth": 1.1})
            axis.set_yticks(range(len(table)), [
                f"{EXPERIMENT_NAMES[one.experiment]}, {_amount(one, column)}"
                for one in table.itertuples()
            ])
            pad = 0.12 * (high - low)
            axis.set_xlim(low - 3 * pad, high + pad)
            axis.xaxis.set_major_locator(MaxNLocator(4))
            axis.set_title(f"{title}\n{LABEL_NAMES[rule]}", fontsize=9)
    for axis in axes[-1]:
        axis.set_xlabel("mean test AUROC (the axis is cut)")
    return fig


def gain_forest(table: pd.DataFrame) -> Figure:
    """Gain of pooled training over the own model, a row per comparison, colours by training set.

    ``table``: columns row, experiment, estimate, low, high.
    """
    colours = dict(zip(("inclusive_all", "exclusive_all"), OTHER_COLOURS[1:3], strict=True))
    return forest(
        table, "row", colour="experiment", names=EXPERIMENT_NAMES, colours=colours, reference=0,
        xlabel="AUROC minus own model",
    )


def change_forest(table: pd.DataFrame) -> Figure:
    """Change of AUROC against the own model, experiments as rows, set-ups side by side.

    ``table``: columns setup, labels, experiment, estimate, low, high.
    """
    return forest(
        table, "experiment", panels="setup", colour="labels", names=EXPERIMENT_NAMES | LABEL_NAMES,
        order=list(EXPERIMENT_NAMES), markers=RULE_MARKERS, reference=0,
        xlabel="AUROC minus own model",
    )


def elsewhere_forest(table: pd.DataFrame, names: Mapping[str, str]) -> Figure:
    """AUROC of each predictor, a panel per choice of genes: by cell type, or many as dots.

    ``table``: columns genes, predictor, cell (``"mean"`` is the mean over the others), estimate,
    low, high. ``names``: text of predictors and of choices of genes.
    """
    look = {"panels": "genes", "colour": "predictor", "names": names, "xlabel": "test AUROC"}
    is_mean = table["cell"] == "mean"
    if table["cell"][~is_mean].nunique() <= MANY_CELLS:
        return forest(table, "cell", legend_columns=3, **look)
    return forest(table[is_mean], "predictor", dots=table[~is_mean], **look)


def pair_panels(
    panels: Mapping[str, tuple[pd.DataFrame, str, str]], ylabel: str = "AUROC minus own model's"
) -> Figure:
    """Change of AUROC against a driver for every pair of cell types, with trend (Figure 7).

    ``panels``: by title: a table with columns driver and change, the label of its x axis, and the
    text to write into the panel.
    """
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    fig, axes = plt.subplots(rows, columns, figsize=(4.1 * columns, 3.1 * rows), squeeze=False)
    for axis, (title, (table, name, text)) in zip(axes.flat, panels.items(), strict=False):
        known = table.dropna(subset=["driver", "change"])
        many = len(known) > 300
        axis.scatter(known["driver"], known["change"], s=4 if many else 14, color="0.45",
                     alpha=0.35 if many else 0.8, linewidth=0, rasterized=many)
        if known["driver"].nunique() > 1:
            slope, level = np.polyfit(known["driver"], known["change"], 1)
            ends = np.array([known["driver"].min(), known["driver"].max()])
            axis.plot(ends, level + slope * ends, color=OTHER_COLOURS[0])
        axis.axhline(0, color="0.3", linewidth=0.7, linestyle=":")
        axis.set(title=title, xlabel=name, ylabel=ylabel)
        low, high = axis.get_ylim()
        axis.set_ylim(low - 0.12 * (high - low), high)
        axis.text(0.02, 0.03, text, transform=axis.transAxes, fontsize=9,
                  bbox={"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 1.5})
    for axis in list(axes.flat)[len(panels):]:
        axis.set_axis_off()
    return fig


def driver_forest(table: pd.DataFrame) -> Figure:
    """Rank correlation of transfer with each driver, a panel per study.

    ``table``: columns study (the panel), labels, driver, estimate, low, high.
    """
    return forest(
        table, "driver", panels="study", colour="labels", names=DRIVER_NAMES | LABEL_NAMES,
        order=list(DRIVER_NAMES), markers=RULE_MARKERS, reference=0, xlim=(-1, 1),
        xlabel="mean rank correlation\nwith transfer",
    )


def probability_shift(table: pd.DataFrame) -> Figure:
    """Change of predicted probability by the gene's RPKM rank, a panel per label rule (Figure 9).

    ``table``: columns cell, labels, position (middle of the bin of RPKM ranks, 0 to 1), mean,
    lower, upper (quartiles of the genes).  Thin lines are cell types, the thick one is their mean.
    """
    rules = list(dict.fromkeys(table["labels"]))
    fig, axes = plt.subplots(1, len(rules), figsize=(1 + 3.5 * len(rules), 3.2), sharey=True,
                             squeeze=False)
    for axis, rule in zip(axes[0], rules, strict=True):
        part = table[table["labels"] == rule]
        axis.axhline(0, color="0.4", linewidth=0.8)
        axis.axvline(0.5, color="0.4", linewidth=0.8, linestyle=":")
        for number, (_, one) in enumerate(part.groupby("cell", sort=False)):
            axis.plot(one["position"], one["mean"], color=LABEL_COLOURS[rule], linewidth=0.8,
                      alpha=0.5, label=None if number else "one cell type")
        mean = part.groupby("position")[["mean", "lower", "upper"]].mean()
        axis.fill_between(mean.index, mean["lower"], mean["upper"], color=LABEL_COLOURS[rule],
                          alpha=0.15, linewidth=0, label="middle half of the genes")
        axis.plot(mean.index, mean["mean"], color=LABEL_COLOURS[rule], linewidth=2.2,
                  label="mean of the cell types")
        axis.set_title(LABEL_NAMES[rule])
        axis.set_xlabel("RPKM rank of the gene (0 lowest, 1 highest)")
    axes[0, 0].set_ylabel("Inclusive All\nminus own model")
    legend_below(fig, 3)
    return fig


def _amount(one: object, column: str) -> str:
    return f"r {one.correlation:.2f}" if column == "correlation" else f"{one.genes:,.0f}"


def _cell_ticks(axis: object, names: Sequence[str], rotation: float = 0) -> None:
    step = 1 if len(names) <= MANY_CELLS else 5
    places = range(0, len(names), step)
    axis.set_ticks(places, [names[i] for i in places], rotation=rotation)
