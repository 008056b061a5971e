"""Figures of the book: one style, one set of colours, one function a figure.

The colours keep apart for readers with any common colour-vision deficiency and rise in
lightness, so that they also keep apart in grey print.  Those of the marks, label rules and classes
mean these everywhere and nothing else; everything else takes the others.  Cell types have no
colour: panels, markers and line styles tell them apart.
"""

from __future__ import annotations

from zlib import crc32

import matplotlib as mpl

MARK_COLOURS = {
    "H3K9me3": "#2B1C6B",
    "H3K27me3": "#8B2F7A",
    "H3K36me3": "#14805A",
    "H3K4me3": "#EC7A4B",
    "H3K4me1": "#E9C03C",
}
LABEL_COLOURS = {"numeric": "#0F5C9C", "lexicographic": "#E9A13B", "released": "#7A7A7A"}
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
    """Set the book's matplotlib style for the figures that follow."""
    mpl.rcParams.update(STYLE)


def mark_colour(mark: str) -> str:
    """Colour of a histone mark; a mark outside the released five always gets the same one.

    Examples
    --------
    >>> mark_colour("H3K4me3")
    '#EC7A4B'
    >>> mark_colour("H3K27ac") == mark_colour("H3K27ac")
    True
    """
    further = FURTHER_COLOURS[crc32(mark.encode()) % len(FURTHER_COLOURS)]
    return MARK_COLOURS.get(mark, further)
