
from dc2lib.datasets import published


def test_training_sets_leave_the_test_cell_out_where_they_say_so():
    sets = published.released_training_sets()
    assert all(cell not in cells for cell, cells in sets["exclusive_all"].items())
    assert all(len(cells) == 54 for cells in sets["exclusive_all"].values())


def test_gene_order():
    order = published.gene_order()
    assert len(order) == 19_802
    assert order["gene_id"].nunique() == 19_795
    assert order["split"].value_counts().to_dict() == {"train": 6601, "valid": 6601, "test": 6600}
    assert order.groupby("gene_id")["split"].nunique().max() == 1
