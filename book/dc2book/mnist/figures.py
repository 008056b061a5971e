"""Figures of the MNIST visualization chapter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from dc2book import style
from dc2book.style import INPUT_COLOURS, OTHER_COLOURS

GAP = 2
ACCENT = "#C1121F"
METHOD_COLOURS = {
    "a": OTHER_COLOURS[2],
    "b": OTHER_COLOURS[3],
    "c": OTHER_COLOURS[4],
    "sampled": INPUT_COLOURS["generated"],
}
REAL_COLOUR = INPUT_COLOURS["real"]
LINE_COLOURS = (*OTHER_COLOURS, "#6E6E6E")
QUANTILES = (0.05, 0.5, 0.95)
LINE_STYLES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)))


def tiled(images: np.ndarray) -> np.ndarray:
    """Images ``(row, column, height, width)`` as one ``(height, width)`` canvas with white gaps."""
    rows, columns, height, width = images.shape
    canvas = np.ones((rows * (height + GAP) + GAP, columns * (width + GAP) + GAP), np.float32)
    for row, column in np.ndindex(rows, columns):
        top, left = GAP + row * (height + GAP), GAP + column * (width + GAP)
        canvas[top : top + height, left : left + width] = images[row, column]
    return canvas


def image_grid(
    axis: Axes, images: np.ndarray, *, rows: Sequence[str] = (), columns: Sequence[str] = (),
    framed: np.ndarray | None = None,
) -> None:
    """Draw images ``(row, column, 28, 28)`` with labels; ``framed`` ``(row, column)`` get a frame.

    Images that hold NaN are left blank.
    """
    side = images.shape[2] + GAP
    axis.imshow(np.nan_to_num(tiled(images), nan=0.85), cmap="gray", vmin=0, vmax=1)
    axis.set_yticks(np.arange(len(rows)) * side + side / 2, rows)
    axis.set_xticks(np.arange(len(columns)) * side + side / 2, columns)
    axis.tick_params(length=0)
    axis.xaxis.tick_top()
    axis.spines[:].set_visible(False)
    for row, column in np.argwhere(framed) if framed is not None else ():
        axis.add_patch(Rectangle(
            (column * side + GAP / 2 - 0.5, row * side + GAP / 2 - 0.5), side, side, fill=False,
            edgecolor=ACCENT, linewidth=1.5))


def digit_rows(
    images: np.ndarray, rows: Sequence[str], columns: Sequence[str] = (), width: float = 4.8
) -> Figure:
    """One grid of images ``(row, column, 28, 28)``."""
    height = width * images.shape[0] / images.shape[1]
    fig, axis = plt.subplots(figsize=(width, height + 0.3))
    image_grid(axis, images, rows=rows, columns=columns)
    return fig


def accepted_images(panels: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> Figure:
    """Figure 2 of the paper: a panel per threshold, a row per class.

    ``panels``: by title: images ``(class, rank, 28, 28)``, blank ones NaN, and ``(class, rank)``
    whether an image is shown although it did not pass.
    """
    fig, by_threshold = style.panels(panels, (5.0, 5.0), down=True, sharex=False,
                                     ylabel="class of the classifier")
    for axis, _, (images, failed) in by_threshold:
        image_grid(axis, images, rows=[str(c) for c in range(len(images))], framed=failed)
    return fig


def zero_loss(
    optimised: np.ndarray, real: np.ndarray, images: np.ndarray, digits: np.ndarray
) -> Figure:
    """A loss of optimised images by step beside that of real digits, and where it ends.

    ``optimised``: loss ``(step, image)``. ``real``: loss of real digits, ``(digit,)``. ``images``,
    ``digits``: optimised images and real digits, ``(class, 28, 28)``.
    """
    fig, (axis, shown) = plt.subplots(1, 2, figsize=(7.4, 2.7), width_ratios=(1, 1.3))
    steps = np.arange(len(optimised))
    real = np.tile(np.quantile(real, np.linspace(0, 1, 101)), (len(steps), 1))
    for name, loss, colour, line in (("optimised, (b)", optimised, METHOD_COLOURS["b"], "-"),
                                     ("real digits", real, REAL_COLOUR, "--")):
        low, middle, high = np.quantile(loss, QUANTILES, axis=1)
        axis.fill_between(steps, low, high, color=colour, alpha=0.2, linewidth=0)
        axis.plot(steps, middle, line, color=colour, label=name)
    axis.set(xlabel="step", ylabel="loss (b)", ylim=(0, None))
    axis.legend()
    half = len(images) // 2
    rows = [images[:half], digits[:half], images[half:], digits[half:]]
    image_grid(shown, np.stack(rows), rows=["(b)", "real"] * 2)
    return fig


def mean_ratings(means: pd.DataFrame, titles: Mapping[str, str]) -> Figure:
    """Mean rating of each method with its interval, a panel per judge.

    A judge whose means all lie within 0.2 gets an axis of its own range, and says so.

    ``means``: of `dc2book.mnist.judges.judge_means`. ``titles``: names of the judges as they
    are shown.
    """
    table = means[means["judge"].isin(titles)]
    fig = style.forest(
        table, "method", panels="judge", colour="method", names=titles, wrap=2, sharex=False,
        colours={method: method_colour(method) for method in table["method"]},
        xlabel="mean rating",
    )
    for axis, (judge, rows) in zip(fig.axes, table.groupby("judge", sort=False), strict=False):
        if np.ptp(rows[["low", "high"]].to_numpy()) < 0.2:
            axis.set_title(f"{titles[judge]}\n(narrow axis)")
        else:
            axis.set_xlim(-0.03, 1.03)
    return fig


def method_colour(method: str) -> str:
    """Colour of a way to make images: by its first word, or green for real digits."""
    word = method.split(",")[0].split(" ")[0].strip("()")
    return METHOD_COLOURS.get(word, REAL_COLOUR if word == "real" else "#444444")


def dose_response(bands: pd.DataFrame, titles: Mapping[str, str]) -> Figure:
    """Mean of each judge by band of the classifier's confidence, generated and real images.

    ``bands``: as of `dc2book.mnist.study.dose_table`.
    """
    labels = list(dict.fromkeys(bands["band"]))
    parts = {titles[judge]: part for judge, part in style.split_by(bands, "judge").items()
             if judge in titles}
    fig, panels = style.panels(parts, (5.6, 2.3), down=True, ylabel="mean rank",
                               xlabel="highest class probability of the probed classifier")
    colours = {"generated": METHOD_COLOURS["sampled"], "real": REAL_COLOUR}
    for axis, _, part in panels:
        for number, (source, rows) in enumerate(part.groupby("source", sort=False)):
            x = np.array([labels.index(band) for band in rows["band"]]) + 0.08 * (2 * number - 1)
            style.intervals(axis, rows, x, vertical=True, fmt=("o-", "s--")[number % 2],
                            color=colours[str(source)], label=source)
        axis.grid(axis="y", alpha=0.3)
    axis.set_xticks(range(len(labels)), labels)
    fig.axes[0].legend(title="digits")
    return fig


def weight_sweep(
    table: pd.DataFrame, measures: Mapping[str, str], real: Mapping[str, float]
) -> Figure:
    """Measures against Phi, a line per lambda, a panel per measure.

    ``table``: columns lambda, phi and the measures; the values of phi are drawn at equal distances.
    ``measures``: column to title. ``real``: the same measure of real digits, drawn as a line, where
    there is one.
    """
    n_rows = -(-len(measures) // 2)
    fig, axes = plt.subplots(n_rows, 2, figsize=(7.4, 2.4 * n_rows), squeeze=False)
    values = np.sort(table["phi"].unique())
    panels = axes.ravel()
    for axis, (column, title) in zip(panels, measures.items(), strict=False):
        for number, (weight, rows) in enumerate(table.groupby("lambda")):
            rows = rows.sort_values("phi")
            axis.plot(
                np.searchsorted(values, rows["phi"]), rows[column], marker="osD^v<"[number % 6],
                ms=4, color=LINE_COLOURS[number % 6], linestyle=LINE_STYLES[number % 6],
                label=f"λ = {weight:g}",
            )
        if column in real:
            axis.axhline(real[column], color="black", linewidth=0.8, label="real digits")
        axis.set_title(title, fontsize=9)
        axis.set_xticks(range(len(values)), [f"{v:g}" for v in values])
        axis.grid(axis="y", alpha=0.3)
    for axis in panels[max(0, len(measures) - 2) : len(measures)]:
        axis.set_xlabel("Φ")
    for axis in panels[len(measures) :]:
        axis.axis("off")
    panels[0].legend(loc="lower left", fontsize=7)
    return fig


def signal_maps(
    maps: Mapping[str, np.ndarray], marks: Sequence[str], label: str = "log(1 + reads per bin)"
) -> Figure:
    """Signals ``(mark, bin)``, a panel each, on one diverging scale with white at zero."""
    fig, panels = style.panels(maps, (7.0, 1.4), down=True, xlabel=style.FROM_TSS)
    top = max(float(np.abs(signal).max()) for signal in maps.values()) or 1.0
    for axis, _, signal in panels:
        image = style.mark_map(axis, signal, marks, cmap="PuOr_r", vmin=-top, vmax=top)
    fig.colorbar(image, ax=fig.axes, shrink=0.6, pad=0.02, label=label)
    return fig
