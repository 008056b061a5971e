import gzip
from pathlib import Path

import numpy as np
import pytest
from released_files import (
    cell_files,
    members_of,
    write_archive,
    write_folder,
    write_mirror,
    write_rpkm,
)

from dc2lib.datasets import (
    MARKS,
    HistoneDataset,
    list_cells,
    load_cells,
    open_cell,
    read_csv_folder,
    resolve_source,
    write_cell,
)
from dc2lib.datasets.__main__ import _check_used, _parser, main
from dc2lib.errors import DataError

CELLS = {"E012": cell_files(), "E013": cell_files(seed=7)}


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("DC2LIB_DATA", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def mirror(tmp_path):
    return str(write_mirror(tmp_path / "mirror", CELLS))


def test_auto_is_simulated_until_a_cell_is_stored(home, mirror, capsys):
    assert resolve_source() == "simulated"
    assert main(["--mirror", mirror, "--cells", "E012"]) == 0
    assert resolve_source() == "roadmap"
    assert resolve_source("simulated") == "simulated"
    with pytest.raises(DataError, match="Unknown data source 'real'"):
        resolve_source("real")


def test_roadmap_cells_by_name(home, mirror, capsys):
    with pytest.raises(DataError, match="holds no cell type"):
        load_cells("roadmap")
    main(["--mirror", mirror])
    assert list(load_cells()) == ["E012", "E013"]
    assert list(load_cells(cells="E013")) == ["E013"]
    assert list(load_cells(cells="E013, E012")) == ["E013", "E012"]
    assert list(load_cells(cells=["E012"])) == ["E012"]
    assert list(load_cells(cells="")) == ["E012", "E013"]
    with pytest.raises(DataError, match="Did you mean E012"):
        load_cells(cells="E12")


def test_cell_types_with_other_marks_or_units_are_left_out_unless_named(home):
    def store(name, marks, unit="reads"):
        counts = np.ones((6, 4, len(marks)))
        write_cell(HistoneDataset.from_arrays(
            counts, [f"g{i}" for i in range(6)], name, ["train"] * 6, marks=marks, unit=unit))

    store("three", MARKS[:3])
    store("few", MARKS[:2], "peak signal")
    assert list(load_cells()) == ["three", "few"]
    assert list(load_cells(marks=MARKS[:3])) == ["three"]
    store("five", MARKS)
    assert list(load_cells()) == ["five"]
    assert list(load_cells(marks=MARKS[:2])) == ["five", "three", "few"]
    assert list(load_cells(marks=MARKS[:2], unit="reads")) == ["five", "three"]
    assert list(load_cells(cells="few five")) == ["few", "five"]


def test_a_simulated_cell_type_in_the_store_does_not_pass_for_measured(home):
    write_cell(load_cells("simulated", "S001", n_cells=1, n_genes=60)["S001"])
    for asked in ({}, {"data": "roadmap", "cells": "S001"}):
        with pytest.raises(DataError, match=r"S001 in the store .* is simulated"):
            load_cells(**asked)


def test_simulated_cells_by_name(home):
    cells = load_cells("simulated", n_cells=3, n_genes=90, seed=1)
    assert list(cells) == ["S001", "S002", "S003"]
    assert {cell.source for cell in cells.values()} == {"simulated"}
    chosen = load_cells("simulated", "S002", n_cells=3, n_genes=90, seed=1)
    assert chosen["S002"].fingerprint == cells["S002"].fingerprint
    with pytest.raises(DataError, match="no cell type 'E012' in the simulation"):
        load_cells("simulated", "E012", n_cells=3, n_genes=90)


def test_list_shows_what_is_there_and_fetches_nothing(home, mirror, capsys):
    assert main(["--list"]) == 0
    assert "No cell type is stored" in capsys.readouterr().out
    main(["--mirror", mirror, "--home", str(home / "other")])
    capsys.readouterr()
    assert main(["--list", "--home", str(home / "other")]) == 0
    assert "E013" in capsys.readouterr().out
    assert list_cells() == []


def test_wrong_names_are_told_before_anything_is_read(home, mirror, capsys):
    assert main(["--mirror", mirror, "--cells", "E12"]) == 1
    assert "Did you mean E012?" in capsys.readouterr().err
    assert main(["--mirror", mirror, "--cells", "E000"]) == 1
    assert "universal human reference" in capsys.readouterr().err
    assert list_cells() == []


def test_a_broken_archive_is_not_noted_and_a_whole_one_mends_it(home, tmp_path, capsys):
    mirror = write_mirror(tmp_path / "mirror", CELLS)
    path = mirror / "roadmap" / "data.tar.gz"
    whole = path.read_bytes()
    path.write_bytes(whole[:-200])
    for cells in ([], ["--cells", "E012"]):
        assert main(["--mirror", str(mirror), *cells]) == 1
        assert "truncated or corrupt" in capsys.readouterr().err
    path.write_bytes(whole)
    assert main(["--mirror", str(mirror)]) == 0
    assert list_cells() == ["E012", "E013"]


def test_a_table_that_is_none_is_not_noted(home, tmp_path, capsys):
    mirror = write_mirror(tmp_path / "mirror", CELLS)
    path = mirror / "roadmap" / "57epigenomes.RPKM.pc.gz"
    whole = path.read_bytes()
    path.write_bytes(gzip.compress(b'{"error": "quota"}'))
    assert main(["--mirror", str(mirror)]) == 1
    assert "57epigenomes.RPKM.pc.gz is not the file that it should be" in capsys.readouterr().err
    path.write_bytes(whole)
    assert main(["--mirror", str(mirror)]) == 0


def test_refetch_stores_anew(home, tmp_path, capsys):
    mirror = write_mirror(tmp_path / "mirror", CELLS)
    assert main(["--mirror", str(mirror)]) == 0
    corrected = dict(zip(CELLS, reversed(CELLS.values()), strict=True))
    write_archive(mirror / "roadmap" / "data.tar.gz", members_of(corrected))
    before = {cell: open_cell(cell).counts for cell in CELLS}
    assert main(["--mirror", str(mirror)]) == 1
    assert "--refetch" in capsys.readouterr().err
    for named in (["--cells", "E012"], []):
        assert main(["--mirror", str(mirror), "--refetch", *named]) == 0
        np.testing.assert_array_equal(open_cell("E012").counts, before["E013"])
    np.testing.assert_array_equal(open_cell("E013").counts, before["E012"])


@pytest.mark.parametrize("options", ["--peaks", "--tracks", "--binned", "--peaks . --gtf"])
def test_files_that_are_not_there_are_named_before_any_download(home, capsys, monkeypatch, options):
    monkeypatch.setattr("dc2lib.datasets.__main__.fetch", lambda *_, **__: pytest.fail("asked"))
    assert main([*options.split(), "nowhere", "--quiet"]) == 1
    assert f"{Path('nowhere').absolute()} is missing" in capsys.readouterr().err


def test_own_cells_with_other_marks_beside_those_of_another_source(home, tmp_path, capsys):
    folder = write_folder(tmp_path / "liver", cell_files())
    options = ["--csv", str(folder), "--rpkm", str(write_rpkm(tmp_path / "own.gz", ("liver",)))]
    counts, genes, split = np.zeros((1, 100, 1), int), ["ENSG00000000001"], ["train"]
    one = HistoneDataset.from_arrays(counts, genes, "liver", split, marks=["x"], source="peaks")
    write_cell(one)
    assert main(options) == 1
    assert "liver is stored already, from peaks." in capsys.readouterr().err
    marks = ["H3K27ac", "H3K4me3", "H3K4me1", "H3K9ac", "mine"]
    assert main([*options, "--suffix", ".csv", "--marks", *marks]) == 0
    assert open_cell("liver.csv").marks == tuple(marks)
    assert open_cell("liver").fingerprint == one.fingerprint
    assert main([*options, "--refetch"]) == 0
    assert open_cell("liver").marks == MARKS


def test_own_cells_with_an_expression_table_that_has_gaps(home, tmp_path, capsys):
    folder = write_folder(tmp_path / "liver", cell_files())
    path = write_rpkm(tmp_path / "own.gz", ("liver",))
    text = gzip.decompress(path.read_bytes()).decode()
    gap = text.splitlines()[1].rsplit("\t", 2)[0] + "\tNA\t"
    path.write_bytes(gzip.compress(text.replace(text.splitlines()[1], gap).encode()))
    assert main(["--csv", str(folder), "--rpkm", str(path)]) == 1
    assert "1 gene(s) have no number in own.gz" in capsys.readouterr().err
    assert list_cells() == []
    path.write_bytes(gzip.compress(text.encode()))
    assert main(["--csv", str(folder), "--rpkm", str(path)]) == 0
    whole = open_cell("liver")
    path.write_bytes(gzip.compress((text + "ENSG00000999999\tNA\tNA\t\n").encode()))
    assert main(["--csv", str(folder), "--rpkm", str(path)]) == 0
    assert open_cell("liver").fingerprint == whole.fingerprint


def test_a_cell_type_that_no_rule_can_label_is_listed(home, capsys):
    genes, split = [f"ENSG{i:011d}" for i in range(6)], ["train", "valid", "test"] * 2
    own = {"counts": np.zeros((6, 100, 5), int), "gene_id": genes, "split": split}
    write_cell(HistoneDataset.from_arrays(cell="numbers", rpkm=range(6), **own))
    write_cell(HistoneDataset.from_arrays(cell="counts", **own))
    assert main(["--list"]) == 0
    rows = {line.split()[0]: line.split()[7:9] for line in capsys.readouterr().out.splitlines()[3:]}
    assert rows == {"counts": ["-", "-"], "numbers": ["0.500", "-"]}


def test_cells_chooses_among_own_folders_and_asks_for_no_download(home, tmp_path, capsys):
    folders = [str(write_folder(tmp_path / name, cell_files())) for name in ("liver", "heart")]
    table = str(write_rpkm(tmp_path / "own.gz", ("liver", "heart")))
    assert main(["--csv", *folders, "--rpkm", table, "--cells", "heart"]) == 0
    assert list_cells() == ["heart"]
    assert main(["--csv", *folders, "--rpkm", table, "--cells", "E003"]) == 1
    same = str(write_folder(tmp_path / "other" / "heart", cell_files()))
    assert main(["--csv", *folders, same, "--rpkm", table]) == 1
    assert "have one name" in capsys.readouterr().err


def test_the_digits_come_with_downloads_and_not_with_own_files(home, tmp_path, monkeypatch):
    """As `make data` promises; a folder or address as MIRROR= may lack them."""
    asked = []
    monkeypatch.setattr("dc2lib.datasets.mnist.fetch_mnist", lambda *_, **__: asked.append(1))
    monkeypatch.setattr("dc2lib.datasets.__main__._fill", lambda *_: None)
    for arguments, times in (
        ([], 1), (["--cells", "E003"], 1), (["--mnist", "--csv", "x"], 1), (["--list"], 0),
        (["--peaks", "x"], 0), (["--csv", "x"], 0), (["--source", "patternchrome"], 0),
        (["--mirror", str(tmp_path)], 0),
    ):  # fmt: skip
        asked.clear()
        main(arguments)
        assert len(asked) == times, arguments


def test_a_split_under_two_names_is_told(home, tmp_path, capsys):
    files = cell_files()
    folder = write_folder(tmp_path / "liver", files | {"test": files["train"]})
    table = write_rpkm(tmp_path / "own.gz", ("liver",))
    assert main(["--csv", str(folder), "--rpkm", str(table)]) == 1
    assert "every gene of test is in another split too" in capsys.readouterr().err
    assert list_cells() == []


WAYS = {
    "archive": [], "list": ["--list"], "csv": ["--csv", "x"], "peaks": ["--peaks", "x"],
    "tracks": ["--tracks", "x"], "npz": ["--binned", "x.npz"], "folder": ["--binned", "."],
}  # fmt: skip


@pytest.mark.parametrize(
    ("option", "ways"),
    [
        (["--rpkm", "x"], "archive list"),
        (["--suffix", ".a"], "archive list"),
        (["--marks", "H3K4me3"], "archive list"),
        (["--partial"], "archive list"),
        (["--gtf", "x"], "archive list csv npz"),
        (["--value", "signal"], "archive list csv tracks npz folder"),
        (["--min-quality", "0"], "archive list csv peaks npz folder"),
        (["--duplicates"], "archive list csv peaks npz folder"),
        (["--source", "roadmap"], "list csv peaks tracks npz folder"),
        (["--mirror", "."], "list"),
        (["--cells", "E003"], "list"),
        (["--refetch"], "list"),
        (["--peaks", "x"], "list"),
    ],
)
def test_an_option_that_would_change_nothing_is_refused(home, capsys, option, ways):
    for way in ways.split():
        assert main([*WAYS[way], *option]) == 1
        assert f"{option[0]} would change nothing about" in capsys.readouterr().err
    for way in WAYS.keys() - {*ways.split()}:
        _check_used(_parser().parse_args([*WAYS[way], *option]))
    assert main(["--peaks", "x", "--rpkm", "x", "--mirror", str(home)]) == 1  # no digits either
    assert "--mirror would change nothing" in capsys.readouterr().err


def test_a_folder_that_cannot_be_read_is_named(refused_user, capsys):
    """Not the store, whose fault it is not; and not as an empty one."""
    folder = refused_user / "files"
    (folder / "E003").mkdir(parents=True)
    (folder / "E004").mkdir()
    (folder / "E004" / "H3K4me3_50bp_bins.RData").touch()
    (refused_user / "genes.tsv").write_text("gene_id\tE003\nENSG00000000003\t1.0\n")
    common = ["--home", str(refused_user / "home"), "--rpkm", str(refused_user / "genes.tsv")]
    for closed, options in (
        (folder, ("peaks", "tracks", "binned", "csv")), (folder / "E003", ("binned", "csv"))
    ):  # fmt: skip
        closed.chmod(0)
        for option in options:
            given = closed if option == "csv" else folder
            assert main([f"--{option}", str(given), *common]) == 1
            said = capsys.readouterr().err
            assert "Permission denied" in said and str(closed) in said and "DC2LIB_DATA" not in said
        for mirror in (closed, folder):
            assert main(["--mirror", str(mirror), *common[:2]]) == 1
        closed.chmod(0o700)


def test_splits_may_be_gzipped(home, tmp_path, capsys):
    plain = read_csv_folder(write_folder(tmp_path / "liver", cell_files()))
    (folder,) = {path.parent for path in (tmp_path / "liver").rglob("train.csv")}
    for path in folder.glob("*.csv"):
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
    with pytest.raises(DataError, match=r"train\.csv\.gz is there beside train\.csv"):
        read_csv_folder(tmp_path / "liver")
    for path in folder.glob("*.csv"):
        path.unlink()
    assert read_csv_folder(tmp_path / "liver").fingerprint == plain.fingerprint
    packed = folder / "valid.csv.gz"
    packed.write_bytes(packed.read_bytes()[:-9])
    with pytest.raises(DataError, match=r"valid\.csv\.gz is truncated"):
        read_csv_folder(tmp_path / "liver")
    with gzip.open(packed, "wb", compresslevel=1) as bomb:
        for _ in range(257):
            bomb.write(bytes(2**20))
    with pytest.raises(DataError, match=r"valid\.csv\.gz holds 257 MiB, more than"):
        read_csv_folder(tmp_path / "liver")
