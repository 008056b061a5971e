"""Figures of digits: where each image lies, and that every figure can be drawn."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from dc2book.mnist import figures as digit_plots


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_tiles_lie_in_their_rows_and_columns():
    images = np.zeros((2, 3, 4, 4))
    images[1, 2] = 0.5
    canvas = digit_plots.tiled(images)
    assert canvas.shape == (2 * 6 + 2, 3 * 6 + 2)
    assert (canvas[8:12, 14:18] == 0.5).all()
    assert (canvas == 0.5).sum() == 16
    assert (canvas[:2] == 1).all() and (canvas[6:8] == 1).all()


def test_frames_surround_what_did_not_pass():
    images = np.full((10, 10, 28, 28), np.nan)
    failed = np.zeros((10, 10), bool)
    failed[3, 4] = True
    fig = digit_plots.accepted_images({"all": (images, ~failed), "one": (images, failed)})
    assert [len(axis.patches) for axis in fig.axes] == [99, 1]
    frame = fig.axes[1].patches[0]
    assert frame.get_x() == pytest.approx(4 * 30 + 0.5) and frame.get_width() == 30


def test_a_judge_with_close_means_gets_an_axis_of_its_own():
    means = pd.DataFrame(
        {
            "method": ["(a) optimised", "real"] * 2,
            "judge": ["wide", "wide", "close", "close"],
            "probability": [0.1, 0.9, 0.5, 0.55],
            "low": [0.05, 0.85, 0.49, 0.54],
            "high": [0.15, 0.95, 0.51, 0.56],
        }
    )
    fig = digit_plots.mean_ratings(means, {"wide": "first", "close": "second"})
    titles = [axis.get_title(loc="left") or axis.get_title() for axis in fig.axes]
    assert titles[0] == "first" and "narrow axis" in titles[1]
    assert fig.axes[0].get_xlim() == (-0.03, 1.03)
    assert fig.axes[1].get_xlim()[0] > 0.4
    assert digit_plots.method_colour("real") == digit_plots.REAL_COLOUR
    assert digit_plots.method_colour("(a) optimised") == digit_plots.METHOD_COLOURS["a"]


def test_the_other_figures_hold_their_lines():
    sweep = pd.DataFrame({"lambda": [0, 0, 1, 1], "phi": [0, 10, 0, 10], "x": range(4)})
    fig = digit_plots.weight_sweep(sweep, {"x": "measure"}, {"x": 0.5})
    assert [line.get_label() for line in fig.axes[0].get_lines()] == [
        "λ = 0", "λ = 1", "real digits"
    ]
    bands = pd.DataFrame(
        {"judge": "x", "source": ["generated", "real"], "band": "low", "response": 0.5,
         "low": 0.4, "high": 0.6}
    )
    assert len(digit_plots.dose_response(bands, {"x": "judge"}).axes) == 1
    fig = digit_plots.zero_loss(np.array([[4.0, 2], [1, 1]]), np.full(9, 2.0),
                                np.zeros((10, 28, 28)), np.ones((10, 28, 28)))
    assert [line.get_ydata().tolist() for line in fig.axes[0].get_lines()] == [[3, 1], [2, 2]]
    signal = np.arange(-5.0, 5.0).reshape(2, 5)
    maps = digit_plots.signal_maps({"one": signal}, ["H3K4me3", "H3K9me3"])
    assert maps.axes[0].get_images()[0].get_clim() == (-5, 5)
