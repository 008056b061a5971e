"""The heat maps of Figure 3 and those of single genes show the numbers that they should."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from dc2book.data import figures, heat_maps, tables
from test_data_tables import planted

from dc2lib.crosscell import expression_correlation


def test_likeness_of_heat_maps_has_an_interval_over_cell_types():
    rng = np.random.default_rng(0)
    rpkm = pd.DataFrame(rng.gamma(1, 9, (60, 8)), columns=[f"E{n:03d}" for n in range(8)])
    matrix, other = (expression_correlation(part) for part in (rpkm[:30], rpkm[30:]))
    table = heat_maps.correlation_summary({"train": matrix, "test": other}).set_index("split")
    ends = ["similarity", "low", "high"]
    np.testing.assert_allclose(table.loc["train", ends].astype(float), 1)
    middle, low, high = table.loc["test", ends].astype(float)
    assert low < middle < high
    six = heat_maps.correlation_summary({"train": matrix.iloc[:6, :6], "test": other.iloc[:6, :6]})
    assert np.isfinite(six[ends].astype(float)).all(axis=None)  # some resamples hold one pair only
    few = heat_maps.correlation_summary({"train": matrix.iloc[:4, :4]})
    assert few[ends[1:]].isna().all(axis=None)
    alone = heat_maps.correlation_summary({"train": matrix.iloc[:2, :2]})
    assert alone[["mean", *ends]].isna().all(axis=None) and len(alone) == 1


def test_dark_lines_are_those_against_the_average():
    alike = pd.DataFrame(0.5, list("ABCD"), list("ABCD"))
    lighter, dark = alike + 0.2, alike.copy()
    dark.loc["C"] = dark["C"] = 0.0
    found = heat_maps.dark_lines({"train": alike, "valid": dark, "test": lighter})
    assert found == {"valid": ["C"], "test": []}


def test_a_stretched_heat_map_goes_from_0_to_1():
    cells = ["A", "B"]
    matrix = pd.DataFrame([[1, 0.5], [0.5, 1]], cells, cells)
    assert heat_maps.stretched(matrix).to_numpy().tolist() == [[1, 0], [0, 1]]
    np.testing.assert_array_equal(heat_maps.stretched(matrix.iloc[:1, :1]), 1)


def test_every_cell_of_a_heat_map_stands_in_its_data():
    rng = np.random.default_rng(0)
    rpkm = pd.DataFrame(rng.gamma(1, 9, (50, 30)), columns=[f"E{n:03d}" for n in range(30)])
    correlations = {split: expression_correlation(rpkm) for split in ("train", "valid")}
    table = heat_maps.long_table(correlations).set_index(["split", "cell", "other"])["correlation"]
    assert table["valid", "E003", "E007"] == correlations["valid"].loc["E003", "E007"]


def test_gene_heat_maps_show_the_counts():
    cell = planted()
    genes = tables.example_genes(cell)
    fig = figures.gene_heat_maps(cell, genes)
    shown = np.expm1(fig.axes[0].images[0].get_array())
    plt.close(fig)
    np.testing.assert_allclose(shown, cell.counts[genes["row"].iloc[0]].T, atol=1e-9)
