"""The scorecard as one picture: claims in rows, the intervals of each beside its region."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from dc2book.claims.paper import AUTHORS, CONDITIONS
from dc2book.claims.verdicts import FAILS, HOLDS, OPEN
from dc2book.style import LABEL_COLOURS, legend_below

COLOURS = {"released": LABEL_COLOURS["lexicographic"], "numeric": LABEL_COLOURS["numeric"],
           "none": "#1F1F1F"}
# by budget, or by a condition that has its own
MARKERS = {"paper's recipe": "o", "tuned recipe": "s", "none": "o", "numeric_totals": "^",
           "released_peaks": "P", "numeric_peaks": "P", "released_strand": "v",
           "numeric_strand": "v"}
VERDICT_COLOURS = {"supported": "#1B6B4A", "contradicted": "#8B1A2B"}
AUTHORS_LOOK = {"color": "#1F1F1F", "fmt": "D", "markerfacecolor": "white"}
WIDTH = 5.2  # inches: legible on a phone
ROW = 0.46
STRIP = 0.42  # share of a row's height for the region and the intervals
EDGE = 0.06  # share of the width left and right of the outermost end


def plot_scorecard(card: pd.DataFrame, values: pd.DataFrame) -> Figure:
    """Each claim with its verdict; below it the intervals, each row on a scale of its own.

    The shaded stretch is where the claim holds; the number is that of cell types.  Drawn are the
    conditions that give evidence.

    ``card``, ``values``: as `dc2book.claims.scorecard` and `dc2book.claims.claim_values`.
    """
    fig, axis = plt.subplots(figsize=(WIDTH, ROW * len(card) + 0.9))
    for place, row in enumerate(card.itertuples()):
        axis.text(0, place, row.short, va="bottom", fontsize=10)
        verdict = row.verdict.partition(" on ")[0]  # on what it depends stands in the table
        verdict = f"{verdict} · {row.cells}" if row.cells else verdict
        axis.text(1, place, verdict, va="bottom", ha="right", fontsize=10, fontweight="bold",
                  color=VERDICT_COLOURS.get(row.verdict, "#555555"))
        mine = values[(values["claim"] == row.claim) & values["outcome"].isin((HOLDS, FAILS, OPEN))]
        mine = mine[[CONDITIONS[name].decides for name in mine["condition"]]]
        if len(mine):
            _draw_row(axis, place, mine)
    axis.set(xlim=(-0.01, 1.01), ylim=(len(card) - 0.35, -0.55))
    axis.set_axis_off()
    legend_below(fig, 2)
    return fig


def row_scale(values: pd.DataFrame) -> tuple[float, float]:
    """Left and right end of a claim's row: its intervals and the ends of its region, with room."""
    region = values[["region_low", "region_high"]].to_numpy(float)
    ends = np.r_[values[["low", "high"]].to_numpy(float).ravel(), region[np.isfinite(region)]]
    low, high = float(ends.min()), float(ends.max())
    room = EDGE * ((high - low) or 1.0) / (1 - 2 * EDGE)
    return low - room, high + room


def _draw_row(axis: Axes, place: float, values: pd.DataFrame) -> None:
    left, right = row_scale(values)

    def across(value: Any) -> Any:
        return np.clip((np.asarray(value, float) - left) / (right - left), 0, 1)

    low, high = across(values["region_low"].iloc[0]), across(values["region_high"].iloc[0])
    box = {"height": STRIP, "linewidth": 0}
    axis.add_patch(Rectangle((0, place + 0.06), 1, color="0.94", **box))
    axis.add_patch(Rectangle((low, place + 0.06), high - low, color="#BFDCCB", **box))
    heights = place + 0.06 + STRIP * (np.arange(len(values)) + 1) / (len(values) + 1)
    for height, row in zip(heights, values.itertuples(), strict=True):
        x, ends = float(across(row.estimate)), across([row.low, row.high])
        about = CONDITIONS[row.condition]
        marker = MARKERS.get(row.condition, MARKERS[about.budget])
        look = {"color": COLOURS[about.labels], "fmt": marker}
        if row.condition == AUTHORS:
            look = AUTHORS_LOOK
        axis.errorbar(
            x, height, xerr=[[x - ends[0]], [ends[1] - x]], markersize=4.5, linewidth=1.5,
            label=about.title, **look)
