import numpy as np
import pandas as pd
import pytest
from dc2book.data import tables as description

from dc2lib.datasets import HistoneDataset
from dc2lib.errors import DataError
from dc2lib.signals import ORIENTATIONS


def planted(n_genes=200, seed=0, **changes):
    """High genes have twice the reads, and H3K36me3 only behind the TSS, along the gene."""
    rng = np.random.default_rng(seed)
    high = np.arange(n_genes) % 2 == 0
    minus = rng.random(n_genes) < 0.5
    rate = np.where(high, 4.0, 2.0)[:, None, None] * np.ones((1, 100, 5))
    rate[:, :50, 1] = np.where(high, 0.5, 2.0)[:, None]
    rate[minus] = rate[minus, ::-1]
    given = {
        "counts": rng.poisson(rate),
        "gene_id": [f"ENSG{number:011d}" for number in range(n_genes)],
        "cell": "E012",
        "split": np.repeat(["train", "valid", "test"], [n_genes // 2, n_genes // 4, n_genes // 4]),
        "rpkm_text": [f"{value:.3f}" for value in np.where(high, 4, 0.1) + rng.random(n_genes) * 9],
        "rpkm_median_text": "4.000",
        "strand": np.where(minus, "-", "+"),
    }
    return HistoneDataset.from_arrays(**(given | changes))


def two_genes(**changes):
    counts = np.zeros((2, 100, 5), dtype=int)
    counts[0, :, 0] = 3
    counts[1, 10, 4] = 300
    given = {"rpkm_text": ["1.000", "3.000"], "rpkm_median_text": "2.000"}
    return HistoneDataset.from_arrays(
        counts, ["a", "b"], "E012", ["train", "test"], **(given | changes)
    )


def test_profiles_are_means_by_class():
    cell = planted()
    table = description.mean_profiles(cell, orientation="genome", n_resamples=20)
    assert len(table) == 5 * 2 * 100
    high = cell.rpkm > 4
    one = table[(table["mark"] == "H3K4me1") & (table["class"] == "high")]
    np.testing.assert_allclose(one["mean"], cell.counts[high, :, 2].mean(axis=0), rtol=1e-6)
    assert (one["n"] == high.sum()).all()
    assert ((table["low"] <= table["mean"]) & (table["mean"] <= table["high"])).mean() > 0.98


def test_bands_cover_the_planted_mean():
    counts = np.random.default_rng(3).poisson(3.0, (400, 100, 5))
    table = description.mean_profiles(
        planted(400, counts=counts), orientation="genome", n_resamples=200
    )
    covered = (table["low"] <= 3) & (table["high"] >= 3)
    assert 0.9 < covered.mean() < 0.98


def test_sides_show_along_the_gene_only():
    cell = planted(2000)
    ratio = {
        orientation: description.downstream_ratio(
            description.mean_profiles(cell, orientation=orientation, n_resamples=2), "H3K36me3"
        )
        for orientation in ORIENTATIONS
    }
    assert ratio["genome"] == pytest.approx(1, abs=0.1)
    assert ratio["gene"] > 2


def test_profiles_that_cannot_be_made():
    with pytest.raises(DataError, match="Unknown orientation"):
        description.mean_profiles(planted(), orientation="forward")
    with pytest.raises(DataError, match="strands of the genes are not known"):
        description.mean_profiles(planted(strand=None))
    with pytest.raises(DataError, match="no gene has high expression"):
        description.mean_profiles(two_genes(rpkm_median_text="9.000"), orientation="genome")


def test_counts_by_hand():
    table = description.count_summary(two_genes()).set_index("mark")
    first, last = table.loc["H3K27me3"], table.loc["H3K9me3"]
    assert (first["mean"], first["variance"], first["dispersion"]) == (1.5, 2.25, 1.5)
    assert (first["zero_share"], first["maximum"], first["library_size"]) == (0.5, 3, 300)
    assert last["mean"] == 1.5
    assert last["zero_share"] == 0.995
    assert np.isnan(table.loc["H3K4me1", "dispersion"])


def test_tail_by_hand():
    table = description.count_tail(two_genes()).set_index(["mark", "count"])["share"]
    assert table["H3K27me3", 0] == 1
    assert table["H3K27me3", 3] == 0.5
    assert table["H3K9me3", 300] == 0.005


def test_mark_correlation_is_spearmans():
    cell = planted()
    table = description.mark_correlation(cell)
    means = pd.DataFrame(cell.counts.mean(axis=1), columns=list(cell.marks)).assign(RPKM=cell.rpkm)
    pd.testing.assert_frame_equal(table, means.corr(method="spearman"), check_names=False)
    without = planted(rpkm_text=None, rpkm_median_text=None)
    assert list(description.mark_correlation(without)) == list(cell.marks)


def test_class_balance_counts_genes():
    cell = planted()
    table = description.class_balance({"E012": cell}).set_index(["labels", "split"])
    test = cell.take("test")
    row = table.loc["numeric", "test"]
    assert row["estimate"] == (test.rpkm > 4).mean()
    assert row["n"] == 50
    assert row["low"] < row["estimate"] < row["high"]
    text = np.mean([one > "4.000" for one in test.rpkm_text.tolist()])
    assert table.loc[("lexicographic", "test"), "estimate"] == text


def test_a_fall_from_training_to_test_genes_needs_intervals_apart():
    text = ["9.000"] * 100 + ["0.000"] * 100
    falls = description.class_balance({"falls": planted(rpkm_text=text), "flat": planted()})
    found = description.falls_from_train_to_test(falls)
    assert found["numeric"].to_dict() == {"falls": True, "flat": False}


def test_marks_go_as_known_where_just_the_active_ones_are_higher():
    means = pd.DataFrame({"high": [2.0, 1.0], "low": [1.0, 2.0]}, ["H3K4me3", "H3K9me3"])
    assert description.marks_go_as_known(means)
    assert not description.marks_go_as_known(means[["low", "high"]].set_axis(means.columns, axis=1))


def test_counts_of_single_genes_are_named():
    cell = planted()
    table = description.counts_of(cell, pd.DataFrame({"row": [5, 2], "name": ["a", "b"]}))
    first = table.set_index(["gene", "mark", "bin"])["count"]
    assert first["b", cell.marks[1], 7] == cell.counts[2, 6, 1]
    assert len(table) == 2 * cell.counts[0].size


def test_share_along_the_genes_by_hand():
    text = ["9.000"] * 100 + ["0.000"] * 100
    table = description.share_along_genes(planted(rpkm_text=text), window=20)
    assert table["share"].iloc[0] == pytest.approx(1)
    assert table["share"].iloc[-1] == pytest.approx(0)
    assert table.set_index("rank").loc[99.5, "share"] == pytest.approx(0.5)
    assert len(description.share_along_genes(planted(), window=10_000)) > 100


def test_agreement_with_released_labels():
    cell = planted()
    text = (cell.rpkm_text > "4.000").astype(int)
    datasets = {"E012": planted(released_label=text), "E013": cell}
    table = description.label_agreement(datasets).set_index(["cell", "labels"])
    assert list(table.index) == [("E012", "numeric"), ("E012", "lexicographic")]
    assert table.loc[("E012", "lexicographic"), "estimate"] == 1
    assert table.loc[("E012", "numeric"), "estimate"] < 1
    assert description.label_agreement({"E013": cell}).empty


def test_expression_summary_by_hand():
    rpkm = pd.DataFrame({"A": [0.0, 3.0, 12.0, 40.0], "B": [0.0, 0.0, 1.5, 20.0]})
    table = description.expression_summary(rpkm, {"A": "2.500", "B": "1.200"}).set_index("cell")
    assert table.loc["A"].tolist() == [2.5, 0.25, 0.25]
    assert table.loc["B"].tolist() == [1.2, 0.5, 0]


def test_examples_are_chosen_by_rule():
    cell = planted()
    table = description.example_genes(cell)
    assert table["why"].iloc[0] == "on, expression at the 90th percentile"
    assert table["rpkm"].iloc[0] == pytest.approx(np.quantile(cell.rpkm, 0.9), rel=0.05)
    on_and_off = table[table["why"].str.startswith("on as a number")].iloc[0]
    assert on_and_off["rpkm"] >= 10
    assert (cell.gene_id[table["row"]] == table["gene_id"]).all()
