"""Figures of the benchmarks chapter."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from dc2book.style import OTHER_COLOURS

INK, ACCENT = OTHER_COLOURS[:2]
PIECES = {
    "ingest": "CSV files to store",
    "linear": "linear baseline, five restarts",
    "inclusive_epoch": "one epoch of Inclusive All",
    "test_on_rest": "Test-on-Rest, every pair",
}


def ratios(table: pd.DataFrame) -> Figure:
    """How many times as fast as the plain way, a bar a stage, with its target and limit.

    Parameters
    ----------
    table
        As from `dc2book.benchmarks.measurements.verdicts`.
    """
    fig, axis = plt.subplots(figsize=(6.4, 0.9 + 0.42 * len(table)))
    places = range(len(table))
    axis.barh(places, table["ratio"] - 1, left=1, color=ACCENT, height=0.55)
    reach = np.abs(table[["low", "high"]].to_numpy() - table[["ratio"]].to_numpy())
    axis.errorbar(table["ratio"], places, xerr=reach.T, color=INK, linestyle="none", elinewidth=1.2,
                  capsize=3, label="lowest and highest pair of runs")
    axis.plot(table["target"], places, "|", color=INK, markersize=16, markeredgewidth=2,
              label="target")
    limited = table["at_limit"].notna()
    axis.plot(table["at_limit"][limited], np.flatnonzero(limited), "D", color=INK, markersize=5,
              markerfacecolor="none", linestyle="none", label="at the limit of this machine")
    ends = table[["high", "ratio", "target", "at_limit"]].max(axis=1)
    axis.axvline(1, color=INK, linewidth=0.8)
    axis.set_xscale("log")
    axis.set_xlim(0.8, 2.2 * ends.max())
    axis.set_yticks(places, [f"{row.stage}  {row.ratio:.1f}" for row in table.itertuples()])
    axis.invert_yaxis()
    axis.set_xlabel("times as fast as the plain way (log scale)")
    fig.legend(loc="outside upper right", ncols=3)
    return fig


def full_size(table: pd.DataFrame) -> Figure:
    """Seconds against the number of cell types, or of pairs, a panel a piece of work.

    Parameters
    ----------
    table
        As from `measurements.scale_table`.  The line is proportional, through the largest size.
    """
    names = [name for name in PIECES if name in set(table["piece"])]
    n_rows = -(-len(names) // 2)
    fig, axes = plt.subplots(n_rows, 2, figsize=(6.4, 2.6 * n_rows), squeeze=False)
    for axis in axes.flat[len(names) :]:
        axis.set_axis_off()
    for axis, name in zip(axes.flat, names, strict=False):
        part = table[table["piece"] == name].sort_values("work")
        last = part.iloc[-1]
        axis.plot([0, last["work"]], [0, last["seconds"]], color=INK, linewidth=0.9, zorder=1)
        axis.plot(part["work"], part["seconds"], "o", color=ACCENT, zorder=2)
        axis.set(title=PIECES[name], xlabel="pairs" if name == "test_on_rest" else "cell types",
                 ylabel="seconds", xlim=(0, None), ylim=(0, None))
    return fig
