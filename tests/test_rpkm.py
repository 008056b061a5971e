import gzip

import numpy as np
import pandas as pd
import pytest
from released_files import write_rpkm

from dc2lib.datasets.rpkm import read_rpkm
from dc2lib.errors import DataError

TEXT = (
    "gene_id\tE000\tE003\tE004\n"
    "ENSG00000000003\t23.265\t43.985\t37.413\t\n"
    "ENSG00000000005\t0.872\t1.642\t6.498\t\n"
    "ENSG00000000419\t0.000\t0.100\t10.000\t\n"
)


def table_of(tmp_path, text=TEXT, **options):
    path = tmp_path / "table.gz"
    path.write_bytes(gzip.compress(text.encode()))
    return read_rpkm(path, **options)


def test_columns_keep_their_names_and_text(tmp_path):
    table = table_of(tmp_path)
    assert table.cells == ["E003", "E004"]
    assert table.text("E003").tolist() == ["43.985", "1.642", "0.100"]
    assert table.rpkm("E004").tolist() == [37.413, 6.498, 10.0]
    assert table.median_text("E004") == "10.000"
    assert table.gene_id.tolist() == ["ENSG00000000003", "ENSG00000000005", "ENSG00000000419"]


def test_released_alignment_is_the_naive_read(tmp_path):
    table = table_of(tmp_path, alignment="released")
    naive = pd.read_csv(tmp_path / "table.gz", sep="\t")
    pd.testing.assert_frame_equal(table.frame(), naive[["E003", "E004"]])
    assert table.text("E004").tolist() == ["", "", ""]


def test_without_trailing_tabs_and_without_gzip(tmp_path):
    (tmp_path / "plain.tsv").write_text(TEXT.replace("\t\n", "\n"))
    plain = read_rpkm(tmp_path / "plain.tsv")
    pd.testing.assert_frame_equal(plain.frame(), table_of(tmp_path).frame())


@pytest.mark.parametrize(
    "text",
    [
        "#by hand\nGene,name,E003,E004\nENSG00000000003.15,A,1.50,NA\nENSG00000000005,B,2,0.1\n",
        "E003\tE004\nENSG00000000003.2\t1.50\tNA\nENSG00000000005.1\t2\t0.1\n",
        "name\tGene_ID\tE003\tE004\nA\tENSG00000000003\t1.50\t\nB\tENSG00000000005\t2\t0.1\n"
        "C\tENSG00000000005.4_PAR_Y\t7\t7\n",
        '"E003","E004"\n"ENSG00000000003","1.50",NA\n"ENSG00000000005","2","0.1"\n',
    ],
)
def test_tables_of_your_own(tmp_path, text):
    table = table_of(tmp_path, text)
    assert table.gene_id.tolist() == ["ENSG00000000003", "ENSG00000000005"]
    assert table.text("E003").tolist() == ["1.50", "2"]
    measured = table.measured("E004")
    assert measured.join("E004", measured.gene_id)["rpkm"].tolist() == [0.1]
    assert measured.median_text("E004") == "0.1"


def test_join_takes_rows_by_gene_and_the_median_of_all(tmp_path):
    joined = table_of(tmp_path).join("E003", np.array(["ENSG00000000419", "ENSG00000000003"]))
    assert joined["rpkm_text"].tolist() == ["0.100", "43.985"]
    assert joined["rpkm"].tolist() == [0.1, 43.985]
    assert joined["rpkm_median_text"] == "1.642"


@pytest.mark.parametrize("missing", ["NA", "", "NaN", "nan", " "])
def test_missing_values_of_other_genes_do_not_move_the_median(tmp_path, missing):
    row = f"ENSG00000000420\t1.000\t{missing}\t{missing}\t\n"
    genes = np.array(["ENSG00000000419", "ENSG00000000003"])
    whole = table_of(tmp_path)
    lacking = table_of(tmp_path, TEXT + row)
    assert lacking.median_text("E003") == whole.median_text("E003")
    assert len(lacking.measured("E003").gene_id) == 3
    joined, expected = lacking.join("E003", genes), whole.join("E003", genes)
    assert joined["rpkm_median_text"] == expected["rpkm_median_text"] == "1.642"
    assert joined["rpkm_text"].tolist() == expected["rpkm_text"].tolist()
    with pytest.raises(DataError, match=r"E003: 1 gene\(s\) have no number .*: ENSG00000000420;"):
        lacking.join("E003", np.array([*genes, "ENSG00000000420"]))


def test_the_reference_is_no_cell_type(tmp_path):
    table = table_of(tmp_path)
    assert "E000" not in table.frame().columns
    with pytest.raises(DataError, match="universal human reference"):
        table.rpkm("E000")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<!DOCTYPE html>\n<html></html>", "HTML page"),
        ("", "holds no row of a gene"),
        ("name\n1\n", "first line must hold 'gene_id'"),
        ("gene_id\tE003\tE003\nENSG1\t1\t2\n", "each once"),
        ("gene_id\tE003\nENSG1\t1\t2\t3\n", "line 2: 4 fields, expected 2"),
        (TEXT.split("\n", 1)[1], "first line must hold 'gene_id'"),
        ("A1BG,0.5,NA\nA2M,1.5,2.5\n", "first line must hold 'gene_id'"),
        ("ENSG00000000003\tTSPAN6\t1.5\nENSG00000000005\tTNMD\t2\n", "must hold 'gene_id'"),
        (TEXT + "ENSG00000000420\t1.0\n", "Expected 5 columns, got 2"),
        (TEXT + "ENSG00000000003\t1.0\t1.0\t1.0\t\n", "a gene comes twice"),
        *((f"{TEXT}{gene}\t1.0\t1.0\t1.0\t\n", "a row names no gene") for gene in ("", "NA")),
        *((f"{TEXT}{odd}\t1.0\t1.0\t1.0\t\n", odd)  # it would enter the median
          for odd in ("Total", "__no_feature", "ERCC-00002")),
    ],
)
def test_files_that_are_no_table(tmp_path, text, message):
    with pytest.raises(DataError, match=message) as error:
        table_of(tmp_path, text)
    assert "table.gz" in str(error.value)


def test_a_truncated_table(tmp_path):
    path = write_rpkm(tmp_path / "table.gz")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match="truncated or corrupt"):
        read_rpkm(path)
    with pytest.raises(DataError, match="is missing"):
        read_rpkm(tmp_path / "none.gz")


def test_unknown_alignment(tmp_path):
    with pytest.raises(DataError, match="Unknown alignment"):
        table_of(tmp_path, alignment="shifted")


@pytest.mark.parametrize("wrong", ["inf", "1e400", "N/A", "#N/A", "-", "1_000", "\u0663", "1,5"])
def test_what_is_no_finite_number_is_refused(tmp_path, wrong):
    table = table_of(tmp_path, TEXT.replace("1.642", wrong))
    with pytest.raises(DataError, match=r"table\.gz, column E003: .* is not a number"):
        table.join("E003", np.array(["ENSG00000000003"]))
    assert table.rpkm("E004").tolist() == [37.413, 6.498, 10.0]


def test_negative_expression_is_refused_in_the_archives_way_too(tmp_path):
    table = table_of(tmp_path, TEXT.replace("1.642", "-1.642"))
    with pytest.raises(DataError, match=r"ENSG00000000005 has -1\.642"):
        table.join("E003", np.array(["ENSG00000000003"]))


def test_a_header_one_name_short_shifts_no_column(tmp_path):
    rows = TEXT.split("\n", 1)[1]
    blank_first = rows.replace("37.413", "")
    for body in (rows, rows.replace("\t\n", "\n"), blank_first, blank_first.replace("\t\n", "\n")):
        for genes in ("gene_id", "Gene", "", "locus", "E000"):
            for lost in ("E000", "E003", "E004"):
                if genes == lost:  # R's header, which gives the genes no name
                    continue
                names = [genes, *(name for name in ("E000", "E003", "E004") if name != lost)]
                for end in ("\n", "\t\n"):
                    with pytest.raises(DataError):
                        table_of(tmp_path, "\t".join(names) + end + body)


@pytest.mark.parametrize("names", ["\tE003\tE004", "E000\t\tE004", "\t\t", "E000\tE004\tE004"])
def test_empty_and_repeated_names_of_columns_are_refused(tmp_path, names):
    for end in ("\n", "\t\n"):
        with pytest.raises(DataError, match="each once"):
            table_of(tmp_path, f"gene_id\t{names}{end}" + TEXT.split("\n", 1)[1])


def test_signs_that_spreadsheets_add_do_not_matter(tmp_path):
    expected = table_of(tmp_path).frame()
    spread = "\ufeff" + TEXT.replace("\n", "\r\n").replace("E003", " E003 ").replace("0.1", " 0.1")
    pd.testing.assert_frame_equal(table_of(tmp_path, spread).frame(), expected)
    assert table_of(tmp_path, spread).text("E003").tolist() == ["43.985", "1.642", "0.100"]


@pytest.mark.parametrize(("data", "cause"), [
    (TEXT.replace("\t", ";").encode(), "Semicolons"),
    (TEXT.encode("utf-16"), "UTF-16"),
    (b"PK\x03\x04" + TEXT.encode(), "zip archive, or a spreadsheet"),
])  # fmt: skip
def test_a_table_out_of_a_spreadsheet_is_refused_by_its_cause(tmp_path, data, cause):
    path = tmp_path / "table.txt"
    path.write_bytes(data)
    with pytest.raises(DataError, match=cause):
        read_rpkm(path)


def test_genes_whose_zeros_a_spreadsheet_cut_off_are_missed_by_the_cause(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("gene_id,liver\n3,1.5\n5,2.5\n")
    with pytest.raises(DataError, match=r"not in table\.csv.*leading zeros"):
        read_rpkm(path).join("liver", np.array(["ENSG00000000003"]))
