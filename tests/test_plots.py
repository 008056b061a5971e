import re
from itertools import combinations, pairwise
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from dc2book import model_figures as model_plots
from dc2book import style as plots
from matplotlib.colors import to_rgb

from dc2lib.datasets import MARKS


def lightness(colour: str) -> float:
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return 116 * luminance ** (1 / 3) - 16


RESERVED = {"marks": plots.MARK_COLOURS, "labels": plots.LABEL_COLOURS,
            "classes": plots.CLASS_COLOURS}
PALETTES = RESERVED | {
    "inputs": plots.INPUT_COLOURS,
    "others": dict(enumerate(plots.OTHER_COLOURS)),
    "rising": dict(enumerate(plots.RISING_COLOURS)),
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


def seen(colour: str, deficiency: str) -> np.ndarray:
    """CIELAB coordinates of a colour as someone with a deficiency sees it."""
    rgb = np.array(to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    linear = np.clip(np.array(DEFICIENCIES[deficiency]) @ linear, 0, 1)
    white = XYZ @ linear / XYZ.sum(1)
    f = np.where(white > 0.008856, np.cbrt(white), 7.787 * white + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("palette", PALETTES)
def test_colours_keep_apart_in_grey(palette):
    shades = sorted(lightness(colour) for colour in PALETTES[palette].values())
    assert min(b - a for a, b in pairwise(shades)) > 10


@pytest.mark.parametrize("deficiency", DEFICIENCIES)
@pytest.mark.parametrize("palette", PALETTES)
def test_colours_keep_apart_with_a_colour_vision_deficiency(palette, deficiency):
    as_seen = [seen(colour, deficiency) for colour in PALETTES[palette].values()]
    assert min(np.linalg.norm(a - b) for a, b in combinations(as_seen, 2)) > 12


def test_colours_of_marks_labels_and_classes_mean_nothing_else():
    reserved = {c.upper() for palette in RESERVED.values() for c in palette.values()}
    reserved -= {plots.LABEL_COLOURS["released"]}
    others = (*plots.OTHER_COLOURS, *plots.RISING_COLOURS, *plots.INPUT_COLOURS.values(),
              *plots.MODEL_COLOURS.values(), *plots.FURTHER_COLOURS)
    assert not reserved & {colour.upper() for colour in others}
    for file in sorted(Path(plots.__file__).parent.rglob("*plots.py")):
        if file.name == "plots.py" and file.parent.name == "dc2lib":
            continue
        typed = {colour.upper() for colour in re.findall(r"#[0-9A-Fa-f]{6}", file.read_text())}
        assert not typed & reserved, f"{file.name} types {typed & reserved}: name it or another"


def test_every_released_mark_has_a_colour():
    assert set(MARKS) == set(plots.MARK_COLOURS)
    assert plots.mark_colour("H3K27ac") in plots.FURTHER_COLOURS


def test_style_sets_the_books_look():
    with mpl.rc_context():
        plots.style()
        assert mpl.rcParams["axes.spines.top"] is False


def test_auroc_along_bins_puts_the_tss_in_the_middle():
    fig = model_plots.auroc_along_bins(pd.Series([0.5, 0.7, 0.8, 0.6]))
    x, y = fig.axes[0].lines[0].get_data()
    assert x == pytest.approx([-0.15, -0.05, 0.05, 0.15])
    assert list(y) == [0.5, 0.7, 0.8, 0.6]
    plt.close(fig)
