
import numpy as np
import pandas as pd
import pytest
from input_files import write_text

from dc2lib.datasets import published
from dc2lib.datasets.gene_windows import (
    chromosome_name,
    deepchrome_windows,
    genome_blocks,
    read_gtf,
    split_of,
)
from dc2lib.errors import DataError


def line(gene, chromosome="chr1", start=101, end=900, strand="+", kind="protein_coding"):
    about = f'gene_id "{gene}"; gene_type "{kind}"; gene_name "X";'
    return f"{chromosome}\tHAVANA\tgene\t{start}\t{end}\t.\t{strand}\t.\t{about}\n"


GTF = (
    "##description: genes\n"
    + line("ENSG00000000003.15", "chrX", strand="-")
    + line("ENSG00000000003.15", "chrX").replace("\tgene\t", "\ttranscript\t")
    + line("ENSMUSG00000000001.4", "7")
    + line("ENSG00000223972.5", kind="lincRNA")
    + line("ENSG00000002586.20_PAR_Y", "chrY")
)


def test_deepchromes_windows_are_its_genes_in_its_order():
    genes = deepchrome_windows()
    order = published.gene_order().drop_duplicates("gene_id")
    np.testing.assert_array_equal(genes.gene_id, order["gene_id"])
    np.testing.assert_array_equal(genes.table["split"], order["split"])
    assert set(genes.table["chromosome"]) == set(genes.lengths)
    assert all(genes.table["tss"] < genes.table["chromosome"].map(genes.lengths))


@pytest.mark.parametrize("name", ["genes.gtf", "genes.gtf.gz"])
def test_genes_of_a_gtf(tmp_path, name):
    genes = read_gtf(write_text(tmp_path / name, GTF))
    expected = [
        ["ENSG00000000003", "chrX", 899, "-", "train"],
        ["ENSMUSG00000000001", "chr7", 100, "+", split_of(["ENSMUSG00000000001"])[0]],
    ]
    assert genes.table.to_numpy().tolist() == expected
    assert len(read_gtf(tmp_path / name, gene_type=None)) == 3


def test_a_new_genes_split_depends_on_its_id_alone():
    genes = [f"ENSMUSG{number:011d}" for number in range(3000)]
    split = split_of(genes)
    np.testing.assert_array_equal(split_of(genes[7:9]), split[7:9])
    shares = [(split == one).mean() for one in ("train", "valid", "test")]
    np.testing.assert_allclose(shares, 1 / 3, atol=0.03)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("chr1\tx\tgene\t1\n", "line 1: no line of a GTF"),
        (GTF + "chr1\tx\tgene\ta\t9\t.\t+\t.\tgene_id\n", "line 7: no line of a GTF"),
        ("chr1\tx\tgene\t1\t9\t.\t+\t.\tID=gene1\n", "line 1: the ninth field names no gene_id"),
        (line("ENSG00000000003.1") + line("ENSG00000000003.2"), "ENSG00000000003 comes twice"),
        ("chr1\tx\texon\t1\t9\t.\t+\t.\tx\n", "no line of a gene of type 'protein_coding'"),
    ],
)
def test_what_is_no_gtf(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        read_gtf(write_text(tmp_path / "genes.gtf", text))


def test_a_gtf_cut_short(tmp_path):
    path = write_text(tmp_path / "genes.gtf.gz", GTF)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match=r"genes\.gtf\.gz is truncated"):
        read_gtf(path)
    with pytest.raises(DataError, match="is missing"):
        read_gtf(tmp_path / "none.gtf")


def test_names_of_chromosomes():
    names = ["1", "chr1", "Chr1 ", "chr01", "x", "MT", "chrM", "chrUn_1", "chr2l", "chriv", " GL1"]
    expected = ["chr1"] * 4 + ["chrX", "chrM", "chrM", "chrUn_1", "chr2L", "chrIV", "chrGL1"]
    assert [chromosome_name(name) for name in names] == expected


def test_stretches_of_the_genome():
    windows = deepchrome_windows().table
    genes = windows["gene_id"].to_numpy()
    blocks = genome_blocks([*genes, "mine", "another", "mine"])
    known = pd.Series(blocks[:-3], index=genes)
    assert (known >= 0).all() and (blocks[-3:] < 0).all()
    assert blocks[-3] == blocks[-1] != blocks[-2]
    spread = windows.assign(block=known.to_numpy()).groupby("block")
    assert (spread["chromosome"].nunique() == 1).all()
    assert (spread["tss"].agg(lambda tss: tss.max() - tss.min()) < 1_000_000).all()
    np.testing.assert_array_equal(genome_blocks(genes[100:200]), known.to_numpy()[100:200])


@pytest.mark.parametrize(
    ("places", "message"),
    [
        *((places, "a gene from .* expected 1 <= start")
          for places in ("9\t1", "0\t9", "1\t900000000000")),
        *((f"{place}\t9", "no line of a GTF") for place in ("\u00b2", "9" * 30, "-5", "1.5")),
    ],
)  # fmt: skip
def test_a_coordinate_that_is_none(tmp_path, places, message):
    path = tmp_path / "genes.gtf"
    about = 'gene_id "E"; gene_type "protein_coding";'
    path.write_text(f"chr1\tx\tgene\t{places}\t.\t+\t.\t{about}\n")
    with pytest.raises(DataError, match=rf"genes\.gtf, line 1: {message}"):
        read_gtf(path)


def test_the_carried_order_of_genes():
    order = published.gene_order()
    assert len(order) == 19_802
    assert order["gene_id"].nunique() == 19_795
    assert order["split"].value_counts().to_dict() == {"train": 6601, "valid": 6601, "test": 6600}
    assert order.groupby("gene_id")["split"].nunique().max() == 1
