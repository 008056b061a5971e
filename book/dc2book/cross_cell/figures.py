"""Figures of the cross-cell chapter."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from dc2book import style
from dc2book.cross_cell.results import BASELINE
from dc2book.style import LABEL_COLOURS, LABEL_NAMES, MANY_CELLS, OTHER_COLOURS

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


def learning_curves(table: pd.DataFrame) -> Figure:
    """What training has still to gain by the gene passes made, a panel per label rule.

    ``table``: columns labels, experiment, passes, missing.
    """
    fig, panels = style.panels(style.split_by(table, "labels"), (4.0, 3.1), LABEL_NAMES,
                               xlabel="gene passes", ylabel="validation AUROC\nstill to gain")
    for axis, _, part in panels:
        for name, one in part.groupby("experiment", sort=False):
            alone = name == BASELINE
            axis.plot(one["passes"], one["missing"], color=OTHER_COLOURS[0 if alone else 1],
                      marker="o", markersize=3, linewidth=1.8 if alone else 1,
                      label="own model" if alone else
                      "several cell types" if name == "inclusive_all" else None)
        axis.axhline(0.001, color="0.4", linewidth=0.8, linestyle=":")
        axis.set_xscale("log")
    style.legend_below(fig)
    return fig


def experiment_maps(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """AUROC normalised by cell type, a row per experiment; blank where none qualifies (Figure 5).

    ``tables``: table (experiment, cell) with values from 0 to 1, by title.
    """
    first = next(iter(tables.values()))
    height = 0.9 + 0.27 * len(first) + (0.35 if len(first.columns) > MANY_CELLS else 0.1)
    fig, panels = style.panels(tables, (7.6, height), down=True, sharex=False)
    for axis, _, table in panels:
        axis.set_facecolor("0.92")
        image = axis.imshow(table.astype(float), vmin=0, vmax=1, aspect="auto",
                            interpolation="nearest")
        axis.set_yticks(range(len(table)), [EXPERIMENT_NAMES[name] for name in table.index])
        step = 1 if len(table.columns) <= MANY_CELLS else 5
        axis.set_xticks(range(0, len(table.columns), step), table.columns[::step],
                        rotation=90 if len(table.columns) > 10 else 0)
    axis.set_xlabel("test cell type")
    fig.colorbar(image, ax=fig.axes, shrink=0.7,
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


def predictor_forest(table: pd.DataFrame, names: Mapping[str, str]) -> Figure:
    """AUROC of each predictor, a panel per choice of genes: by cell type, or many as dots.

    ``table``: columns genes, predictor, cell (``"mean"`` is the mean over the others), estimate,
    low, high. ``names``: text of predictors and of choices of genes.
    """
    few = len(set(table["cell"]) - {style.MEAN}) <= MANY_CELLS
    return style.forest(table, "cell" if few else "predictor", panels="genes", colour="predictor",
                  names=names, xlabel="test AUROC", legend_columns=3)


def pair_panels(
    pairs: Mapping[str, tuple[pd.DataFrame, str, str]], ylabel: str = "AUROC minus own model's"
) -> Figure:
    """Change of AUROC against a driver for every pair of cell types, with trend (Figure 7).

    ``pairs``: by title: a table with columns driver and change, the label of its x axis, and the
    text to write into the panel.
    """
    columns = min(2, len(pairs))
    rows = -(-len(pairs) // columns)
    fig, axes = plt.subplots(rows, columns, figsize=(4.1 * columns, 3.1 * rows), squeeze=False)
    for axis, (title, (table, name, text)) in zip(axes.flat, pairs.items(), strict=False):
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
    for axis in list(axes.flat)[len(pairs):]:
        axis.set_axis_off()
    return fig


def probability_shift(table: pd.DataFrame) -> Figure:
    """Change of predicted probability by the gene's RPKM rank, a panel per label rule (Figure 9).

    ``table``: columns cell, labels, position (middle of the bin of RPKM ranks, 0 to 1), mean,
    lower, upper (quartiles of the genes).  Thin lines are cell types, the thick one is their mean.
    """
    fig, panels = style.panels(style.split_by(table, "labels"), (4.0, 3.2), LABEL_NAMES,
                               xlabel="RPKM rank of the gene (0 lowest, 1 highest)",
                               ylabel="Inclusive All\nminus own model")
    for axis, rule, part in panels:
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
    style.legend_below(fig, 3)
    return fig


def _amount(one: object, column: str) -> str:
    return f"r {one.correlation:.2f}" if column == "correlation" else f"{one.genes:,.0f}"
