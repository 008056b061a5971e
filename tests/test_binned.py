from dataclasses import replace
from zipfile import ZipFile

import numpy as np
import pytest
from input_files import GENES, windows, write_rdata, write_table

from dc2lib.datasets import MARKS, SPLITS, binned, list_cells, open_cell
from dc2lib.datasets.__main__ import main
from dc2lib.datasets.cell_files import build_cell
from dc2lib.datasets.gene_windows import deepchrome_windows
from dc2lib.errors import DataError
from tools.rehearsal import served

COUNTED = np.arange(300).reshape(3, 100).astype(np.uint16)
MEMBERS = {
    "gene_id": np.array(GENES),
    "strand": np.array(["+", "-", "-"]),
    "split": np.array([0, 1, 2], dtype=np.uint8),
    "E003/H3K4me3": COUNTED,
}


def npz(tmp_path, **changes):
    members = {k: v for k, v in (MEMBERS | changes).items() if v is not None}
    np.savez(tmp_path / "counts.npz", **members)
    return tmp_path / "counts.npz"


def cells_of(path, marks=None):
    return {one.cell: one for one in binned.cell_inputs(path, windows(), marks)}


def test_bins_are_turned_to_the_genome(tmp_path):
    given = cells_of(npz(tmp_path))["E003"]
    cell = build_cell(given)
    np.testing.assert_array_equal(cell.counts[0, :, 0], COUNTED[0])
    np.testing.assert_array_equal(cell.counts[1, :, 0], COUNTED[1, ::-1])
    np.testing.assert_array_equal(cell.gene_oriented()[:, :, 0], COUNTED)
    assert cell.split.tolist() == ["train", "valid", "test"]
    assert (cell.source, cell.unit, cell.marks) == ("binned", "reads", ("H3K4me3",))


def test_the_file_may_say_source_unit_and_the_words_of_the_split(tmp_path):
    path = npz(
        tmp_path,
        split=np.array(["test", "train", "valid"]),
        unit=np.array("coverage"),
        source=np.array("tracks"),
        **{"E003/H3K4me3": COUNTED / 3, "E004/H3K9ac": COUNTED},
    )
    cells = cells_of(path)
    cell = build_cell(cells["E003"])
    assert (cell.source, cell.unit, cell.split[0]) == ("tracks", "coverage", "test")
    assert cell.counts.dtype == np.float32
    assert list(cells) == ["E003", "E004"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"strand": None}, r"lacks the member strand"),
        ({"E003/H3K4me3": COUNTED > 5, "E003/H3K9ac": COUNTED}, "is bool, expected numbers"),
        ({"source": np.array("simulated")}, "gives 'simulated' as its source"),
        ({"gene_id": np.array(GENES, dtype="S15")}, r"gene_id is \|S15 of shape \(3,\), expected"),
        ({"E003/H3K4me3": COUNTED * np.nan, "unit": np.array("coverage")}, "H3K4me3 reaches nan"),
        ({"E003/H3K4me3": COUNTED * 1e9, "unit": np.array("coverage")}, r"counts\.npz: H3K4me3 re"),
        ({"split": np.array([0, 1, 3])}, r"none of 0 \(train\), 1 \(valid\) and 2 \(test\)"),
        ({"split": np.array([0, 1, -1])}, "none of 0"),
        ({"split": np.array([0, 1])}, "no whole"),
        ({"split": np.array([0, 0, 0])}, "no gene of the split valid or test"),
        ({"strand": np.array(["+", "-", "."])}, "bins cannot be turned"),
        ({"E003/H3K4me3": None}, "no member <cell>/<mark>"),
        ({"E003/H3K4m3": COUNTED}, r"'H3K4m3' is no known mark\. Did you mean H3K4me3\?"),
        ({"E003/H3K4me3": COUNTED[:2]}, r"E003/H3K4me3 is \(2, 100\), expected \(3, 100\)"),
        ({"E003/H3K4me3": COUNTED / 3}, "must be whole numbers"),
        ({"E003/H3K4me3": np.array([{}])}, "no whole"),
    ],
)
def test_wrong_members_are_named(tmp_path, changes, message):
    with pytest.raises(DataError, match=message):
        build_cell(cells_of(npz(tmp_path, **changes))["E003"])


def test_versions_of_gene_ids_are_cut_off(tmp_path):
    versions = np.char.add(GENES, [".7", ".12_3", ""])
    cell = build_cell(cells_of(npz(tmp_path, gene_id=versions))["E003"])
    assert cell.gene_id.tolist() == list(GENES)


def test_a_mark_that_is_zero_in_the_last_part_of_the_file(tmp_path):
    values = np.ones((300, 100), np.uint16)
    values[140:] = 0
    genes = np.array([f"g{number}" for number in range(300)])
    path = npz(tmp_path, gene_id=genes, strand=np.full(300, "+"), split=np.resize([0, 1, 2], 300),
               **{"E003/H3K4me3": values})  # fmt: skip
    with pytest.raises(DataError, match=r"counts\.npz: H3K4me3 is 0 around the last 160 of"):
        build_cell(cells_of(path)["E003"])


def test_a_member_that_comes_twice(tmp_path):
    path = npz(tmp_path)
    with ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("E003/H3K4me3.npy", archive.read("E003/H3K4me3.npy"))
    with pytest.raises(DataError, match="holds the member E003/H3K4me3 twice"):
        cells_of(path)


def test_only_the_marks_asked_for(tmp_path):
    path = npz(tmp_path, **{"E003/H3K9ac": COUNTED, "E004/mine": COUNTED})
    (cell,) = binned.cell_inputs(path, windows(), ["H3K9ac"])[:1]
    assert build_cell(cell).marks == ("H3K9ac",)
    assert list(cells_of(path, ["mine", "H3K9ac"])) == ["E003", "E004"]
    for asked, message in ((["H3K27ac"], "holds no 'H3K27ac'"), (None, "'mine' is no known mark")):
        with pytest.raises(DataError, match=message):
            cells_of(path, asked)


def test_a_file_that_is_none(tmp_path):
    path = npz(tmp_path)
    path.write_bytes(path.read_bytes()[:200])
    (words := tmp_path / "words.npz").write_text("hello")
    for wrong in (path, words, tmp_path / "none.npz"):
        with pytest.raises(DataError, match=wrong.name) as error:
            cells_of(wrong)
        assert "pickle" not in str(error.value)
    with pytest.raises(DataError, match=r"holds no <cell>/<mark>_50bp_bins\.RData"):
        cells_of(tmp_path)


BASES = np.zeros((2, 200))
BASES[0, [0, 1]] = 37, 38  # 5 kb downstream: together three reads
BASES[1, [198, 199]] = 1, 36  # 5 kb upstream: together one


def rdata_of(folder, marks=("H3K4me3",), cell="E003", values=BASES / 50, genes=GENES[1::-1]):
    pytest.importorskip("rdata", reason="the extra tracks is not installed")
    for mark in marks:
        write_rdata(folder / cell / f"{mark}_50bp_bins.RData", values, list(genes), mark)
    return folder


def test_reads_of_rdata(tmp_path):
    cell = build_cell(cells_of(rdata_of(tmp_path))["E003"])
    assert cell.gene_id.tolist() == [GENES[0], GENES[1]]
    assert (cell.source, cell.unit, cell.counts.dtype) == ("patternchrome", "reads", np.uint16)
    along_gene = cell.gene_oriented()[:, :, 0]
    assert [row.nonzero()[0].tolist() for row in along_gene] == [[0], [99]]
    assert along_gene[[0, 1], [0, 99]].tolist() == [1, 3]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"values": BASES / 37}, "must be whole numbers of bases"),
        ({"values": BASES[:, :100]}, "expected one matrix, 200 bins"),
        ({"genes": ("ENSMUSG00000000001", "b")}, "no gene in common with three genes"),
    ],
)
def test_wrong_rdata_is_named(tmp_path, options, message):
    folder = rdata_of(tmp_path, **options)
    with pytest.raises(DataError, match=rf"H3K4me3_50bp_bins\.RData.*{message}"):
        build_cell(cells_of(folder)["E003"])


def test_rdata_cut_short(tmp_path):
    folder = rdata_of(tmp_path)
    path = next(folder.rglob("*.RData"))
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(DataError, match=r"H3K4me3_50bp_bins\.RData is truncated or no"):
        build_cell(cells_of(folder)["E003"])


@pytest.fixture
def server(tmp_path):
    (tmp_path / "upstream").mkdir()
    with served(tmp_path / "upstream") as address:
        yield address


@pytest.mark.parametrize("way", ["server", "folder"])
def test_patternchrome_is_fetched_cell_by_cell(tmp_path, server, way, capsys):
    genes = ("ENSG00000000003", "ENSG00000000005")
    upstream = rdata_of(tmp_path / "upstream", MARKS, "E012", genes=genes)
    rdata_of(upstream, MARKS[:4], "E013", genes=genes)
    mirror = server if way == "server" else str(upstream)
    table = write_table(tmp_path / "t.tsv", ("E012", "E013"), genes)
    arguments = ["--source", "patternchrome", "--mirror", mirror, "--home", str(tmp_path / "home")]
    arguments += ["--rpkm", str(table), "--quiet"]
    if way == "server":
        assert main([*arguments, "--cells", "E012", "E013"]) == 1
        assert "H3K9me3_50bp_bins.RData does not exist (HTTP 404)" in capsys.readouterr().err
        assert list_cells(tmp_path / "home") == ["E012"]
        assert main([*arguments, "--cells", "E013", "--marks", *MARKS[:4]]) == 0
        assert open_cell("E013", tmp_path / "home").marks == MARKS[:4]
    else:
        assert main(arguments) == 0
        assert open_cell("E013", tmp_path / "home").marks == MARKS[:4]
    cell = open_cell("E012", tmp_path / "home")
    assert (cell.source, cell.marks, len(cell)) == ("patternchrome", MARKS, 2)
    main([*arguments, "--cells", "E012"])
    assert "E012: already stored" in capsys.readouterr().out


def test_another_source_does_not_replace_a_stored_cell(tmp_path, capsys):
    table = str(write_table(tmp_path / "t.tsv"))
    common = ["--home", str(tmp_path / "home"), "--rpkm", table, "--binned"]
    assert main([*common, str(npz(tmp_path))]) == 0
    other = str(npz(tmp_path, source=np.array("tracks")))
    assert main([*common, other]) == 1
    assert "E003 is stored already, from binned." in capsys.readouterr().err
    assert main([*common, other, "--suffix", ".tracks"]) == 0
    assert list_cells(tmp_path / "home") == ["E003", "E003.tracks"]
    assert main([*common, other, "--refetch"]) == 0
    assert open_cell("E003", tmp_path / "home").source == "tracks"
    assert main([*common, other, "--cells", "E004"]) == 1
    assert "no cell type 'E004' in these files" in capsys.readouterr().err


def test_a_split_that_breaks_off_beside_a_whole_one(tmp_path):
    """DeepChrome's own genes: the file, or the table that it was made from, was cut."""
    table = deepchrome_windows().table

    def notes_of(genes, partial=False):
        split = genes["split"].map(SPLITS.index).to_numpy()
        counts = np.full((len(genes), 100), 7, np.uint8)
        columns = {name: genes[name].to_numpy(str) for name in ("gene_id", "strand")}
        np.savez(tmp_path / "own.npz", split=split, **columns, **{"liver/H3K4me3": counts})
        own = replace(windows(), partial=partial)
        build_cell(binned.cell_inputs(tmp_path / "own.npz", own)[0], notes=(notes := []))
        return notes

    tests = table.index[table["split"] == "test"]
    cut = table.drop(tests[-7:])
    with pytest.raises(DataError, match=r"liver: it ends after 6,590 of 6,597 test genes"):
        notes_of(cut)
    assert "6,590 of 6,597 test" in notes_of(cut, partial=True)[0]
    assert "6,590 of 6,597 test" in notes_of(table.drop(tests[::1000]))[0]
    assert notes_of(table) == []
    assert notes_of(table.groupby("split").head(50)) == []  # a small part, of every split
