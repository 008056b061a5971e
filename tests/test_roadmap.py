import gzip
import io
import tarfile

import numpy as np
import pytest
from released_files import (
    SPLITS,
    as_csv,
    cell_files,
    genes_of,
    members_of,
    rows_of,
    write_archive,
    write_rpkm,
)

from dc2lib.datasets import list_cells, open_cell, roadmap
from dc2lib.datasets.roadmap import Ingestion, ingest_archive, split_members
from dc2lib.datasets.rpkm import read_rpkm
from dc2lib.errors import DataError

E012, E013 = cell_files(), cell_files(seed=7)


@pytest.fixture
def table(tmp_path):
    return read_rpkm(write_rpkm(tmp_path / "table.gz"))


def archive_of(tmp_path, members):
    return write_archive(tmp_path / "data.tar.gz", members)


def leftovers(home):
    return [path.name for path in home.rglob(".tmp*")]


def ingest(tmp_path, table, members, **options):
    return ingest_archive(
        archive_of(tmp_path, members), table, tmp_path / "home", progress=False, **options
    )


OTHERS = [
    ("data/README", b"x" * 10),
    ("data/E012/classification/._train.csv", b"\0" * 10),
    ("data/E012/classification/all.csv", b"x"),
    ("data/E012/regression/train.csv", b"x"),
]


@pytest.mark.parametrize("top", ["data/", "", "./some/where/else/"])
def test_members_are_found_wherever_they_lie_and_others_passed_over(tmp_path, table, top):
    members = OTHERS + members_of({"E012": E012, "E013": E013}, top)
    result = ingest(tmp_path, table, members)
    assert result == Ingestion(stored=["E012", "E013"])
    cell = open_cell("E013", tmp_path / "home")
    first = rows_of(genes_of("train"), 7)[0]
    assert cell.counts[0, 0].tolist() == [int(count) for count in first[2:7]]
    assert cell.rpkm_text.tolist()[:3] == table.text("E013")[:3].tolist()
    assert cell.rpkm_median_text == table.median_text("E013")
    assert cell.source == "roadmap"
    assert leftovers(tmp_path) == []


def test_any_order_of_members_and_many_open_cells(tmp_path, monkeypatch):
    names = tuple(f"E{number:03d}" for number in range(1, 8))
    table = read_rpkm(write_rpkm(tmp_path / "table.gz", names))
    cells = {name: cell_files(seed=place) for place, name in enumerate(names)}
    members = sorted(members_of(cells), key=lambda member: member[0].rpartition("/")[2])
    spilled = []
    keep = roadmap._spilled
    monkeypatch.setattr(roadmap, "_spilled", lambda *a: spilled.append(a[2].cell) or keep(*a))
    result = ingest(tmp_path, table, members)
    assert sorted(result.stored) == list(names)
    assert spilled
    for name, files in cells.items():
        counts = np.concatenate(
            [roadmap.read_split(files[split], split).counts for split in SPLITS]
        )
        np.testing.assert_array_equal(open_cell(name, tmp_path / "home").counts, counts)
    assert leftovers(tmp_path) == []


def test_stored_cells_are_skipped_and_named_ones_are_enough(tmp_path, table, monkeypatch):
    members = members_of({"E012": E012, "E013": E013})
    assert ingest(tmp_path, table, members, cells=["E012"]).stored == ["E012"]
    assert list_cells(tmp_path / "home") == ["E012"]
    result = ingest(tmp_path, table, members)
    assert (result.present, result.stored) == (["E012"], ["E013"])
    monkeypatch.setattr(roadmap, "read_split", lambda *_: pytest.fail("read again"))
    assert ingest(tmp_path, table, members).present == ["E012", "E013"]


def bad(split, data):
    return E012 | {split: data}


def torn(line, column, value):
    rows = rows_of(genes_of("valid"))
    rows[line][column] = value
    return bad("valid", as_csv(rows))


WRONG_CELLS = {
    "empty member": (bad("test", b""), r"test\.csv is empty"),
    "repeated bin": (torn(4, 1, "4"), "has bin 4 repeated"),
    "no number": (torn(4, 3, "x"), "is not a number"),
    "superscript": (torn(4, 1, "\u00b2"), "line 5: bin '\u00b2'"),
    "missing split": ({split: E012[split] for split in SPLITS[:2]}, r"test\.csv missing"),
    "gene unknown": (bad("test", as_csv(rows_of(["000999"]))), "are not in table.gz"),
}


@pytest.mark.parametrize("case", WRONG_CELLS)
def test_one_wrong_cell_is_reported_and_the_others_are_stored(tmp_path, table, case):
    files, message = WRONG_CELLS[case]
    lines = []
    members = members_of({"E003": E013, "E012": files, "E013": E013})
    result = ingest(tmp_path, table, members, say=lines.append)
    assert result.stored == ["E003", "E013"]
    assert list(result.failed) == ["E012"]
    with pytest.raises(DataError, match=message):
        raise DataError(result.failed["E012"])
    assert "data.tar.gz" in result.failed["E012"] or case == "gene unknown"
    assert any(line.startswith("E012: NOT stored") for line in lines)
    assert list_cells(tmp_path / "home") == ["E003", "E013"]
    assert leftovers(tmp_path) == []


def test_a_wrong_cell_does_not_replace_the_stored_one(tmp_path, table):
    ingest(tmp_path, table, members_of({"E012": E012}))
    before = open_cell("E012", tmp_path / "home").fingerprint
    wrong = ingest(tmp_path, table, members_of({"E012": bad("train", b"")}), again=True)
    assert list(wrong.failed) == ["E012"]
    assert open_cell("E012", tmp_path / "home").fingerprint == before


def test_a_cell_that_the_archive_does_not_hold(tmp_path, table):
    result = ingest(tmp_path, table, members_of({"E012": E012}), cells=["E012", "E013"])
    assert result.stored == ["E012"]
    assert "does not hold E013" in result.failed["E013"]


def test_a_truncated_archive_goes_on_when_it_is_whole(tmp_path, table, monkeypatch):
    monkeypatch.setattr(roadmap, "BLOCK", 1024)
    members = members_of({"E003": E012, "E012": E012, "E013": E013})
    path = archive_of(tmp_path, members)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(0.5 * len(whole))])
    with pytest.raises(DataError, match=r"data\.tar\.gz is truncated or corrupt.*--refetch"):
        ingest_archive(path, table, tmp_path / "home", progress=False)
    done = list_cells(tmp_path / "home")
    path.write_bytes(whole)
    result = ingest_archive(path, table, tmp_path / "home", progress=False)
    assert done
    assert result.present == done
    assert list_cells(tmp_path / "home") == ["E003", "E012", "E013"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"<!DOCTYPE html><html></html>", "is an HTML page, not the file"),
        (b"PK\x03\x04 something", "is no gzip file"),
        (b"", "is no gzip file"),
        (gzip.compress(b"not a tar" * 200, mtime=0), "truncated or corrupt"),
        (gzip.compress(b"", mtime=0), "truncated or corrupt"),
    ],
)
def test_files_that_are_no_archive(tmp_path, table, content, message):
    path = tmp_path / "data.tar.gz"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message) as error:
        ingest_archive(path, table, tmp_path / "home", progress=False)
    assert "data.tar.gz" in str(error.value)
    assert list_cells(tmp_path / "home") == []


def test_an_archive_of_something_else(tmp_path, table):
    with pytest.raises(DataError, match="this is another archive"):
        ingest(tmp_path, table, [("photos/1.jpg", b"x")])
    with pytest.raises(DataError, match="is missing"):
        ingest_archive(tmp_path / "none.tar.gz", table, tmp_path / "home")


def test_paths_in_the_archive_lead_nowhere(tmp_path, table):
    outside = tmp_path / "outside"
    names = [f"{outside}/E012", "../../E012", "data/.."]
    for number, name in enumerate(names):
        members = [(f"{name}/classification/{split}.csv", E012[split]) for split in SPLITS]
        path = write_archive(tmp_path / f"{number}.tar.gz", members)
        home = tmp_path / f"home{number}"
        if name == "data/..":
            with pytest.raises(DataError, match="another archive"):
                ingest_archive(path, table, home, progress=False)
            continue
        assert ingest_archive(path, table, home, progress=False).stored == ["E012"]
    assert not outside.exists()
    assert not (tmp_path / "E012").exists()


def test_links_are_not_followed(tmp_path, table):
    path = tmp_path / "data.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for split in SPLITS:
            info = tarfile.TarInfo(f"data/E012/classification/{split}.csv")
            info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
            archive.addfile(info)
    result = ingest_archive(path, table, tmp_path / "home", progress=False)
    assert "is a link or no file" in result.failed["E012"]
    assert list_cells(tmp_path / "home") == []


def test_bounds_on_members_and_on_the_whole(tmp_path, table, monkeypatch):
    members = members_of({"E012": E012})
    path = archive_of(tmp_path, members)
    monkeypatch.setattr(roadmap, "ARCHIVE_LIMIT", 15_000)
    monkeypatch.setattr(roadmap, "BLOCK", 1_024)
    with pytest.raises(DataError, match="unpacks to more than"):
        list(split_members(path))
    monkeypatch.setattr(roadmap, "ARCHIVE_LIMIT", 10**9)
    monkeypatch.setattr(roadmap, "MEMBER_LIMIT", 2)
    with pytest.raises(DataError, match="more than 2 members"):
        list(split_members(path))
    monkeypatch.setattr("dc2lib.datasets.released.SPLIT_LIMIT", 100)
    monkeypatch.setattr(roadmap, "MEMBER_LIMIT", 10)
    result = ingest_archive(path, table, tmp_path / "home", progress=False)
    assert "that a split may have" in result.failed["E012"]


def test_a_header_that_would_fill_the_memory(tmp_path):
    raw = io.BytesIO()
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.XHDTYPE, 2**31
    raw.write(info.tobuf(tarfile.GNU_FORMAT))
    path = tmp_path / "data.tar.gz"
    path.write_bytes(gzip.compress(raw.getvalue() + b"\0" * 10_240))
    with pytest.raises(DataError, match="header of 2,147,483,648 bytes"):
        list(split_members(path))


def tar_of(members):
    """An archive before gzip, and where its members' headers lie."""
    raw = io.BytesIO()
    offsets = []
    with tarfile.open(fileobj=raw, mode="w") as archive:
        for name, data in members:
            offsets.append(raw.tell())
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return raw.getvalue(), offsets


def ingest_bytes(tmp_path, table, data):
    path = tmp_path / "data.tar.gz"
    path.write_bytes(data)
    return ingest_archive(path, table, tmp_path / "home", progress=False)


def test_damage_inside_is_not_taken_for_the_end(tmp_path, table):
    whole, offsets = tar_of(members_of({"E003": E013, "E012": E012}))
    second = offsets[3]
    header = bytearray(whole[second : second + 512])
    header[150] ^= 1  # of the checksum
    tail = whole[second:]
    for data in (
        whole[:second] + bytes(header) + tail[512:],
        whole[:second] + b"\0" * 512 + tail[512:],  # as a disk's lost sector
        whole[:second] + b"\0" * 1024 + tail,  # a second archive behind the first
        whole[:second],  # cut between two members
        whole[: second + 200],
    ):
        with pytest.raises(DataError, match="truncated or corrupt"):
            ingest_bytes(tmp_path, table, gzip.compress(data, 1))
        assert list_cells(tmp_path / "home") == ["E003"]
    for joined in (gzip.compress(tail, 1), b"and more"):
        data = gzip.compress(whole[:second] + b"\0" * 1024, 1) + joined
        with pytest.raises(DataError, match="truncated or corrupt"):
            ingest_bytes(tmp_path, table, data)
    assert ingest_bytes(tmp_path, table, gzip.compress(whole, 1)).stored == ["E012"]


@pytest.mark.parametrize("size", [2**50, 2**40, -512])
@pytest.mark.parametrize("by", ["header", "pax"])
def test_a_member_of_impossible_size_does_not_hang(tmp_path, table, size, by):
    info = tarfile.TarInfo("data/README")
    info.size = size
    if by == "pax":
        info.size, info.pax_headers = 0, {"size": str(size)}
    raw = info.tobuf(tarfile.PAX_FORMAT if by == "pax" else tarfile.GNU_FORMAT)
    rest, _ = tar_of(members_of({"E012": E012}))
    with pytest.raises(DataError, match="it is refused"):
        ingest_bytes(tmp_path, table, gzip.compress(raw + rest, 1))


@pytest.mark.parametrize(
    "headers",
    [
        {"GNU.sparse.major": "1", "GNU.sparse.minor": "0"},
        {"GNU.sparse.map": "1,x", "GNU.sparse.size": "9"},
        {"GNU.sparse.size": "x", "GNU.sparse.numblocks": "1"},
        {"size": "x"},
    ],
)
def test_sparse_and_broken_pax_headers_end_in_the_error_of_an_archive(tmp_path, table, headers):
    info = tarfile.TarInfo("data/E012/classification/train.csv")
    info.size, info.pax_headers = 10, headers
    raw = info.tobuf(tarfile.PAX_FORMAT) + b"0123456789".ljust(512, b"\0")
    rest, _ = tar_of(members_of({"E013": E013}))
    try:
        result = ingest_bytes(tmp_path, table, gzip.compress(raw + rest, 1))
    except DataError as error:
        assert "data.tar.gz" in str(error)
    else:
        assert "E012" in result.failed


def test_a_cell_type_that_comes_twice_is_named(tmp_path, table):
    members = members_of({"E012": E012}) + members_of({"E012": E013}, "corrected/")
    for _ in range(2):
        result = ingest(tmp_path, table, members)
        assert "holds this split twice" in result.failed["E012"]


@pytest.mark.parametrize("name", ["\u00e9lan", "E 012", "x" * 65, "E012/classification/Train"])
def test_a_name_that_can_be_no_cell_type_is_named(tmp_path, table, name):
    wrong = (f"data/{name}/classification/train.csv", E012["train"])
    if "/" in name:
        wrong = (f"data/{name}.csv", E012["train"])
    result = ingest(tmp_path, table, [wrong, *members_of({"E013": E013})])
    assert result.stored == ["E013"]
    assert len(result.failed) == 1


@pytest.mark.parametrize("cut", ["E003", "E013"])
def test_a_split_that_breaks_off_before_another_cell_types(tmp_path, table, cut):
    """Cut after a whole gene: each file is right in itself, and only the others tell."""
    cells = {cell: cell_files(seed=i) for i, cell in enumerate(("E003", "E012", "E013"))}
    cells[cut]["test"] = as_csv(rows_of(genes_of("test", 2)))
    path = write_archive(tmp_path / "data.tar.gz", members_of(cells))
    result = ingest_archive(path, table, tmp_path, progress=False)
    assert list(result.failed) == [cut]
    assert f"test.csv of {cut} ends after 2 genes" in result.failed[cut]
    assert list_cells(tmp_path) == sorted(result.stored) == sorted(cells.keys() - {cut})
