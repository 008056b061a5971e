"""The book's style: colours that keep apart, and what the forest plot draws where."""

import re
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from dc2book import style
from dc2book.style import forest
from matplotlib.colors import to_rgb

from dc2lib.datasets import MARKS

RESERVED = {"marks": style.MARK_COLOURS, "labels": style.LABEL_COLOURS,
            "classes": style.CLASS_COLOURS}
PALETTES = RESERVED | {
    "inputs": style.INPUT_COLOURS,
    "others": dict(enumerate(style.OTHER_COLOURS)),
    "rising": dict(enumerate(style.RISING_COLOURS)),
}
# Linear RGB as seen without one kind of cone; Machado et al. 2009, doi:10.1109/TVCG.2009.113.
DEFICIENCIES = {
    "none": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
                   [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
                     [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
                   [0.004733, 0.691367, 0.303900]],
}
XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def seen(colour, deficiency):
    """CIELAB coordinates of a colour as someone with a deficiency sees it."""
    rgb = np.array(to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    linear = np.clip(np.array(DEFICIENCIES[deficiency]) @ linear, 0, 1)
    white = XYZ @ linear / XYZ.sum(1)
    f = np.where(white > 0.008856, np.cbrt(white), 7.787 * white + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


TABLE = pd.DataFrame(
    [
        ("E012", "numeric", "linear", 0.80, 0.78, 0.83),
        ("E012", "lexicographic", "linear", 0.70, 0.68, 0.73),
        ("E012", "numeric", "network", 0.85, 0.83, 0.88),
        ("E013", "numeric", "linear", 0.75, np.nan, np.nan),
    ],
    columns=["cell", "labels", "model", "estimate", "low", "high"],
)


def drawn(axis):
    """Estimate, place, low and high of every drawn point of a panel."""
    found = []
    for container in axis.containers:
        points, _, (bars,) = container.lines
        for x, y, ((low, _), (high, _)) in zip(
            *points.get_data(), bars.get_segments(), strict=True
        ):
            found.append((float(x), float(y), float(low), float(high)))
    return found


def test_every_estimate_stands_in_its_panel_and_row_with_its_interval():
    fig = forest(TABLE, "model", panels="cell", colour="labels")
    first, second = fig.axes
    assert [axis.get_title() for axis in fig.axes] == ["E012", "E013"]
    assert [tick.get_text() for tick in first.get_yticklabels()] == ["linear", "network"]
    got = sorted((row for row in drawn(first)), key=lambda row: row[0])
    assert np.allclose([(x, low, high) for x, _, low, high in got],
                       [(0.70, 0.68, 0.73), (0.80, 0.78, 0.83), (0.85, 0.83, 0.88)])
    assert [round(y) for _, y, _, _ in got] == [0, 0, 1]
    assert got[0][1] != got[1][1], "two label rules of one row do not cover each other"
    assert drawn(second) == [pytest.approx((0.75, got[1][1], 0.75, 0.75))]


@pytest.mark.parametrize("palette", PALETTES)
def test_colours_keep_apart_in_grey(palette):
    shades = sorted(seen(colour, "none")[0] for colour in PALETTES[palette].values())
    assert min(b - a for a, b in pairwise(shades)) > 10


@pytest.mark.parametrize("deficiency", DEFICIENCIES)
@pytest.mark.parametrize("palette", PALETTES)
def test_colours_keep_apart_with_a_colour_vision_deficiency(palette, deficiency):
    as_seen = [seen(colour, deficiency) for colour in PALETTES[palette].values()]
    assert min(np.linalg.norm(a - b) for a, b in combinations(as_seen, 2)) > 12


def test_colours_of_marks_labels_and_classes_mean_nothing_else():
    reserved = {c.upper() for palette in RESERVED.values() for c in palette.values()}
    reserved -= {style.LABEL_COLOURS["released"]}
    others = (*style.OTHER_COLOURS, *style.RISING_COLOURS, *style.INPUT_COLOURS.values(),
              *style.MODEL_COLOURS.values(), *style.FURTHER_COLOURS)
    assert not reserved & {colour.upper() for colour in others}
    for file in sorted(Path(style.__file__).parent.rglob("*.py")):
        if file == Path(style.__file__):
            continue
        typed = {colour.upper() for colour in re.findall(r"#[0-9A-Fa-f]{6}", file.read_text())}
        assert not typed & reserved, f"{file.name} types {typed & reserved}: name it or another"


def test_every_released_mark_has_a_colour():
    assert set(MARKS) == set(style.MARK_COLOURS)
    assert style.mark_colour("H3K27ac") in style.FURTHER_COLOURS
