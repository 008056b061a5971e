"""Figures of the chapter on attributions and a planted truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from dc2book import style
from dc2book.ground_truth.attributions import Attribution
from dc2book.ground_truth.methods import METHODS
from dc2book.ground_truth.worlds import RULES

RULE_NAMES = {rule: rule.replace("_", " ") for rule in (*RULES, "null")}


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
        image = style.mark_map(axis, values / max(np.abs(values).max(), 1e-12), marks,
                               cmap="PuOr_r", vmin=-1, vmax=1)
        axis.tick_params(labelsize=7)
        if row == 0:
            axis.set_title(RULE_NAMES.get(name, name), fontsize=9)
        if column == 0:
            axis.set_ylabel(METHODS[method].replace(" ", "\n"), rotation=0, ha="right",
                            va="center", fontsize=8)
    fig.supxlabel(style.FROM_TSS, fontsize=9)
    fig.colorbar(image, ax=axes, shrink=0.4, label="evidence for high expression / its largest")
    return fig


def drawn_map(attribution: Attribution, n_bins: int = 100) -> np.ndarray:
    """The map ``(mark, bin)``, or a method's one number a mark in every bin."""
    if attribution.evidence is not None:
        return attribution.evidence
    sign = 1 if attribution.direction is None else np.sign(attribution.direction)
    return np.repeat((attribution.strength * sign)[:, None], n_bins, axis=1)
