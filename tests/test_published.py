import pytest

from dc2lib.datasets import published


def test_released_results_have_the_known_means():
    results = published.released_results()
    means = results.groupby("experiment")["test_auroc"].mean()
    assert means["deepchrome"] == pytest.approx(0.7709, abs=5e-5)
    assert means["exclusive_somewhat"] == pytest.approx(0.8020, abs=5e-5)
    assert (results["experiment"] == "exclusive_somewhat").sum() == 51


def test_test_on_rest_is_square_without_its_diagonal():
    table = published.released_test_on_rest()
    assert table.shape == (55, 55)
    assert list(table.index) == list(table.columns)
    assert table.isna().to_numpy().sum() == 55
    assert table.loc["E003", "E004"] == 0.783108


def test_training_sets_leave_the_test_cell_out_where_they_say_so():
    sets = published.released_training_sets()
    assert all(cell not in cells for cell, cells in sets["exclusive_all"].items())
    assert all(len(cells) == 54 for cells in sets["exclusive_all"].values())


def test_label_audit():
    audit = published.label_audit()
    assert audit.loc["E003", "rpkm_median"] == "3.329"
    unflipped = audit.index[audit["labels_flipped"] < 0.0002]
    assert list(unflipped) == ["E056", "E057", "E059", "E100", "E116", "E117", "E123"]


def test_toy_labels_keep_the_text():
    toy = published.toy_labels()
    assert len(toy) == 30
    assert toy.loc[0, "rpkm_E003"] == "43.985"


def test_gene_order():
    order = published.gene_order()
    assert len(order) == 19_802
    assert order["gene_id"].nunique() == 19_795
    assert order["split"].value_counts().to_dict() == {"train": 6601, "valid": 6601, "test": 6600}
    assert order.groupby("gene_id")["split"].nunique().max() == 1
