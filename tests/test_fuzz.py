"""Mutated input: the right data or a clear error, never less data without a word.

Every case is drawn from a seed.  What is mutated is small, so that all of it takes seconds.
"""

import gzip
import json
import shutil

import numpy as np
import pytest
from released_files import cell_files, members_of, write_rpkm
from test_roadmap import tar_of
from test_store import dataset

from dc2lib.datasets import HistoneDataset, list_cells, open_cell, write_cell
from dc2lib.datasets.released import read_split
from dc2lib.datasets.roadmap import ingest_archive
from dc2lib.datasets.rpkm import read_rpkm
from dc2lib.errors import DataError

SPLITS = {"E003": cell_files(1, 3), "E012": cell_files(1, 5)}


def mutated(data: bytes, rng: np.random.Generator, start: int = 0, stop: int | None = None):
    """One to three bytes changed, left out, put in or doubled, or the end cut off."""
    stop = len(data) if stop is None else stop
    changed = bytearray(data)
    for _ in range(rng.integers(1, 4)):
        at = int(rng.integers(start, stop))
        how = rng.integers(0, 6)
        if how <= 1:
            changed[at] = rng.integers(0, 256)
        elif how == 2:
            changed[at] ^= 1 << rng.integers(0, 8)
        elif how == 3:
            del changed[at : at + int(rng.integers(1, 9))]
        elif how == 4:
            changed[at:at] = changed[at : at + int(rng.integers(1, 9))]
        else:
            changed[at] = rng.choice(list(b",\t\n\r\"0129-.eN \x00\xb2"))
        stop = min(stop, len(changed))
    return bytes(changed[: at + 1] if rng.random() < 0.05 else changed)


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return read_rpkm(write_rpkm(tmp_path_factory.mktemp("table") / "table.gz"))


def test_headers_of_an_archive(tmp_path, table):
    whole, offsets = tar_of(members_of(SPLITS))
    rng = np.random.default_rng(0)
    path, outcomes = tmp_path / "data.tar.gz", {"error": 0, "right": 0}
    expected = {}
    for number in range(81):
        at = int(rng.choice(offsets))
        changed = mutated(whole, rng, at, at + 512) if number else whole
        path.write_bytes(gzip.compress(changed, 1))
        home = tmp_path / "home"
        try:
            failed = ingest_archive(path, table, home, progress=False).failed
        except DataError as error:
            assert "rchive" in str(error) or "data.tar.gz" in str(error)
            failed = {"archive": str(error)}
        stored = {cell: open_cell(cell, home).fingerprint for cell in list_cells(home)}
        expected = expected or stored
        assert failed or stored == expected
        assert all(expected.get(cell) == print for cell, print in stored.items())
        outcomes["error" if failed else "right"] += 1
        shutil.rmtree(home)
    assert list(expected) == ["E003", "E012"]
    assert outcomes["error"] > 70


def test_bytes_of_a_csv():
    whole = SPLITS["E003"]["train"]
    rng = np.random.default_rng(1)
    accepted = 0
    for _ in range(400):
        data = mutated(whole, rng)
        try:
            split = read_split(data, "train.csv")
        except DataError as error:
            assert str(error).startswith("train.csv")
            continue
        accepted += 1
        lines = data.replace(b"\r", b"\n").split(b"\n")
        rows = [line.split(b",") for line in lines if line.strip()]
        assert len(rows) == 100 * len(split.gene_id)
        counts = np.array([[int(field) for field in row[2:7]] for row in rows])
        np.testing.assert_array_equal(split.counts.reshape(-1, 5), counts)
        assert {row[7].strip() for row in rows} == {b"%d" % label for label in split.label}
    assert accepted > 5


def test_bytes_of_an_expression_table(tmp_path):
    whole = gzip.decompress(write_rpkm(tmp_path / "table.gz").read_bytes()).split(b"\n")[:12]
    whole = b"\n".join([*whole, b""])
    rng = np.random.default_rng(2)
    path, accepted = tmp_path / "own.tsv", 0
    for _ in range(400):
        data = mutated(whole, rng, 0, len(whole) if rng.random() < 0.5 else 40)
        path.write_bytes(data)
        try:
            table = read_rpkm(path)
            columns = {cell: table.rpkm(cell) for cell in table.cells}
        except DataError as error:
            assert "own.tsv" in str(error)
            continue
        accepted += 1
        lines = [line.split("\t") for line in data.decode().split("\n") if line.strip()]
        lines = lines[next(i for i, line in enumerate(lines) if not line[0].startswith("#")) :]
        assert len(table.gene_id) == len(lines) - 1, (data, table.gene_id)
        head = [name.strip().strip('"') for name in lines[0]]
        for cell, values in columns.items():
            place = head.index(cell)
            texts = [line[place].strip().strip('"') for line in lines[1:]]
            expected = [float("nan") if text in ("", "NA") else float(text) for text in texts]
            np.testing.assert_array_equal(values, expected)
    assert accepted > 50


def test_files_of_the_store(tmp_path):
    given = dataset()
    folder = write_cell(given, tmp_path)
    whole = {path: path.read_bytes() for path in sorted(folder.iterdir())}
    rng = np.random.default_rng(3)
    right = 0
    for _ in range(150):
        path = list(whole)[rng.integers(0, len(whole))]
        limit = None if path.suffix == ".json" or rng.random() < 0.5 else 128
        path.write_bytes(mutated(whole[path], rng, 0, limit))
        try:
            opened = open_cell("E012", tmp_path)
        except DataError as error:
            assert str(folder) in str(error)
        else:
            right += 1
            content = {k: v for k, v in vars(opened).items() if k != "fingerprint"}
            assert HistoneDataset(**content).fingerprint == given.fingerprint
        path.write_bytes(whole[path])
    assert right < 75
    assert json.loads((folder / "meta.json").read_text())["cell"] == "E012"


def test_a_gzip_file_of_an_expression_table(tmp_path):
    whole = write_rpkm(tmp_path / "table.gz").read_bytes()
    expected = read_rpkm(tmp_path / "table.gz").frame()
    rng = np.random.default_rng(4)
    path = tmp_path / "own.gz"
    for _ in range(60):
        path.write_bytes(mutated(whole, rng))
        try:
            found = read_rpkm(path).frame()
        except DataError:
            continue
        assert found.equals(expected)


def test_members_of_an_archive_are_read_to_the_true_end(tmp_path, table):
    """The end cut off anywhere, packed again as if it were whole."""
    whole, _ = tar_of(members_of(SPLITS))
    rng = np.random.default_rng(5)
    path = tmp_path / "data.tar.gz"
    for at in rng.integers(1, len(whole.rstrip(b"\0")), 40):
        path.write_bytes(gzip.compress(whole[:at], 1))
        with pytest.raises(DataError):
            ingest_archive(path, table, tmp_path / "home", progress=False)
