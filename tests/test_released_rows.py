import numpy as np
import pytest
from released_files import as_csv, rows_of

from dc2lib.datasets import MARKS, released_rows
from dc2lib.datasets.released import _read_any_rows, read_split
from dc2lib.datasets.released_rows import read_rows
from dc2lib.errors import DataError


def general(data: bytes, width: int = 6):
    return _read_any_rows(data, "train.csv", MARKS, width)


def same(first, second) -> bool:
    return all(np.array_equal(one, other) for one, other in zip(first, second, strict=True))


def skewed(genes, seed=0) -> bytes:
    """Counts of one to five digits."""
    rng = np.random.default_rng(seed)
    rows = rows_of(genes, seed)
    for row in rows:
        row[2:7] = [str(min(65_535, int(10 ** rng.uniform(0, 4.9)) - 1)) for _ in range(5)]
    return as_csv(rows)


@pytest.mark.parametrize("block", [64, 500, 4096, 2**18])
@pytest.mark.parametrize("prefix", ["", "ENSG00000"])
def test_both_readers_see_the_same(block, prefix, monkeypatch):
    monkeypatch.setattr(released_rows, "BLOCK", block)
    data = skewed([f"{prefix}{number:06d}" for number in range(5)])
    width = len(prefix) + 6
    assert same(read_rows(data, 5, width), general(data, width))


def test_values_and_types():
    rows = rows_of(["000003", "000005"])
    gene, counts, label = read_rows(as_csv(rows), 5, 6)
    assert gene.tolist() == [b"000003", b"000005"]
    assert counts.dtype == np.uint16
    assert counts[1, 99].tolist() == [int(count) for count in rows[199][2:7]]
    assert label.tolist() == [0, 1]


def test_any_number_of_marks():
    rows = [["000001", str(position), *map(str, range(8)), "1"] for position in range(1, 101)]
    _, counts, _ = read_rows(as_csv(rows), 8, 6)
    assert counts.shape == (1, 100, 8)
    assert counts[0, 7].tolist() == list(range(8))


@pytest.mark.parametrize(
    "change",
    [
        lambda data: b"",
        lambda data: data[:-1],
        lambda data: data.replace(b"\n", b"\r\n"),
        lambda data: data + b"\n",
        lambda data: b"\n" + data,
        lambda data: data[data.index(b"\n") + 1 :],
        lambda data: data.replace(b"000001,7,", b"000001,8,"),
        lambda data: data.replace(b"000001,7,", b"000001,07,"),
        lambda data: data.replace(b"000001,7,", b"000002,7,"),
        lambda data: data.replace(b"000001,100,", b"000001,00,"),
        lambda data: data.replace(b",0\n", b",2\n", 1),
        lambda data: data.replace(b",0\n", b",1\n", 1),
        lambda data: data.replace(b",0\n", b",,0\n", 1),
        lambda data: data.replace(b",0\n", b"-1,0\n", 1),
        lambda data: data.replace(b",0\n", b".5,0\n", 1),
        lambda data: data.replace(b",0\n", b",99999,0\n", 1),
    ],
)
def test_what_is_not_as_released_is_left_to_the_other(change):
    data = as_csv(rows_of(["000001", "000002"]))
    assert read_rows(data, 5, 6) is not None
    assert read_rows(change(data), 5, 6) is None


@pytest.mark.parametrize("block", [700, 2**18])
def test_random_damage_is_never_read_differently(block, monkeypatch):
    monkeypatch.setattr(released_rows, "BLOCK", block)
    rng = np.random.default_rng(0)
    whole = skewed(["000001", "000002"])
    accepted = 0
    for _ in range(600):
        data = bytearray(whole)
        place = int(rng.integers(len(data)))
        kind = rng.integers(3)
        byte = rng.choice(list(b"0123456789,\n-.x\r \xff"))
        if kind == 0:
            data[place] = byte
        elif kind == 1:
            del data[place]
        else:
            data.insert(place, byte)
        rows = read_rows(bytes(data), 5, 6)
        if rows is None:
            continue
        accepted += 1
        assert same(rows, general(bytes(data)))
    assert accepted > 50


def test_files_larger_than_a_block():
    data = skewed([f"{number:06d}" for number in range(400)], seed=3)
    assert len(data) > 3 * released_rows.BLOCK
    table = read_split(data, "train.csv")
    assert same((table.counts, table.label), general(data)[1:])


def test_the_largest_count_and_one_more():
    rows = rows_of(["000001"])
    rows[5][3] = "65535"
    assert read_rows(as_csv(rows), 5, 6)[1][0, 5, 1] == 65_535
    rows[5][3] = "65536"
    assert read_rows(as_csv(rows), 5, 6) is None
    with pytest.raises(DataError, match="line 6: H3K36me3 count '65536' is too large"):
        read_split(as_csv(rows), "train.csv")
