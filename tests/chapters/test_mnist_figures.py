"""Figures of digits: where each image lies, and that every figure can be drawn."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from dc2book.mnist import figures as digit_plots


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_frames_surround_what_did_not_pass():
    images = np.full((10, 10, 28, 28), np.nan)
    failed = np.zeros((10, 10), bool)
    failed[3, 4] = True
    fig = digit_plots.accepted_images({"all": (images, ~failed), "one": (images, failed)})
    assert [len(axis.patches) for axis in fig.axes] == [99, 1]
    frame = fig.axes[1].patches[0]
    assert frame.get_x() == pytest.approx(4 * 30 + 0.5) and frame.get_width() == 30
