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
from dc2lib.labels import RULES


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


def test_counts_and_depth():
    cell = planted()
    summary = pd.concat([description.count_summary(cell)] * 2)
    fig = data_plots.count_tails(description.count_tail(cell), summary)
    labelled(fig, 2)
    assert [axis.get_ylabel() for axis in fig.axes] == ["share of bins", "variance"]


def test_correlations():
    cells = [f"E{number:03d}" for number in range(30)]
    rpkm = pd.DataFrame(np.random.default_rng(0).gamma(1, 9, (50, 30)), columns=cells)
    correlations = {split: crosscell.expression_correlation(rpkm) for split in SPLITS}
    labelled(data_plots.expression_heat_maps(correlations), 3)
    table = heat_maps.long(correlations).set_index(["split", "cell", "other"])["correlation"]
    assert table["valid", "E003", "E007"] == correlations["valid"].loc["E003", "E007"]


def test_classes_and_expression():
    cells = {"E012": planted(), "E013": planted(seed=1)}
    along = pd.concat(
        description.share_along_genes(cell, rule, 20).assign(cell=name, labels=rule)
        for name, cell in cells.items()
        for rule in RULES
    )
    fig = data_plots.class_shares(description.class_balance(cells), along)
    labelled(fig, 2)
    assert fig.axes[0].get_ylim() == (0, 1)
    rpkm = crosscell.expression_table(cells)
    table = description.expression_summary(rpkm, {"E012": "1.500", "E013": "4.000"})
    fig = data_plots.expression_distribution(rpkm, ["E012"], table)
    labelled(fig, 2)
