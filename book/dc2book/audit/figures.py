"""Figures of the audit chapter: one function a figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dc2book.audit.effects import STAGES
from dc2book.style import CLASS_COLOURS, LABEL_COLOURS, MODEL_COLOURS, OTHER_COLOURS, RISING_COLOURS

MODEL_NAMES = {
    "deepchrome_max": "DeepChrome (max)",
    "linear": "linear, 12 parameters",
    "gradient_boosting": "gradient boosting",
}
MODEL_MARKERS = {"deepchrome_max": "o", "linear": "s", "gradient_boosting": "^"}
DIGIT_COLOURS = dict(zip("12345", RISING_COLOURS, strict=True))
NOT_DETECTED = 0.004


def toy_genes(table: pd.DataFrame, median: float) -> Figure:
    """The toy set's genes along their RPKM, coloured by label: released, text rule, numeric rule.

    Parameters
    ----------
    table
        As `dc2book.audit.evidence.toy_labels_under_rules`.
    """
    rows = {"numeric rule": "numeric", "text rule": "lexicographic", "released label": "released"}
    rpkm = table["rpkm"].astype(float).clip(lower=NOT_DETECTED).to_numpy()
    wrong = (table["numeric"] != table["released"]).to_numpy()
    fig, axis = plt.subplots(figsize=(7.2, 2.7))
    for height, column in enumerate(rows.values()):
        for value, name in ((0, "low"), (1, "high")):
            chosen = (table[column] == value).to_numpy()
            axis.scatter(
                rpkm[chosen], np.full(chosen.sum(), height), s=58, color=CLASS_COLOURS[name],
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

    Parameters
    ----------
    table
        As `dc2book.audit.evidence.run_counts`.
    """
    fig, axes = plt.subplots(2, 1, figsize=(7.2, 3.8), sharex=True, sharey=True)
    for axis, rule in zip(axes, ("lexicographic", "numeric"), strict=True):
        distance = table.loc[table["rule"] == rule, "distance"].to_numpy()
        shifts = np.arange(-reach, reach + 1)
        number = [(distance == shift).sum() for shift in shifts]
        colours = [LABEL_COLOURS[rule] if shift == 0 else "0.75" for shift in shifts]
        axis.bar(shifts, number, color=colours, width=0.85)
        axis.set(title=f"majority class under the {rule} rule", ylabel="runs")
        axis.annotate(f"{number[reach]} runs exactly", (1, max(number[reach] - 1, 0.5)), fontsize=9)
    axes[1].set_xlabel("correct answers minus size of the majority class (test genes)")
    return fig


def flips_against_scores(table: pd.DataFrame) -> Figure:
    """AUROC of every cell type by flipped share and by median RPKM, coloured by its first digit.

    Parameters
    ----------
    table
        As `dc2book.audit.association.flips_and_scores`.
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

    Parameters
    ----------
    curves
        Columns true_auroc, flipped, derived, simulated.
    cells
        Columns flipped, class_ceiling, rpkm_auroc; one row a cell type.
    """
    fig, axes = plt.subplots(1, 2, figsize=(7.4, 3.4), sharey=True)
    shades = RISING_COLOURS[::2]
    for shade, (value, part) in zip(
        shades, sorted(curves.groupby("true_auroc"), reverse=True), strict=False
    ):
        axes[0].plot(part["flipped"], part["derived"], color=shade, label=f"derived, {value:g}")
        axes[0].scatter(part["flipped"], part["simulated"], s=20, facecolor="white",
                        edgecolor=shade, zorder=3)
    axes[0].set(xlabel="flipped share of all genes", ylabel="AUROC on the observed labels",
                title="one score, more and more flips")
    axes[0].legend(title="AUROC on true labels", fontsize=8, title_fontsize=8)
    axes[1].scatter(cells["flipped"], cells["class_ceiling"], s=20, marker="^",
                    color=OTHER_COLOURS[0], label="knows the true class")
    axes[1].scatter(cells["flipped"], cells["rpkm_auroc"], s=20, marker="o",
                    color=OTHER_COLOURS[1], label="knows the RPKM")
    axes[1].set(xlabel="flipped share of test genes", title="each of 56 cell types")
    axes[1].legend(fontsize=8, loc="lower left")
    return fig


def train_and_score(table: pd.DataFrame) -> Figure:
    """AUROC by model, the rule it learned from (colour) and the rule it is scored on (column).

    Parameters
    ----------
    table
        Columns cell, model, labels, scored_on, estimate, low, high.
    """
    cells = list(dict.fromkeys(table["cell"]))
    models = list(dict.fromkeys(table["model"]))
    fig, axes = plt.subplots(
        len(cells), 2, figsize=(7.4, 0.9 + 1.25 * len(cells)), sharex=True, sharey=True,
        squeeze=False,
    )
    for row, cell in zip(axes, cells, strict=True):
        for axis, scored_on in zip(row, ("lexicographic", "numeric"), strict=True):
            part = table[(table["cell"] == cell) & (table["scored_on"] == scored_on)]
            for labels, shift in (("lexicographic", 0.13), ("numeric", -0.13)):
                own = part[part["labels"] == labels]
                y = np.array([models.index(name) for name in own["model"]]) + shift
                _points(axis, own, y, LABEL_COLOURS[labels], "o", f"learned {labels} labels")
            axis.set_yticks(range(len(models)), [MODEL_NAMES[name] for name in models])
            axis.set_title(f"{cell}, scored on {scored_on} labels", fontsize=9)
            axis.grid(axis="x", alpha=0.3)
    axes[0, 0].invert_yaxis()
    for axis in axes[-1]:
        axis.set_xlabel("test AUROC (probability)")
    handles, names = axes[0, 0].get_legend_handles_labels()
    fig.legend(handles, names, loc="outside lower center", ncols=2)
    return fig


def advantage(table: pd.DataFrame, margin: float) -> Figure:
    """Lead over the linear model by recipe and labels, learned from and scored on the same rule.

    Parameters
    ----------
    table
        Columns cell, recipe, model, labels, estimate, low, high.
    """
    rows = list(dict.fromkeys(zip(table["model"], table["recipe"], strict=True)))
    cells = list(dict.fromkeys(table["cell"]))
    fig, axes = plt.subplots(
        1, len(cells), figsize=(2.6 + 2.5 * len(cells), 2.9), sharey=True, sharex=True,
        squeeze=False,
    )
    for axis, cell in zip(axes[0], cells, strict=True):
        axis.axvspan(-margin, margin, color="0.92", zorder=0)
        axis.axvline(0, color="0.4", linewidth=0.8)
        for labels, shift in (("lexicographic", 0.13), ("numeric", -0.13)):
            part = table[(table["cell"] == cell) & (table["labels"] == labels)]
            y = np.array([rows.index(key) for key in zip(part["model"], part["recipe"],
                                                         strict=True)]) + shift
            _points(axis, part, y, LABEL_COLOURS[labels], "o", f"{labels} labels")
        axis.set_yticks(range(len(rows)), [f"{MODEL_NAMES[m]}\n{r} recipe" for m, r in rows])
        axis.set(title=cell, xlabel="AUROC minus linear")
    axes[0, 0].invert_yaxis()
    handles, names = axes[0, 0].get_legend_handles_labels()
    fig.legend(handles, names, loc="outside lower center", ncols=2)
    return fig


def by_expression(tables: Mapping[str, pd.DataFrame], medians: Mapping[str, float]) -> Figure:
    """Share labelled high (steps) and mean predicted probability (lines) of test genes by RPKM.

    Parameters
    ----------
    tables
        By cell type, as `dc2book.audit.effects.by_expression`.
    medians
        Median RPKM of each cell type.
    """
    fig, axes = plt.subplots(
        1, len(tables), figsize=(0.6 + 3.4 * len(tables), 3.5), sharey=True, squeeze=False
    )
    for axis, (cell, table) in zip(axes[0], tables.items(), strict=True):
        for rule in ("numeric", "lexicographic"):
            axis.step(table["rpkm"], table[f"labelled_{rule}"], where="mid", linewidth=1.1,
                      color=LABEL_COLOURS[rule], linestyle=":", label=f"labelled high, {rule}")
            axis.plot(table["rpkm"], table[f"predicted_{rule}"], color=LABEL_COLOURS[rule],
                      marker="o", markersize=3, label=f"predicted, learned {rule}")
        axis.axvline(medians[cell], color="0.4", linewidth=0.9, linestyle="--")
        axis.set_xscale("log")
        axis.set(title=cell, xlabel="expression (RPKM)")
    axes[0, 0].set_ylabel("share, or mean probability, of high")
    handles, names = axes[0, 0].get_legend_handles_labels()
    fig.legend(handles, names, loc="outside lower center", ncols=2)
    return fig


def correlations(matrices: Mapping[str, pd.DataFrame]) -> Figure:
    """Expression correlation between cell types, a panel a way of reading the table (Figure 3).

    Cell types without a value are grey.
    """
    fig, axes = plt.subplots(1, len(matrices), figsize=(3.7 * len(matrices), 3.6), squeeze=False)
    low = min(np.nanmin(matrix.to_numpy()) for matrix in matrices.values())
    cmap = plt.get_cmap("viridis").with_extremes(bad="0.75")
    for axis, (title, matrix) in zip(axes[0], matrices.items(), strict=True):
        image = axis.imshow(
            np.ma.masked_invalid(matrix.to_numpy()), cmap=cmap, vmin=low, vmax=1,
            interpolation="nearest",
        )
        places = range(0, len(matrix), 11)
        axis.set_xticks(places, [matrix.columns[i] for i in places], rotation=90)
        axis.set_yticks(places, [matrix.index[i] for i in places])
        axis.set_title(title)
    fig.colorbar(image, ax=axes, label="Pearson correlation of RPKM", shrink=0.8)
    return fig


def transfer(tables: Mapping[str, pd.DataFrame], titles: Mapping[str, str]) -> Figure:
    """Change of AUROC of every released pair of cell types against what may predict it (Figure 7).

    Parameters
    ----------
    tables
        By panel, with columns x and change.
    titles
        Label of the x axis of each panel.
    """
    fig, axes = plt.subplots(1, len(tables), figsize=(2.7 * len(tables), 3.1), sharey=True)
    for axis, (name, table) in zip(axes, tables.items(), strict=True):
        axis.scatter(table["x"], table["change"], s=3, color="0.55", alpha=0.5, linewidth=0)
        slope, level = np.polyfit(table["x"], table["change"], 1)
        ends = np.array([table["x"].min(), table["x"].max()])
        axis.plot(ends, level + slope * ends, color=OTHER_COLOURS[0])
        axis.axhline(0, color="0.3", linewidth=0.7)
        axis.set(xlabel=titles[name], title=name)
    axes[0].set_ylabel("change of AUROC against own model")
    return fig


def linear_runs(table: pd.DataFrame) -> Figure:
    """Released linear runs, cell types sorted by AUROC, by how the run was chosen.

    Parameters
    ----------
    table
        As `dc2book.audit.scoring_gap.released_linear_runs`.
    """
    fig, axis = plt.subplots(figsize=(6.2, 3.1))
    colours = OTHER_COLOURS[3:0:-2]
    for colour, marker, (chosen, part) in zip(
        colours, "os", table.groupby("chosen", sort=False), strict=True
    ):
        values = np.sort(part["auroc"])
        axis.plot(np.arange(1, len(values) + 1), values, marker, color=colour, markersize=4,
                  label=chosen)
    axis.axhline(0.5, color="0.4", linewidth=0.9, linestyle="--")
    axis.text(1, 0.515, "guessing", fontsize=9, color="0.3")
    axis.set(xlabel="cell type, sorted", ylabel="released test AUROC")
    axis.legend(loc="lower right")
    return fig


def gaps(table: pd.DataFrame) -> Figure:
    """AUROC by probability minus AUROC by the released score, by epochs, scale and seed.

    Parameters
    ----------
    table
        Columns cell, model, scale, epochs, probability, positive_logit.
    """
    models = list(dict.fromkeys(table["model"]))
    fig, axes = plt.subplots(1, len(models), figsize=(3.7 * len(models), 3.2), sharey=True,
                             squeeze=False)
    shades = dict(zip(sorted(table["scale"].unique()), RISING_COLOURS[4::-2],
                      strict=False))
    for axis, model in zip(axes[0], models, strict=True):
        part = table[table["model"] == model].assign(
            gap=table["probability"] - table["positive_logit"]
        )
        epochs = sorted(part["epochs"].unique())
        for offset, (scale, own) in zip((-0.2, 0, 0.2), part.groupby("scale"), strict=False):
            x = np.array([epochs.index(e) for e in own["epochs"]]) + offset
            axis.scatter(x, own["gap"], s=13, color=shades[scale], alpha=0.7, linewidth=0,
                         label=f"counts × {scale:g}")
            means = own.groupby("epochs")["gap"].mean()
            axis.plot(np.arange(len(epochs)) + offset, means, color=shades[scale], linewidth=1.2)
        axis.axhline(0, color="0.4", linewidth=0.8)
        axis.set_xticks(range(len(epochs)), epochs)
        axis.set(title=MODEL_NAMES[model], xlabel="epochs")
    axes[0, 0].set_ylabel("AUROC, probability\nminus released score")
    handles, names = axes[0, 0].get_legend_handles_labels()
    fig.legend(handles, names, loc="outside lower center", ncols=3)
    return fig


def waterfall(
    tables: Mapping[str, pd.DataFrame], released: pd.DataFrame | None = None
) -> Figure:
    """AUROC of network and linear model after each repair, a panel a cell type.

    Parameters
    ----------
    tables
        By cell type, as `dc2book.audit.effects.waterfall`.
    released
        AUROCs that the authors released, to mark at the first step: index cell, columns as the
        models.
    """
    fig, axes = plt.subplots(
        1, len(tables), figsize=(1.6 + 2.9 * len(tables), 4.0), sharex=True, sharey=True,
        squeeze=False
    )
    for axis, (cell, table) in zip(axes[0], tables.items(), strict=True):
        for model, shift in (("deepchrome_max", -0.1), ("linear", 0.1)):
            part = table[table["model"] == model]
            y = np.array([STAGES.index(name) for name in part["stage"]]) + shift
            axis.plot(part["estimate"], y, color=MODEL_COLOURS[model], linewidth=0.8, alpha=0.5)
            _points(axis, part, y, MODEL_COLOURS[model], MODEL_MARKERS[model], MODEL_NAMES[model])
            if released is not None and cell in released.index:
                axis.scatter(released.loc[cell, model], shift, marker="x", s=45, zorder=4,
                             color=MODEL_COLOURS[model], label=f"released, {MODEL_NAMES[model]}")
        axis.set_yticks(range(len(STAGES)), _numbered(STAGES))
        axis.set(title=cell, xlabel="test AUROC")
        axis.grid(axis="x", alpha=0.3)
    axes[0, 0].invert_yaxis()
    handles, names = axes[0, 0].get_legend_handles_labels()
    fig.legend(handles, names, loc="outside lower center", ncols=2)
    return fig


def _numbered(stages: Sequence[str]) -> list[str]:
    return [stages[0], *(f"+ {name}" for name in stages[1:])]


def _points(
    axis: Axes, rows: pd.DataFrame, y: np.ndarray, colour: str, marker: str, name: str
) -> None:
    estimate = rows["estimate"].to_numpy()
    sides = np.clip([estimate - rows["low"], rows["high"] - estimate], 0, None)
    axis.errorbar(estimate, y, xerr=sides, fmt=marker, color=colour, markersize=4.5,
                  linewidth=1.1, label=name)
