"""Figures of the chapter on attributions and a planted truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from dc2book.ground_truth.attributions import Attribution
from dc2book.ground_truth.methods import METHODS
from dc2book.style import forest

RULE_NAMES = {
    "one_mark": "one mark",
    "two_marks": "two marks",
    "position": "position",
    "two_groups": "two groups",
    "null": "null",
}
KILOBASES = "distance from the TSS (kb)"


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
        half = values.shape[1] / 20  # kilobases: bins of 100 base pairs
        image = axis.imshow(
            values / max(np.abs(values).max(), 1e-12), aspect="auto", cmap="PuOr_r", vmin=-1,
            vmax=1, interpolation="nearest", extent=(-half, half, len(values) - 0.5, -0.5))
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
    """Score for marks of every method (row) by rule (panel), with its interval.

    Hollow symbols are the same method on networks before training.  ``table`` is that of
    `dc2book.ground_truth.tables.recovery_table`.
    """
    marks = table[table["aspect"] == "marks"]
    return forest(
        marks, "method", panels="rule", hollow="untrained", reference=0.5, xlim=(-0.05, 1.05),
        wrap=4, names=METHODS | RULE_NAMES, order=tuple(METHODS), xlabel="score (0.5: chance)",
    )
