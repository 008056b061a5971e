"""Where cell types come from: their table, the genes that counts lack, and what that does."""

import numpy as np
import pandas as pd
import pytest
from dc2book.data import sources

from dc2lib.datasets import HistoneDataset, published
from dc2lib.evaluation.scores import auroc


def planted(cell="E012", n=600, seed=0, unit="reads"):
    """Expression follows the marks in the first half of each split, and is random in the other."""
    rng = np.random.default_rng(seed)
    order = published.gene_order()
    test = order.loc[order["split"] == "test", "gene_id"].drop_duplicates().to_numpy()[:n]
    level = rng.random(n)
    easy = np.arange(n) % 2 == 0
    rpkm = np.where(easy, level, rng.random(n)) * 4
    counts = np.repeat(rng.poisson(level * 20)[:, None], 5, axis=1)[:, None, :].repeat(100, 1)
    return HistoneDataset.from_arrays(
        counts, test, cell, np.where(np.arange(n) < n // 2, "train", "test"), unit=unit,
        source="peaks" if unit != "reads" else "roadmap",
        rpkm_text=[f"{value:.3f}" for value in rpkm], rpkm_median_text="2.000"), easy


def test_every_cell_type_has_a_row_with_its_source_and_unit():
    one, other = planted()[0], planted("E003", unit="peak signal")[0].with_marks(["H3K4me3"])
    table = sources.source_table([one, other])
    assert table["source"].tolist() == ["roadmap", "peaks"]
    assert table["unit"].tolist() == ["reads", "peak signal"]
    assert table["marks"].tolist() == ["K27me3 K36me3 K4me1 K4me3 K9me3", "K4me3"]
    assert table["test genes"].tolist() == [300, 300]
    assert table["labels flipped"].iloc[0] == 0


class Table:
    """Roadmap's table of expression, with every gene that is there high and every other low."""

    def __init__(self, present):
        self.present = present

    def frame(self):
        genes = published.gene_order()["gene_id"].drop_duplicates()
        return pd.DataFrame({"E012": np.where(genes.isin(self.present), 3.0, 1.0)}, index=genes)

    def median_text(self, cell):
        return "2.000"


def test_missing_genes_are_counted_among_deepchromes_test_genes():
    one, _ = planted(n=600)
    found = sources.missing_genes(one, Table(one.gene_id)).set_index("genes")
    assert found["estimate"].to_dict() == {"missing": 0, "present": 1}
    assert found["n"].to_dict() == {"missing": 6597 - 600, "present": 600}


def test_auroc_rises_where_the_hard_genes_are_left_out():
    cells = {name: planted(name, seed=seed)[0] for seed, name in enumerate("ABCDE")}
    easy = planted()[1]
    kept = cells["A"].gene_id[easy]
    table = sources.auroc_by_genes(cells, kept, n_resamples=50).set_index(["cell", "genes"])
    test = cells["A"].split == "test"
    high = (cells["A"].rpkm > 2).astype(int)
    exact = auroc(high[test & easy], cells["A"].counts.sum((1, 2))[test & easy])
    assert table.loc[("A", "kept"), "estimate"] == pytest.approx(exact)
    assert table.loc[("A", "kept"), "n"] == 150
    assert table.loc[("A", "all"), "n"] == 300
    gain = sources.gain_of_kept(table.reset_index())
    assert gain.n == 5
    assert gain.low > 0.1


def test_genes_of_the_same_start_are_found_along_the_gene():
    rng = np.random.default_rng(0)
    moved = np.repeat([0, 1, 12, -30], 25)
    strand = np.tile(["+", "-"], 50)

    def cell(name, unit, places, empty):
        counts = rng.poisson(1, (100, 100, 5))
        for gene, place in enumerate(places):
            counts[gene, 40 + place : 46 + place] += 30
        counts[empty] = 0
        counts[strand == "-"] = counts[strand == "-", ::-1]
        return HistoneDataset.from_arrays(
            counts, [f"G{i:03d}" for i in range(100)], name, ["test"] * 100, unit=unit,
            strand=strand, rpkm_text=["1.000", "2.000"] * 50, rpkm_median_text="1.500",
        )

    reads = cell("A", "reads", moved, empty=[3])
    peaks = cell("B", "peak signal", np.zeros(100, int), empty=[])
    found = sources.genes_with_same_start({"A": reads, "B": peaks})
    assert found.tolist() == [f"G{i:03d}" for i in range(50) if i != 3]
    assert sources.genes_with_same_start({"A": reads}) is None
