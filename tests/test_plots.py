from itertools import pairwise

import matplotlib as mpl
import matplotlib.pyplot as plt
import pandas as pd
import pytest
from matplotlib.colors import to_rgb

from dc2lib import model_plots, plots
from dc2lib.datasets import MARKS


def lightness(colour: str) -> float:
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return 116 * luminance ** (1 / 3) - 16


@pytest.mark.parametrize("colours", [plots.MARK_COLOURS, plots.LABEL_COLOURS, plots.CLASS_COLOURS])
def test_colours_keep_apart_in_grey(colours):
    shades = sorted(lightness(colour) for colour in colours.values())
    assert min(b - a for a, b in pairwise(shades)) > 10


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
