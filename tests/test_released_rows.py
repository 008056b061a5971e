import numpy as np
import pytest
from released_files import as_csv, cell_files, rows_of, write_folder

from dc2lib.datasets import MARKS, read_csv_folder, released, write_cell
from dc2lib.datasets.released import _read_any_rows, read_split
from dc2lib.datasets.released_rows import read_rows, walk_rows
from dc2lib.errors import DataError


def general(data: bytes, width: int = 6, marks=MARKS):
    return _read_any_rows(data, "train.csv", marks, width)


def same(first, second) -> bool:
    return all(np.array_equal(one, other) for one, other in zip(first, second, strict=True))


def skewed(genes, seed=0) -> bytes:
    """Counts of one to five digits."""
    rng = np.random.default_rng(seed)
    rows = rows_of(genes, seed)
    for row in rows:
        row[2:7] = [str(min(65_535, int(10 ** rng.uniform(0, 4.9)) - 1)) for _ in range(5)]
    return as_csv(rows)


def damaged(data: bytes, rng: np.random.Generator) -> bytes:
    """One byte changed, gone or put in."""
    data, place = bytearray(data), int(rng.integers(len(data)))
    byte = rng.choice(list(b"0123456789,\n-.x\r \xff"))
    kind = rng.integers(3)
    if kind == 0:
        data[place] = byte
    elif kind == 1:
        del data[place]
    else:
        data.insert(place, byte)
    return bytes(data)


@pytest.mark.parametrize("prefix", ["", "ENSG00000"])
def test_both_readers_see_the_same(prefix):
    data = skewed([f"{prefix}{number:06d}" for number in range(5)])
    width = len(prefix) + 6
    assert same(read_rows(data, 5, width), general(data, width))


@pytest.mark.parametrize("seed", range(25))
def test_both_readers_see_the_same_in_any_valid_file(seed):
    rng = np.random.default_rng(seed)
    width, n_marks, n_genes = rng.integers(1, [16, 9, 10])
    names = rng.permutation(10 ** min(width, 6))[:n_genes]
    counts = (65_536 ** rng.random((n_genes, 100, n_marks))).astype(int) - 1
    label = rng.integers(2, size=n_genes)
    marks = [f"mark{number}" for number in range(n_marks)]
    rows = [
        [f"{name:0{width}d}", str(bin_ + 1), *map(str, counts[gene, bin_]), str(label[gene])]
        for gene, name in enumerate(names)
        for bin_ in range(100)
    ]
    data = as_csv(rows)
    fast = read_rows(data, n_marks, width)
    assert same(fast, general(data, width, marks))
    assert same(fast[1:], (counts, label))


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
        lambda data: data.replace(b"000001,7,", b"000001,,"),
        lambda data: data.replace(b"000001,7,", b"00000,,7,"),
        lambda data: data.replace(b"000001,7,", b"00000\n,7,"),
        lambda data: data.replace(b"000001,7,", b"0000017,"),
        lambda data: data.replace(b"000001,7,", b"000002,7,"),
        lambda data: data.replace(b"000001,100,", b"000001,00,"),
        lambda data: data.replace(b",0\n", b",2\n", 1),
        lambda data: data.replace(b",0\n", b",00\n", 1),
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


def test_random_damage_is_never_read_differently():
    rng = np.random.default_rng(0)
    whole = skewed(["000001", "000002"])
    accepted = 0
    for _ in range(600):
        data = damaged(whole, rng)
        rows = read_rows(data, 5, 6)
        if rows is None:
            continue
        accepted += 1
        assert same(rows, general(data))
    assert accepted > 50


def test_no_step_leaves_the_text():
    """Uncompiled, where an index out of bounds is an error: same answer on damaged files."""
    rng = np.random.default_rng(1)
    whole = skewed(["000001"])
    ends = [whole[:stop] + b"\n" for stop in rng.integers(1, len(whole), 20)]
    tails = [whole + whole[-stop:] for stop in range(1, 25)]
    for data in [whole, *ends, *tails, *(damaged(whole, rng) for _ in range(60))]:
        if not data.endswith(b"\n"):
            continue
        gene, label = np.zeros((3, 6), np.uint8), np.zeros(3, np.uint8)
        counts = np.zeros((3, 100, 5), np.uint16)
        n_genes = walk_rows(np.frombuffer(data, np.uint8), gene, counts, label)
        fast = read_rows(data, 5, 6)
        assert (fast is None) == (n_genes == 0)
        assert fast is None or same(fast[1:], (counts[:n_genes], label[:n_genes]))


def test_files_larger_than_a_block_of_the_general_reader():
    data = skewed([f"{number:06d}" for number in range(500)], seed=3)
    assert len(data) > 2**20
    table = read_split(data, "train.csv")
    assert same((table.counts, table.label), general(data)[1:])


def test_the_store_gets_the_same_bytes(tmp_path, monkeypatch):
    folder = write_folder(tmp_path / "E012", cell_files())
    fast = write_cell(read_csv_folder(folder), tmp_path / "fast")
    monkeypatch.setattr(released, "read_rows", lambda *_: None)
    slow = write_cell(read_csv_folder(folder), tmp_path / "slow")
    names = sorted(path.name for path in fast.iterdir())
    assert names == sorted(path.name for path in slow.iterdir())
    assert all((fast / name).read_bytes() == (slow / name).read_bytes() for name in names)


def test_the_largest_count_and_one_more():
    rows = rows_of(["000001"])
    rows[5][3] = "65535"
    assert read_rows(as_csv(rows), 5, 6)[1][0, 5, 1] == 65_535
    rows[5][3] = "65536"
    assert read_rows(as_csv(rows), 5, 6) is None
    with pytest.raises(DataError, match="line 6: H3K36me3 count '65536' is too large"):
        read_split(as_csv(rows), "train.csv")
