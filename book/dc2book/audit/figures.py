"""Figures of the audit chapter: one function per figure."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from dc2book import style
from dc2book.style import LABEL_COLOURS, LABEL_NAMES, OTHER_COLOURS, RISING_COLOURS

MODEL_NAMES = style.MODEL_NAMES | {"deepchrome_max": "DeepChrome (max)",
                                   "gradient_boosting": "gradient boosting"}
DIGIT_COLOURS = dict(zip("12345", RISING_COLOURS, strict=True))
NOT_DETECTED = 0.004
FIRST_STEP = (-0.13, 0.13)  # where `dc2book.style.forest` puts two points of the first row


def toy_genes(table: pd.DataFrame, median: float) -> Figure:
    """The toy set's genes along their RPKM, coloured by label: released, text rule, numeric rule.

    ``table``: as `dc2book.audit.evidence.toy_labels_under_rules`.
    """
    rows = {"numeric rule": "numeric", "text rule": "lexicographic", "released label": "released"}
    rpkm = table["rpkm"].astype(float).clip(lower=NOT_DETECTED).to_numpy()
    wrong = (table["numeric"] != table["released"]).to_numpy()
    fig, axis = plt.subplots(figsize=(7.2, 2.7))
    for height, column in enumerate(rows.values()):
        for value, name in ((0, "low"), (1, "high")):
            chosen = (table[column] == value).to_numpy()
            axis.scatter(
                rpkm[chosen], np.full(chosen.sum(), height), s=58, color=style.CLASS_COLOURS[name],
                marker="o" if value else "v", edgecolor="white", linewidth=0.6,
                label=f"{name} expression" if height == 0 else None, zorder=3,
            )
    for x in rpkm[wrong]:
        axis.axvspan(x * 0.955, x * 1.047, color="0.88", zorder=0, linewidth=0)
    axis.axvline(median, color="0.3", linewidth=1, linestyle="--")
    axis.text(median * 0.93, 2.42, f"median {median:g}", ha="right", fontsize=9)
    axis.set_xscale("log")
    axis.set_xticks([NOT_DETECTED, 0.01, 0.1, 1, 10, 100], ["0", "0.01", "0.1", "1", "10", "100"])
    axis.set_yticks(range(3), list(rows))
    axis.set(xlabel="expression in E003 (RPKM)", ylim=(-0.5, 2.8))
    fig.legend(loc="outside upper right", ncols=2)
    return fig


def coincidences(table: pd.DataFrame, reach: int = 30) -> Figure:
    """How many released runs lie at each distance from a majority class, by rule.

    ``table``: as `dc2book.audit.evidence.run_counts`.
    """
    fig, axes = plt.subplots(2, 1, figsize=(7.2, 3.8), sharex=True, sharey=True)
    names = {"lexicographic": "text", "numeric": "numeric"}
    for axis, (rule, name) in zip(axes, names.items(), strict=True):
        distance = table.loc[table["rule"] == rule, "distance"].to_numpy()
        shifts = np.arange(-reach, reach + 1)
        number = [(distance == shift).sum() for shift in shifts]
        colours = [LABEL_COLOURS[rule] if shift == 0 else "0.75" for shift in shifts]
        axis.bar(shifts, number, color=colours, width=0.85)
        axis.set(title=f"majority class under the {name} rule", ylabel="runs")
        axis.annotate(f"{number[reach]} runs exactly", (1, max(number[reach] - 1, 0.5)), fontsize=9)
    axes[1].set_xlabel("correct answers minus size of the majority class (test genes)")
    return fig


def flips_against_scores(table: pd.DataFrame) -> Figure:
    """AUROC of every cell type by flipped share and by median RPKM, coloured by its first digit.

    ``table``: as `dc2book.audit.evidence.flips_and_scores`.
    """
    fig, axes = plt.subplots(2, 2, figsize=(7.4, 5.4), sharey="row", sharex="col")
    sources = {"published": "DeepChrome, published", "released": "DeepChrome 2.0, released"}
    for row, (column, name) in zip(axes, sources.items(), strict=True):
        for digit, part in table.groupby("digit"):
            row[0].scatter(part["flipped"], part[column], s=26, color=DIGIT_COLOURS[digit],
                           edgecolor="white", linewidth=0.4, label=digit)
            row[1].scatter(part["median"], part[column], s=26, color=DIGIT_COLOURS[digit],
                           edgecolor="white", linewidth=0.4)
        for edge in range(2, 6):
            row[1].axvline(edge, color="0.6", linewidth=0.8, linestyle="--")
        row[0].set(ylabel=f"test AUROC\n({name})")
    axes[1, 0].set(xlabel="share of labels that the text rule flips")
    axes[1, 1].set(xlabel="median RPKM of the cell type")
    axes[0, 0].legend(title="median begins with", fontsize=8, title_fontsize=8, loc="lower left",
                      ncols=2)
    return fig


def ceiling(curves: pd.DataFrame, cells: pd.DataFrame) -> Figure:
    """AUROC on observed labels by flipped share: derived, simulated, and of the cell types' RPKM.

    ``curves``: columns true_auroc, flipped, derived, simulated. ``cells``: as
    `dc2book.audit.label_noise.cell_ceilings`.
    """
    fig, axes = plt.subplots(1, 2, figsize=(7.4, 3.4), sharey=True)
    shades = (*RISING_COLOURS[:3:2], RISING_COLOURS[3])
    for shade, (value, part) in zip(
        shades, sorted(curves.groupby("true_auroc"), reverse=True), strict=False
    ):
        axes[0].plot(part["flipped"], part["derived"], color=shade, label=f"derived, {value:g}")
        axes[0].scatter(part["flipped"], part["simulated"], s=20, facecolor="white",
                        edgecolor=shade, zorder=3)
    axes[0].set(xlabel="flipped share of all genes", ylabel="AUROC on the observed labels",
                title="one score, more and more flips")
    axes[0].legend(title="AUROC on true labels", fontsize=8, title_fontsize=8)
    axes[1].scatter(cells["flipped"], cells["class"], s=20, marker="^",
                    color=OTHER_COLOURS[0], label="knows the true class")
    axes[1].scatter(cells["flipped"], cells["rpkm"], s=20, marker="o",
                    color=OTHER_COLOURS[1], label="knows the RPKM")
    axes[1].set(xlabel="flipped share of test genes", title="each of 56 cell types")
    axes[1].legend(fontsize=8, loc="lower left")
    return fig


def train_and_score(table: pd.DataFrame) -> Figure:
    """AUROC by model, the rule it learned from (colour) and the rule it is scored on (panel).

    ``table``: columns cell (and their mean), model, labels, scored_on, estimate, low, high.
    """
    learned = {rule: f"learned {name}" for rule, name in LABEL_NAMES.items()}
    scored = {rule: f"scored on {name}" for rule, name in LABEL_NAMES.items()}
    return style.forest(
        table.assign(scored_on=table["scored_on"].map(scored)), "model", panels="scored_on",
        colour="labels", names=MODEL_NAMES | learned, xlabel="test AUROC (probability)")


def by_expression(tables: Mapping[str, pd.DataFrame], medians: Mapping[str, float]) -> Figure:
    """Share labelled high (steps) and mean predicted probability (lines) of test genes by RPKM.

    ``tables``: by cell type, as `dc2book.audit.label_effects.by_expression`. ``medians``: median
    RPKM of each cell type.
    """
    fig, panels = style.panels(tables, (3.6, 3.5), xlabel="expression (RPKM)",
                               ylabel="share, or mean probability, of high")
    for axis, cell, table in panels:
        for rule, name in LABEL_NAMES.items():
            axis.step(table["rpkm"], table[f"labelled_{rule}"], where="mid", linewidth=1.1,
                      color=LABEL_COLOURS[rule], linestyle=":", label=f"share high, {name}")
            axis.plot(table["rpkm"], table[f"predicted_{rule}"], color=LABEL_COLOURS[rule],
                      marker="o", markersize=3, label=f"predicted, learned {name}")
        axis.axvline(medians[cell], color="0.4", linewidth=0.9, linestyle="--")
        axis.set_xscale("log")
    style.legend_below(fig)
    return fig


def gaps(table: pd.DataFrame) -> Figure:
    """AUROC by probability minus AUROC by the released score, by epochs, scale and seed.

    ``table``: columns model, scale, epochs, gap.
    """
    fig, panels = style.panels(style.split_by(table, "model"), (3.7, 3.2), MODEL_NAMES,
                               xlabel="epochs", ylabel="AUROC, probability\nminus released score")
    shades = dict(zip(sorted(table["scale"].unique()), RISING_COLOURS[4::-2], strict=False))
    for axis, _, part in panels:
        epochs = sorted(part["epochs"].unique())
        for offset, (scale, own) in zip((-0.2, 0, 0.2), part.groupby("scale"), strict=False):
            x = np.array([epochs.index(e) for e in own["epochs"]]) + offset
            axis.scatter(x, own["gap"], s=13, color=shades[scale], alpha=0.7, linewidth=0,
                         label=f"counts × {scale:g}")
            means = own.groupby("epochs")["gap"].mean()
            axis.plot(np.arange(len(epochs)) + offset, means, color=shades[scale], linewidth=1.2)
        axis.axhline(0, color="0.4", linewidth=0.8)
        axis.set_xticks(range(len(epochs)), epochs)
    style.legend_below(fig, 3)
    return fig


def repairs(table: pd.DataFrame, released: pd.Series) -> Figure:
    """Mean AUROC of network and linear model after each repair; cell types are drawn as dots.

    ``table``: as `dc2book.audit.label_effects.repair_table`. ``released``: mean AUROC that the
    authors released, by model, to mark at the first step.
    """
    first, *others = table["stage"].unique()
    names = MODEL_NAMES | {first: first} | {name: f"+ {name}" for name in others}
    fig = style.forest(table, "stage", colour="model", names=names, connect=True,
                       xlabel="test AUROC")
    for model, place in zip(table["model"].unique(), FIRST_STEP, strict=True):
        if model in released.dropna().index:
            fig.axes[0].scatter(released[model], place, marker="x", s=45, zorder=4,
                                color=style.MODEL_COLOURS[model])
    return fig
