"""Figures of the architectures and linear-baseline chapters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dc2book.style import LABEL_COLOURS, MODEL_COLOURS, mark_colour
from dc2lib.evaluation.statistics import MARGIN

MODEL_NAMES = {
    "deepchrome_max": "DeepChrome, max pooling",
    "deepchrome_average": "DeepChrome, average pooling",
    "deepchrome_strided": "DeepChrome, strided",
    "linear": "linear, 12 parameters",
}
SETUP_MARKERS = {
    "paper's recipe": "o",
    "tuned, along the genome": "s",
    "tuned, along the gene": "D",
}


def auroc_forest(table: pd.DataFrame) -> Figure:
    """AUROC with intervals, a panel a cell type, colour by label rule, marker by set-up.

    Parameters
    ----------
    table
        Columns cell, labels, setup, model, estimate, low, high.
    """
    cells = list(dict.fromkeys(table["cell"]))
    fig, axes = plt.subplots(
        1, len(cells), figsize=(3.4 + 2.6 * len(cells), 4.6), sharex=True, sharey=True,
        squeeze=False,
    )
    models = list(dict.fromkeys(table["model"]))
    combinations = list(dict.fromkeys(zip(table["labels"], table["setup"], strict=True)))
    offsets = dict(zip(combinations, np.linspace(-0.34, 0.34, len(combinations)), strict=True))
    for axis, cell in zip(axes[0], cells, strict=True):
        part = table[table["cell"] == cell]
        for (labels, setup), rows in part.groupby(["labels", "setup"], sort=False):
            y = [models.index(model) + offsets[labels, setup] for model in rows["model"]]
            _intervals(axis, rows, y, LABEL_COLOURS[labels], SETUP_MARKERS[setup],
                       f"{labels}: {setup}")
        axis.set(title=cell, xlabel="test AUROC (probability)")
        axis.set_yticks(range(len(models)), [MODEL_NAMES[model] for model in models])
        axis.grid(axis="x", alpha=0.3)
    axes[0, 0].invert_yaxis()
    handles, names = axes[0, 0].get_legend_handles_labels()
    fig.legend(handles, names, loc="outside lower center", ncols=2, title="labels: set-up")
    return fig


def difference_forest(table: pd.DataFrame, margin: float = MARGIN) -> Figure:
    """Paired AUROC differences with intervals and the band within which they do not matter.

    Parameters
    ----------
    table
        Columns cell, labels, setup, model, estimate, low, high; a difference to the linear model.
    """
    setups = list(dict.fromkeys(table["setup"]))
    fig, axes = plt.subplots(
        1, len(setups), figsize=(2.2 + 2.7 * len(setups), 4.4), sharey=True, squeeze=False
    )
    rows = list(dict.fromkeys(zip(table["model"], table["cell"], strict=True)))
    for axis, setup in zip(axes[0], setups, strict=True):
        part = table[table["setup"] == setup]
        axis.axvspan(-margin, margin, color="0.9", zorder=0)
        axis.axvline(0, color="0.4", linewidth=0.8)
        for labels, group in part.groupby("labels", sort=False):
            shift = 0.13 if labels == "lexicographic" else -0.13
            y = [
                rows.index(key) + shift
                for key in zip(group["model"], group["cell"], strict=True)
            ]
            marker = SETUP_MARKERS[setup]
            _intervals(axis, group, y, LABEL_COLOURS[labels], marker, f"{labels} labels")
        axis.set(title=setup, xlabel="AUROC minus linear")
        axis.set_yticks(
            range(len(rows)), [f"{MODEL_NAMES[m].split(', ')[1]}, {cell}" for m, cell in rows]
        )
    axes[0, 0].invert_yaxis()
    handles, names = axes[0, 0].get_legend_handles_labels()
    fig.legend(handles, names, loc="outside lower center", ncols=2)
    return fig


def learning_curves(histories: pd.DataFrame) -> Figure:
    """Validation AUROC by epoch, a panel a set-up, a line a fit.

    Parameters
    ----------
    histories
        Columns setup, labels, fit (any key of one line), epoch, valid_auroc.
    """
    setups = list(dict.fromkeys(histories["setup"]))
    fig, axes = plt.subplots(
        1, len(setups), figsize=(3.3 * len(setups), 3.2), sharey=True, squeeze=False
    )
    for axis, setup in zip(axes[0], setups, strict=True):
        part = histories[histories["setup"] == setup]
        for (labels, _), line in part.groupby(["labels", "fit"], sort=False):
            first = f"{labels} labels" not in axis.get_legend_handles_labels()[1]
            axis.plot(
                line["epoch"] + 1,
                line["valid_auroc"],
                color=LABEL_COLOURS[labels],
                alpha=0.8,
                label=f"{labels} labels" if first else None,
                marker="." if len(line) < 3 else None,
            )
        axis.set(title=setup, xlabel="epoch")
        axis.grid(alpha=0.3)
    axes[0, 0].set_ylabel("validation AUROC")
    handles, names = axes[0, 0].get_legend_handles_labels()
    fig.legend(handles, names, loc="outside lower center", ncols=2)
    return fig


def linear_weights(table: pd.DataFrame) -> Figure:
    """Weight of each mark on each class with intervals (Figure 8).

    A row of panels a label rule, a column a class; a point a cell type, coloured by mark.

    Parameters
    ----------
    table
        Columns cell, labels, class, mark, estimate, low, high.
    """
    rules = list(dict.fromkeys(table["labels"]))
    marks = list(dict.fromkeys(table["mark"]))
    cells = list(dict.fromkeys(table["cell"]))
    spread = 0.3 if len(cells) > 4 else 0.15
    shifts = np.linspace(-spread, spread, len(cells)) if len(cells) > 1 else [0.0]
    fig, axes = plt.subplots(
        len(rules), 2, figsize=(7.6, 1.2 + 2.5 * len(rules)), sharex=True, sharey=True,
        squeeze=False,
    )
    for row, rule in enumerate(rules):
        for axis, class_ in zip(axes[row], ("high", "low"), strict=True):
            axis.axvline(0, color="0.4", linewidth=0.8)
            part = table[(table["labels"] == rule) & (table["class"] == class_)]
            for mark, points in part.groupby("mark", sort=False):
                y = [marks.index(mark) + shifts[cells.index(cell)] for cell in points["cell"]]
                _intervals(axis, points, y, mark_colour(mark), "o", mark)
            for between in range(1, len(marks)):
                axis.axhline(between - 0.5, color="0.85", linewidth=0.6)
            axis.set_title(f"{class_} expression, {rule} labels")
            axis.grid(axis="x", alpha=0.3)
    axes[0, 0].set_yticks(range(len(marks)), marks)
    axes[0, 0].invert_yaxis()
    for axis in axes[-1]:
        axis.set_xlabel("weight (logit per unit of mean log count)")
    return fig


def restarts(table: pd.DataFrame) -> Figure:
    """AUROC of every restart under both score rules, a panel a label rule.

    Parameters
    ----------
    table
        Columns cell, labels, scoring, restart, auroc, chosen.
    """
    rules = list(dict.fromkeys(table["labels"]))
    fig, axes = plt.subplots(
        1, len(rules), figsize=(1.2 + 3.2 * len(rules), 3.4), sharey=True, squeeze=False
    )
    cells = list(dict.fromkeys(table["cell"]))
    scorings = list(dict.fromkeys(table["scoring"]))
    for axis, rule in zip(axes[0], rules, strict=True):
        for side, scoring in enumerate(scorings):
            part = table[(table["labels"] == rule) & (table["scoring"] == scoring)]
            x = [cells.index(cell) + (side - 0.5) * 0.3 for cell in part["cell"]]
            x = np.array(x) + 0.02 * (part["restart"].to_numpy() - 2)
            colour = ("#1F1F1F", "#9C9C9C")[side]
            name = "released: positive logit" if scoring == "positive_logit" else scoring
            axis.scatter(x, part["auroc"], s=22, color=colour, marker="os"[side], label=name)
            best = part["chosen"].to_numpy(bool)
            axis.scatter(x[best], part["auroc"][best], s=90, facecolor="none", edgecolor=colour,
                         marker="os"[side])
        axis.set(title=f"{rule} labels", xlim=(-0.6, len(cells) - 0.4))
        axis.set_xticks(range(len(cells)), cells)
        axis.grid(axis="y", alpha=0.3)
    axes[0, 0].set_ylabel("test AUROC")
    handles, names = axes[0, 0].get_legend_handles_labels()
    fig.legend(handles, names, loc="outside lower center", ncols=2, title="score rule")
    return fig


def steps_of_the_story(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """Mean AUROC of the networks and of the linear model, a row a set of choices.

    Parameters
    ----------
    tables
        One panel each, by title: columns step (text of the row), model, estimate, low, high.
    """
    steps = list(dict.fromkeys(step for table in tables.values() for step in table["step"]))
    styles = {
        "deepchrome_max": ("o", -0.18),
        "deepchrome_average": ("s", -0.06),
        "deepchrome_strided": ("D", 0.06),
        "linear": ("^", 0.18),
    }
    fig, axes = plt.subplots(
        len(tables), 1, figsize=(6.6, 0.8 + (0.5 + 0.52 * len(steps)) * len(tables)),
        sharex=True, sharey=True, squeeze=False,
    )
    for axis, (title, table) in zip(axes[:, 0], tables.items(), strict=True):
        for model, rows in table.groupby("model", sort=False):
            marker, shift = styles[model]
            y = [steps.index(step) + shift for step in rows["step"]]
            _intervals(axis, rows, y, MODEL_COLOURS[model], marker, MODEL_NAMES[model])
        axis.set(title=title)
        axis.grid(axis="x", alpha=0.3)
    axis.set_xlabel("mean test AUROC")
    axis.set_yticks(range(len(steps)), steps)
    axis.invert_yaxis()
    handles, names = axes[0, 0].get_legend_handles_labels()
    fig.legend(handles, names, loc="outside lower center", ncols=2)
    return fig


def auroc_along_bins(by_bin: pd.Series, mark: str = "H3K4me3", base_pairs: int = 100) -> Figure:
    """AUROC of one bin's count of a mark, by the distance of the bin from the TSS.

    Parameters
    ----------
    by_bin
        AUROC of each bin, in order, ``(bin,)``.
    base_pairs
        Width of a bin.
    """
    fig, axis = plt.subplots(figsize=(6.2, 2.8))
    place = (np.arange(len(by_bin)) - (len(by_bin) - 1) / 2) * base_pairs / 1000
    axis.plot(place, by_bin.to_numpy(), color=mark_colour(mark))
    axis.axhline(0.5, color="0.6", linewidth=1, linestyle=":")
    axis.axvline(0, color="0.6", linewidth=1, linestyle="--")
    axis.set(xlabel="distance of the bin from the TSS (kb, along the genome)",
             ylabel=f"AUROC of {mark} in one bin")
    return fig


def _intervals(
    axis: Axes, rows: pd.DataFrame, y: Sequence[float], colour: str, marker: str, name: str
) -> None:
    estimate = rows["estimate"].to_numpy()
    error = np.abs(np.stack([estimate - rows["low"], rows["high"] - estimate]))
    axis.errorbar(
        estimate, y, xerr=error, fmt=marker, color=colour, markersize=4.5, linewidth=1.2, label=name
    )
