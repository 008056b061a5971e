"""How figures and tables look: colours, the forest plot, the text of an interval, Markdown.

The colours keep apart for readers with any common colour-vision deficiency and rise in
lightness, so that they also keep apart in grey print.  Those of the marks, label rules and classes
mean these everywhere and nothing else; everything else takes the others.  Cell types have no
colour: panels, markers and line styles tell them apart.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import product
from typing import Any
from zlib import crc32

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator

from dc2lib.evaluation.statistics import Interval, student_interval

MARK_COLOURS = {
    "H3K9me3": "#2B1C6B",
    "H3K27me3": "#8B2F7A",
    "H3K36me3": "#14805A",
    "H3K4me3": "#EC7A4B",
    "H3K4me1": "#E9C03C",
}
LABEL_COLOURS = {"numeric": "#0F5C9C", "lexicographic": "#E9A13B", "released": "#7A7A7A"}
LABEL_NAMES = {"numeric": "numeric labels", "lexicographic": "released labels"}
LABEL_MARKERS = {"numeric": "o", "lexicographic": "s"}
CLASS_COLOURS = {"high": "#B2182B", "low": "#6FAFD6"}
OTHER_COLOURS = ("#1F1F1F", "#007A87", "#74401A", "#CC8294", "#C2BC46")
RISING_COLOURS = ("#00224E", "#414D6B", "#7C7B78", "#B9AC70", "#E8D65A")
INPUT_COLOURS = {"real": "#1F1F1F", "generated": "#007A87", "random": "#CC8294"}
MODEL_COLOURS = {
    "deepchrome_max": "#1F1F1F",
    "deepchrome_average": "#6A6A6A",
    "deepchrome_strided": "#9C9C9C",
    "linear": "#CC8294",
    "gradient_boosting": "#007A87",
}
NAMED_COLOURS = MARK_COLOURS | LABEL_COLOURS | CLASS_COLOURS | INPUT_COLOURS | MODEL_COLOURS
MARKERS = "osD^v<>P"
MODEL_NAMES = {
    "deepchrome_max": "DeepChrome, max pooling",
    "deepchrome_average": "DeepChrome, average pooling",
    "deepchrome_strided": "DeepChrome, strided",
    "linear": "linear, 12 parameters",
}
BIN_KB = 0.1
FROM_TSS = "distance from the TSS (kb)"
MEAN = "mean"  # the cell type of rows that are a mean over the cell types
MANY_CELLS = 12  # more cell types have no room for their names on an axis or in a legend
FURTHER_COLOURS = ("#444444", "#6A3D1F", "#5B7F1C", "#3E8FB0", "#A98BC9", "#C9A6A0")

STYLE = {
    "figure.dpi": 110,
    "savefig.dpi": 160,
    "savefig.bbox": "tight",
    "figure.constrained_layout.use": True,
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": False,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "lines.linewidth": 1.6,
    "image.cmap": "viridis",
    "svg.hashsalt": "dc2lib",
}


def style() -> None:
    """Set the book's style for the figures that follow, and how much of a long table is printed."""
    mpl.rcdefaults()
    mpl.rcParams.update(STYLE)
    pd.set_option("display.max_rows", 24, "display.min_rows", 12)


def mark_colour(mark: str) -> str:
    """Colour of a histone mark; a mark outside the released five always gets the same one.

    >>> mark_colour("H3K4me3")
    '#EC7A4B'
    >>> mark_colour("H3K27ac") == mark_colour("H3K27ac")
    True
    """
    further = FURTHER_COLOURS[crc32(mark.encode()) % len(FURTHER_COLOURS)]
    return MARK_COLOURS.get(mark, further)


def interval_text(
    estimate: float, low: float, high: float, digits: int = 3, *, signed: bool = False
) -> str:
    """An estimate with its interval, as text; without the brackets where there is no interval.

    >>> interval_text(0.9123, 0.9, 0.93)
    '0.912 [0.900, 0.930]'
    >>> interval_text(0.01, -0.002, 0.022, digits=2, signed=True)
    '+0.01 [-0.00, +0.02]'
    >>> interval_text(0.5, float("nan"), float("nan"))
    '0.500'
    >>> interval_text(float("nan"), float("nan"), float("nan"))
    '–'
    """
    if pd.isna(estimate):
        return "–"
    form = f"{'+' if signed else ''}.{digits}f"
    if pd.isna(low) or pd.isna(high):
        return format(estimate, form)
    return f"{estimate:{form}} [{low:{form}}, {high:{form}}]"


def interval_texts(table: pd.DataFrame, digits: int = 3, *, signed: bool = False) -> list[str]:
    """`interval_text` of each row of a table with columns estimate, low and high."""
    return [interval_text(*ends, digits=digits, signed=signed)
            for ends in table[["estimate", "low", "high"]].itertuples(index=False)]


def estimates(
    table: pd.DataFrame, by: Sequence[str], statistic: Callable[[pd.DataFrame], Interval]
) -> pd.DataFrame:
    """A statistic of each group of rows: columns as in ``by``, estimate, low, high and n."""
    return pd.DataFrame([
        dict(zip(by, group, strict=True)) | vars(statistic(part))
        for group, part in table.groupby(list(by), sort=False)
    ])


def kilobases(n_bins: int) -> np.ndarray:
    """Middle of each bin of 100 base pairs in kilobases from the TSS, ``(bin,)``."""
    return (np.arange(n_bins) - (n_bins - 1) / 2) * BIN_KB


def markdown_table(table: pd.DataFrame, numeric: Sequence[bool] = ()) -> str:
    """A table as Markdown, one line per row; columns flagged in ``numeric`` are set to the right.

    >>> print(markdown_table(pd.DataFrame({"a": ["x | y"], "b": [1]}), [False, True]))
    | a | b |
    | :--- | ---: |
    | x \\| y | 1 |
    """
    rule = ["---:" if right else ":---" for right in numeric] or ["---"] * len(table.columns)
    rows = [[str(cell).replace("|", "\\|") for cell in row] for row in (
        table.columns, *table.itertuples(index=False))]
    return "\n".join(f"| {' | '.join(row)} |" for row in (rows[0], rule, *rows[1:]))


def split_by(table: pd.DataFrame, column: str) -> dict[Any, pd.DataFrame]:
    """The rows of a table by the value of a column, in order of appearance."""
    return dict(list(table.groupby(column, sort=False)))


def panels(
    parts: Mapping[Any, Any], size: tuple[float, float], names: Mapping[Any, str] | None = None, *,
    down: bool = False, xlabel: str = "", ylabel: str = "", **options: Any,
) -> tuple[Figure, list[tuple[Axes, Any, Any]]]:
    """A panel for each part, titled by its key: the figure, and axis, key and part of each panel.

    The panels stand side by side, or one below the other (``down``), with one scale in the other
    direction.  ``size`` is width and height of a panel in inches; ``names`` are titles by key;
    ``options`` go to `plt.subplots`.
    """
    rows, columns = (len(parts), 1) if down else (1, len(parts))
    fig, axes = plt.subplots(rows, columns, figsize=(size[0] * columns, size[1] * rows),
                             squeeze=False, **{"sharex": down, "sharey": not down} | options)
    for axis, key in zip(axes.flat, parts, strict=True):
        axis.set_title((names or {}).get(key, key))
    for axis in axes[-1]:
        axis.set_xlabel(xlabel)
    for axis in axes[:, 0]:
        axis.set_ylabel(ylabel)
    return fig, list(zip(axes.flat, parts, parts.values(), strict=True))


def mark_map(axis: Axes, values: np.ndarray, marks: Sequence[str], **look: Any) -> AxesImage:
    """Draw values ``(mark, bin)`` by distance from the TSS in kb, a row per mark."""
    edge = values.shape[1] / 2 * BIN_KB
    axis.set_yticks(np.arange(len(marks)) + 0.5, marks)
    axis.tick_params(length=0)
    return axis.imshow(values, aspect="auto", interpolation="nearest",
                       extent=(-edge, edge, len(marks), 0), **look)


def intervals(
    axis: Axes, table: pd.DataFrame, places: Sequence[float], *, vertical: bool = False, **look: Any
) -> None:
    """Draw estimates, upwards or along the horizontal axis, with low and high; NaN: a bare point.

    ``places`` ``(row,)``: where each row stands on the other axis. ``look``: of `Axes.errorbar`.
    """
    estimate, low, high = (table[name].to_numpy(float) for name in ("estimate", "low", "high"))
    sides = np.nan_to_num(np.clip([estimate - low, high - estimate], 0, None))
    look = {"fmt": "o", "markersize": 4.5, "linewidth": 1.2, **look}
    if vertical:
        axis.errorbar(places, estimate, yerr=sides, **look)
    else:
        axis.errorbar(estimate, places, xerr=sides, **look)


def forest(
    table: pd.DataFrame,
    rows: str,
    *,
    panels: str | Sequence[str] = (),
    colour: str | None = None,
    marker: str | None = None,
    names: Mapping[Any, str] | None = None,
    order: Sequence[Any] | None = None,
    colours: Mapping[Any, str] | None = None,
    hollow: str | None = None,
    reference: float | None = None,
    margin: float | None = None,
    xlabel: str = "",
    xlim: tuple[float, float] | None = None,
    sharex: bool = True,
    connect: bool = False,
    wrap: int | None = None,
    legend_title: str | None = None,
    legend_columns: int = 2,
) -> Figure:
    """Forest plot: estimates with intervals by row, told apart by colour and marker, in panels.

    Of a table with rows for the cell type `MEAN` the other cell types are small dots without
    interval behind these means, unless cell types are rows or panels.  The figure's ``axes`` are
    the panels, from left to right and top to bottom.

    Parameters
    ----------
    table
        Tidy: columns estimate, low, high, and those that the next arguments name.
    rows, order
        Column whose values are the rows; from the top as in ``order``, or in order of appearance.
    panels
        Columns whose values get a panel each: none, one (side by side) or two (a grid, the first
        from top to bottom).
    colour, marker
        Columns told apart by colour and by marker (by default those of the colour).  Points of one
        row that differ in one of them stand one below the other.
    names
        Text of a value (or of a tuple of values of a panel) on the axis, in titles and legend.
    colours
        By value, in place of the book's.
    hollow
        Column of a second estimate, without interval, drawn as a hollow marker.
    reference, margin
        Where to draw a vertical line; half width of a band around it within which differences do
        not matter.
    connect
        Join the points of one colour and marker by a thin line.
    wrap
        Largest number of panels side by side.
    """
    panels = [panels] if isinstance(panels, str) else list(panels)
    marker = marker or (colour if colour not in (rows, *panels) else None)
    look = [one for one in dict.fromkeys((colour, marker)) if one is not None]
    spread = [one for one in look if one not in (rows, *panels)]
    dots = table.iloc[:0]
    if "cell" in table and "cell" not in (rows, *panels, *look) and MEAN in set(table["cell"]):
        dots, table = table[table["cell"] != MEAN], table[table["cell"] == MEAN]
    in_order = list(dict.fromkeys(table[rows] if order is None else order))
    table = table[table[rows].isin(in_order)]
    in_order = [one for one in in_order if one in set(table[rows])]
    groups = list(dict.fromkeys(_keys(table, spread)))
    half = min(0.34, 0.13 * (len(groups) - 1))
    shifts = dict(zip(groups, np.linspace(-half, half, len(groups)), strict=True))
    shades = _by_appearance(table, colour, OTHER_COLOURS) | {
        value: mark_colour(value) for value in (table[colour] if colour == "mark" else ())
    } | NAMED_COLOURS | dict(colours or {})
    shapes = _by_appearance(table, marker, MARKERS) | LABEL_MARKERS
    texts = [_text((one,), names) for one in in_order]
    fig, axes = _panels(table, panels, wrap, sharex, names, texts, len(groups), xlabel)
    for axis, key in axes.items():
        part = table[[one == key for one in _keys(table, panels)]]
        if margin is not None:
            axis.axvspan((reference or 0) - margin, (reference or 0) + margin, color="0.9",
                         zorder=0)
        if reference is not None:
            axis.axvline(reference, color="0.4", linewidth=0.8)
        for points in [one for _, one in part.groupby(look, sort=False)] if look else [part]:
            group = _keys(points, spread)[0] if spread else ()
            places = [in_order.index(one) + shifts[group] for one in points[rows]]
            shade = shades[points[colour].iloc[0]] if colour else OTHER_COLOURS[0]
            shape = shapes[points[marker].iloc[0]] if marker else "o"
            columns = list(dict.fromkeys([rows, *panels, *look]))
            own = dots.merge(points[columns].drop_duplicates(), on=columns)
            behind = [in_order.index(one) + shifts[group] for one in own[rows]]
            axis.plot(own["estimate"], behind, "o", color=shade, markersize=2.5, alpha=0.45,
                      markeredgewidth=0, zorder=1)
            intervals(axis, points, places, color=shade, fmt=shape,
                      label=_text(group, names) if spread else None)
            if hollow is not None:
                axis.plot(points[hollow], places, shape, color=shade, zorder=3,
                          markerfacecolor="white", markersize=4.5)
            if connect:
                axis.plot(points["estimate"], places, color=shade, linewidth=0.8, alpha=0.5)
        axis.set_title(_text(key, names))
        axis.set_yticks(range(len(texts)), texts)
        for between in range(1, len(texts)):
            axis.axhline(between - 0.5, color="0.9", linewidth=0.6, zorder=0)
        axis.grid(axis="x", alpha=0.3)
        if axis.get_subplotspec().is_last_row() or wrap:
            axis.set_xlabel(xlabel)
            axis.tick_params(labelbottom=True)
    next(iter(axes)).set(ylim=(len(texts) - 0.5, -0.5), xlim=xlim)
    if spread:
        legend_below(fig, legend_columns, legend_title)
    return fig


def forest_by_cell(table: pd.DataFrame, rows: str, **options: Any) -> Figure:
    """`forest` of a table with column cell: a marker a cell type, of many their mean and dots.

    ``options`` are those of `forest`, of which panels and colour name columns.
    """
    cells = table["cell"].unique()
    if len(cells) <= MANY_CELLS:
        return forest(table, rows, marker="cell", **options)
    by = dict.fromkeys([rows, *(options[one] for one in ("panels", "colour") if one in options)])
    means = estimates(table, list(by), lambda part: student_interval(part["estimate"].to_numpy()))
    xlabel = f"{options.get('xlabel', '')}\nmean of {len(cells)} cell types (dots)"
    return forest(pd.concat([means.assign(cell=MEAN), table]), rows,
                  **options | {"xlabel": xlabel, "legend_title": None})


def legend_below(fig: Figure, columns: int = 2, title: str | None = None) -> None:
    """One legend below all panels, with each name once."""
    entries: dict[str, Any] = {}
    for axis in fig.axes:
        for handle, name in zip(*axis.get_legend_handles_labels(), strict=True):
            entries.setdefault(name, handle)
    fig.legend(entries.values(), entries.keys(), loc="outside lower center", ncols=columns,
               title=title)


def _keys(table: pd.DataFrame, columns: list[str]) -> list[tuple[Any, ...]]:
    return list(table[columns].itertuples(index=False, name=None)) if columns else [()] * len(table)


def _text(key: tuple[Any, ...], names: Mapping[Any, str] | None) -> str:
    names = names or {}
    return names.get(key) or ", ".join(str(names.get(value, value)) for value in key)


def _by_appearance(table: pd.DataFrame, column: str | None, looks: Sequence[str]) -> dict[Any, str]:
    values = [] if column is None else list(dict.fromkeys(table[column]))
    return dict(zip(values, looks * len(values), strict=False))


def _panels(
    table: pd.DataFrame, columns: list[str], wrap: int | None, sharex: bool,
    names: Mapping[Any, str] | None, rows: list[str], n_groups: int, xlabel: str,
) -> tuple[Figure, dict[Axes, tuple[Any, ...]]]:
    """The figure, and the values that each of its panels shows."""
    keys = list(dict.fromkeys(_keys(table, columns)))
    side = min(len(keys), wrap or len(keys))
    if len(columns) == 2:
        down, across = (list(dict.fromkeys(table[name])) for name in columns)
        keys, side = list(product(down, across)), len(across)
    deep = -(-len(keys) // side)
    titles = [_text(key, names) for key in keys]
    width = max(2.5 if side < 4 else 1.8, 0.085 * _longest([*titles, xlabel]))
    height = max(1.0, len(rows) * (0.24 + 0.11 * n_groups))
    fig, grid = plt.subplots(
        deep, side, sharex=sharex, sharey=True, squeeze=False,
        figsize=(0.6 + 0.07 * _longest(rows) + width * side, 1.0 + (height + 0.3) * deep))
    for axis in grid.flat[len(keys) :]:
        axis.remove()
    for axis in grid.flat:
        axis.xaxis.set_major_locator(MaxNLocator(int(width / 0.7)))  # labels stay apart
    return fig, dict(zip(grid.flat, keys, strict=False))


def _longest(texts: Sequence[str]) -> int:
    return max(len(line) for text in texts for line in text.split("\n"))
