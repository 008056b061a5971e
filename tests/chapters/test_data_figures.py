import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from dc2book import style as plots
from dc2book.data import figures as data_plots
from dc2book.data import heat_maps
from dc2book.data import tables as description
from matplotlib.figure import Figure
from test_data_tables import planted

from dc2lib import crosscell
from dc2lib.datasets import SPLITS


@pytest.fixture(autouse=True)
def _style():
    with plt.rc_context():
        plots.style()
        yield
        plt.close("all")


def labelled(fig: Figure, panels: int) -> None:
    fig.draw_without_rendering()
    drawn = [axis for axis in fig.axes if axis.get_label() != "<colorbar>"]
    assert len(drawn) == panels


def test_gene_heat_maps_show_the_counts():
    cell = planted()
    genes = description.example_genes(cell)
    fig = data_plots.gene_heat_maps(cell, genes)
    labelled(fig, len(genes))
    shown = np.expm1(fig.axes[0].images[0].get_array())
    np.testing.assert_allclose(shown, cell.counts[genes["row"].iloc[0]].T, atol=1e-9)
    assert fig.axes[len(genes) - 1].get_xlabel() == "kb from the TSS, along the genome"


@pytest.mark.parametrize("orientations", [("genome",), ("genome", "gene")])
def test_class_profiles_fit_into_their_axes(orientations):
    profiles = {
        name: description.mean_profiles(planted(), orientation=name, n_resamples=5)
        for name in orientations
    }
    fig = data_plots.class_profiles(profiles)
    labelled(fig, 5 * len(orientations))
    for axis in fig.axes:
        top = max(line.get_ydata().max() for line in axis.get_lines()[:2])
        assert axis.get_ylim()[0] == 0
        assert axis.get_ylim()[1] >= top


def test_correlations():
    cells = [f"E{number:03d}" for number in range(30)]
    rpkm = pd.DataFrame(np.random.default_rng(0).gamma(1, 9, (50, 30)), columns=cells)
    correlations = {split: crosscell.expression_correlation(rpkm) for split in SPLITS}
    labelled(data_plots.expression_heat_maps(correlations), 3)
    table = heat_maps.long(correlations).set_index(["split", "cell", "other"])["correlation"]
    assert table["valid", "E003", "E007"] == correlations["valid"].loc["E003", "E007"]
