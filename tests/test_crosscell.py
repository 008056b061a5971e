import numpy as np
import pandas as pd
import pytest
from released_files import TABLE

from dc2lib.crosscell import (
    between_cells,
    correlation_summary,
    expression_correlation,
    expression_of,
    genes_by_split,
    mean_with_others,
)
from dc2lib.datasets import HistoneDataset, published, read_rpkm
from dc2lib.errors import DataError


def rpkm(n_genes=40, cells=("E003", "E004", "E005"), seed=0) -> pd.DataFrame:
    values = np.random.default_rng(seed).gamma(0.5, 10, (n_genes, len(cells)))
    return pd.DataFrame(values, index=[f"g{i}" for i in range(n_genes)], columns=list(cells))


def cell_of(name, genes, split, values):
    counts = np.zeros((len(genes), 100, 5), dtype=int)
    return HistoneDataset.from_arrays(counts, genes, name, split, rpkm=values)


def test_correlation_is_pearsons():
    table = rpkm()
    pd.testing.assert_frame_equal(expression_correlation(table), table.corr(), rtol=1e-12)


def test_a_correlation_by_hand():
    table = pd.DataFrame({"a": [0.0, 1, 2], "b": [0.0, 2, 4], "c": [1.0, 0, 1]})
    matrix = expression_correlation(table)
    assert matrix.loc["a", "b"] == pytest.approx(1)
    assert matrix.loc["a", "c"] == pytest.approx(0)


def test_scale_and_order_do_not_matter():
    table = rpkm()
    scaled = table.sample(frac=1, random_state=1) * [1, 10, 0.3] + [0, 5, 2]
    pd.testing.assert_frame_equal(expression_correlation(scaled), expression_correlation(table))


def test_only_the_named_genes_count_and_each_once():
    table = rpkm()
    genes = [*table.index[:20], table.index[0]]
    expected = table.iloc[:20].corr()
    pd.testing.assert_frame_equal(expression_correlation(table, genes), expected)


def test_normalised_runs_from_0_to_1():
    matrix = expression_correlation(rpkm(), normalise=True)
    assert matrix.to_numpy().min() == 0
    assert matrix.to_numpy().max() == 1
    np.testing.assert_allclose(np.diag(matrix), 1)


def test_a_cell_without_expression_stays_empty():
    table = rpkm().assign(E128=np.nan, E127=3.0)
    matrix = expression_correlation(table, normalise=True)
    assert matrix[["E128", "E127"]].isna().all().all()
    assert matrix.iloc[:3, :3].notna().all().all()


def test_what_cannot_be_correlated():
    with pytest.raises(DataError, match=r"1 gene\(s\) have no expression: g99"):
        expression_correlation(rpkm(), ["g1", "g99"])
    with pytest.raises(DataError, match="at least 3 genes"):
        expression_correlation(rpkm(), ["g1", "g2"])


def test_summary_compares_with_the_first():
    first = expression_correlation(rpkm())
    second = 1 - (1 - first) / 2
    table = correlation_summary({"train": first, "test": second}).set_index("split")
    assert table.loc["test", "similarity"] == pytest.approx(1)
    assert table.loc["train", "mean"] == pytest.approx(between_cells(first).mean())
    assert table.loc["test", "highest"] == between_cells(second).max()
    with pytest.raises(DataError, match="three cell types"):
        correlation_summary({"train": first.iloc[:2, :2]})


def test_mean_with_others_leaves_the_diagonal_out():
    matrix = pd.DataFrame([[1, 0.2, 0.4], [0.2, 1, 0.0], [0.4, 0, 1]], list("abc"), list("abc"))
    means = mean_with_others({"train": matrix})["train"]
    np.testing.assert_allclose(means, [0.3, 0.1, 0.2])


def test_datasets_are_joined_by_gene():
    first = cell_of("A", ["a", "b", "c"], ["train", "train", "test"], [1.0, 2, 3])
    second = cell_of("B", ["c", "b", "d"], ["test", "valid", "test"], [30.0, 20, 40])
    table = expression_of({"A": first, "B": second})
    assert table.loc["c"].tolist() == [3, 30]
    assert sorted(table.index) == ["b", "c"]
    assert genes_by_split({"A": first, "B": second}) == {"train": [], "valid": [], "test": ["c"]}


def test_datasets_that_cannot_be_joined():
    first = cell_of("A", ["a"], ["train"], [1.0])
    with pytest.raises(DataError, match="share no gene"):
        expression_of({"A": first, "B": cell_of("B", ["b"], ["train"], [1.0])})
    bare = HistoneDataset.from_arrays(np.zeros((1, 100, 5), int), ["a"], "C", ["train"])
    with pytest.raises(DataError, match="C has no expression"):
        expression_of({"A": first, "C": bare})


@pytest.mark.skipif(not TABLE.is_file(), reason="the real RPKM table is not here")
def test_the_released_training_sets_follow_from_the_shifted_table():
    sets = published.released_training_sets()
    exact = {}
    for alignment in ("aligned", "released"):
        table = read_rpkm(TABLE, alignment)
        matrix = expression_correlation(table.frame(), table.gene_id[:6601])
        exact[alignment] = sum(
            set(matrix.index[matrix[cell] > 0.75]) == set(cells)
            for cell, cells in sets["inclusive_high"].items()
        )
    assert exact["released"] == len(sets["inclusive_high"])
    assert exact["aligned"] < 10
