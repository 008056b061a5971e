
import re

import numpy as np
import pytest
from released_files import (
    as_csv,
    cell_files,
    genes_of,
    rows_of,
    write_folder,
    write_rpkm,
)

from dc2lib.datasets import MARKS, read_csv_folder
from dc2lib.datasets import released as module
from dc2lib.datasets.released import assemble, read_split
from dc2lib.errors import DataError

ROWS = rows_of(genes_of("train"))


def changed(line, column, value):
    rows = rows_of(genes_of("train"))
    rows[line - 1][column] = value
    return as_csv(rows)


def test_values_end_up_where_they_belong():
    rows = rows_of(["000003", "000005"])
    table = read_split(as_csv(rows), "train.csv")
    full = as_csv([["ENSG00000" + gene, *row] for gene, *row in rows])
    assert read_split(full, "train.csv").gene_id.tolist() == table.gene_id.tolist()
    assert table.gene_id.tolist() == ["ENSG00000000003", "ENSG00000000005"]
    assert table.counts.shape == (2, 100, 5)
    assert table.counts.dtype == np.uint16
    assert table.counts[1, 41].tolist() == [int(count) for count in rows[141][2:7]]
    assert table.label.tolist() == [0, 1]


def test_further_marks():
    rows = [
        ["000001", str(position), "1", "2", "3", "4", "5", "6", "1"] for position in range(1, 101)
    ]
    marks = ("H3K27me3", "H3K36me3", "H3K4me1", "H3K4me3", "H3K9me3", "H3K27ac")
    assert read_split(as_csv(rows), "a", marks).counts[0, 0].tolist() == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "train.csv is empty"),
        (b" \n\n", "train.csv is empty"),
        (changed(7, 4, "-3"), r"line 7: H3K4me1 count '-3' is negative"),
        (changed(7, 4, "2.5"), r"line 7: H3K4me1 count '2.5' is not a whole number"),
        (changed(7, 4, ""), r"line 7: H3K4me1 count '' is not a number"),
        (changed(7, 4, "NA"), r"line 7: H3K4me1 count 'NA' is not a number"),
        (changed(7, 4, "nan"), r"line 7: H3K4me1 count 'nan' is not a whole number"),
        (changed(7, 4, "65536"), r"line 7: H3K4me1 count '65536' is too large"),
        (changed(7, 4, "99999999999999999999"), r"line 7: .* is too large"),
        (changed(7, 7, "2"), r"line 7: label '2', expected 0 or 1"),
        (changed(7, 1, "0"), r"line 7: bin '0', expected a whole number from 1 to 100"),
        (changed(7, 1, "101"), r"line 7: bin '101'"),
        (changed(7, 7, "0,1"), r"line 7: 9 columns, expected 8"),
        (changed(1, 0, "000009"), r"gene 000009 has 1 bins"),
        (changed(7, 0, "ENSG3"), r"line 7: gene 'ENSG3', expected 6 characters"),
        (as_csv([row[:-1] for row in rows_of(["000001"])]), "line 1: 7 columns, expected 8"),
        (as_csv([[*row, "0"] for row in rows_of(["000001"])]), "line 1: 9 columns, expected 8"),
        (as_csv(rows_of(["TP53"])), "'TP53' is no gene"),
        (
            b"gene,bin,H3K27me3,H3K36me3,H3K4me1,H3K4me3,H3K9me3,label\n" + cell_files()["train"],
            "line 1: a header",
        ),
        (b"<!DOCTYPE html><html><body>Sign in</body></html>\n", "line 1: 1 columns, expected 8"),
        (b"\xfc\xfe\x00" * 50, "columns, expected 8"),
        (as_csv(ROWS[:156] + ROWS[157:]), "line 101: gene 000002 has 99 bins, bin 57 is missing"),
        (changed(105, 1, "4"), "line 101: gene 000002 has bin 4 repeated"),
        (as_csv([row for row in ROWS[:100] for _ in range(2)]), "gene 000001 has its bins out of"),
        (as_csv([*ROWS[:3], ROWS[4], ROWS[3], *ROWS[5:]]), "gene 000001 has its bins out of order"),
        (changed(150, 7, "0"), "line 101: gene 000002 has two labels"),
    ],
)
def test_wrong_rows_are_named(data, message):
    with pytest.raises(DataError, match=message) as error:
        read_split(data, "train.csv")
    assert str(error.value).startswith("train.csv")


def tables(files):
    return {split: read_split(data, f"{split}.csv") for split, data in files.items()}


def test_splits_are_put_together_in_order():
    dataset, repeated = assemble("E012", tables(cell_files()), "here")
    assert dataset.split.tolist() == ["train"] * 3 + ["valid"] * 3 + ["test"] * 3
    assert dataset.gene_id[3] == "ENSG00000000101"
    assert repeated == []
    assert dataset.rpkm is None


@pytest.mark.parametrize("where", ["beside", "later", "other split"])
def test_a_gene_listed_twice_alike_is_kept_once(where):
    rows = rows_of(genes_of("train"))
    files = cell_files()
    again = rows[100:200]
    if where == "beside":
        files["train"] = as_csv(rows[:200] + again + rows[200:])
    elif where == "later":
        files["train"] = as_csv(rows + again)
    else:
        files["test"] += as_csv(again)
    dataset, repeated = assemble("E012", tables(files), "here")
    expected, _ = assemble("E012", tables(cell_files()), "here")
    assert repeated == ["ENSG00000000002"]
    assert dataset.fingerprint == expected.fingerprint


@pytest.mark.parametrize(("column", "value"), [(3, "9999"), (7, "0")])
def test_a_gene_listed_twice_with_a_contradiction(column, value):
    again = rows_of(genes_of("train"))[100:200]
    for row in again:
        row[column] = value
    files = cell_files()
    files["train"] += as_csv(again)
    with pytest.raises(DataError, match="ENSG00000000002 comes twice, with different counts or l"):
        assemble("E012", tables(files), "here")


def test_folder_of_your_own(tmp_path):
    table = write_rpkm(tmp_path / "table.gz", ("mine",))
    folder = write_folder(tmp_path / "mine" / "classification", cell_files()).parent
    dataset = read_csv_folder(folder, rpkm=table)
    assert dataset.cell == "mine"
    assert dataset.rpkm_text[0] == f"{dataset.rpkm[0]:.3f}"
    flat = write_folder(tmp_path / "flat", cell_files())
    again = read_csv_folder(flat, cell="mine", rpkm=table)
    assert again.fingerprint == dataset.fingerprint


def test_folder_that_lacks_something(tmp_path):
    with pytest.raises(DataError, match=r"nowhere is no folder"):
        read_csv_folder(tmp_path / "nowhere")
    with pytest.raises(DataError, match="twice"):
        read_csv_folder(tmp_path, marks=(*MARKS, "H3K4me3"))
    files = cell_files()
    del files["valid"]
    with pytest.raises(DataError, match=r"valid\.csv is missing"):
        read_csv_folder(write_folder(tmp_path / "mine", files))


def test_a_file_beyond_all_bounds(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "SPLIT_LIMIT", 1000)
    with pytest.raises(DataError, match=r"more than the .* that a split may have"):
        read_csv_folder(write_folder(tmp_path / "E012", cell_files()))


@pytest.mark.parametrize(("change", "cause"), [
    (lambda data: re.sub(rb"(?m)^0+", b"", data), "leading zeros"),
    (lambda data: data.replace(b",", b";"), "separated by commas"),
    (lambda data: data.decode().encode("utf-16"), "UTF-16"),
    (lambda data: b"PK\x03\x04" + data, "zip archive, or a spreadsheet"),
])  # fmt: skip
def test_a_file_out_of_a_spreadsheet_is_refused_by_its_cause(tmp_path, change, cause):
    files = {split: change(data) for split, data in cell_files().items()}
    with pytest.raises(DataError, match=cause):
        read_csv_folder(write_folder(tmp_path / "cell", files))


def test_a_byte_order_mark_line_ends_of_windows_and_blank_lines_change_nothing(tmp_path):
    plain = read_csv_folder(write_folder(tmp_path / "plain", cell_files()), cell="x")
    saved = {split: b"\xef\xbb\xbf" + data.replace(b"\n", b"\r\n") + b"\r\n\r\n"
             for split, data in cell_files().items()}  # fmt: skip
    found = read_csv_folder(write_folder(tmp_path / "saved", saved), cell="x")
    assert found.fingerprint == plain.fingerprint
