"""The store on disk: one folder a cell type, memory-mapped arrays beside a small JSON.

A cell type is written to a temporary folder and renamed, so a folder with a name is complete.
Opening one cell type reads no other. Files are checked against their SHA-256 when a process first
opens them, and again only if they change.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import secrets
import shutil
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np

import dc2lib
from dc2lib.datasets.histone import PER_GENE, HistoneDataset, check_cell_name
from dc2lib.datasets.rpkm import suggestion
from dc2lib.errors import DataError
from dc2lib.files import data_home

FORMAT_VERSION = 1
META = "meta.json"
FILL = "Fill the store with `make data` or `python -m dc2lib.datasets`."

_verified: set[tuple[str, int, int]] = set()


def list_cells(home: str | Path | None = None) -> list[str]:
    """Names of the stored cell types, sorted."""
    folder = cells_folder(home)
    if not folder.is_dir():
        return []
    return sorted(
        entry.name
        for entry in folder.iterdir()
        if not entry.name.startswith(".") and (entry / META).is_file()
    )


def cell_stamp(cell: str, home: str | Path | None = None) -> int:
    """Changes when a stored cell type is written again: nanoseconds of its last writing.

    Raises FileNotFoundError if the cell type is not stored.
    """
    return (cells_folder(home) / cell / META).stat().st_mtime_ns


def open_cell(cell: str, home: str | Path | None = None) -> HistoneDataset:
    """Open one stored cell type, its counts memory-mapped and read-only.

    Raises DataError if the cell is not stored, a file does not have its digest (the message names
    the file), or the store was written by another version.
    """
    known = list_cells(home)
    if cell not in known:
        advice = suggestion(cell, known) if known else " The store is empty."
        raise DataError(f"No cell type {cell!r} in the store {cells_folder(home)}.{advice} {FILL}")
    folder = cells_folder(home) / cell
    meta = read_meta(folder)
    arrays = {name: _open_array(folder, name, about) for name, about in meta["arrays"].items()}
    dataset = HistoneDataset(
        cell=meta["cell"], marks=tuple(meta["marks"]), source=meta["source"],
        unit=meta.get("unit", "reads"), rpkm_median_text=meta["rpkm_median_text"], **arrays,
    )  # fmt: skip
    vars(dataset)["fingerprint"] = meta["fingerprint"]
    return dataset


def write_cell(
    dataset: HistoneDataset,
    home: str | Path | None = None,
    origin: Mapping[str, object] | None = None,
) -> Path:
    """Store one cell type, in place of an older one of that name, and return its folder.

    `origin` says where the data came from (file, digest, repeated genes) and is kept in the JSON.
    Raises DataError if the disk is full; nothing half-written is left.
    """
    check_cell_name(dataset.cell)
    folder = cells_folder(home)
    folder.mkdir(parents=True, exist_ok=True)
    given = {name: getattr(dataset, name) for name in PER_GENE}
    given = {name: values for name, values in given.items() if values is not None}
    needed = sum(values.nbytes for values in given.values())
    with temporary_folder(folder, dataset.cell) as temporary, explain_full_disk(folder, needed):
        meta = {
            "format_version": FORMAT_VERSION,
            "dc2lib": dc2lib.__version__,
            "cell": dataset.cell,
            "source": dataset.source,
            "unit": dataset.unit,
            "marks": list(dataset.marks),
            "rpkm_median_text": dataset.rpkm_median_text,
            "fingerprint": dataset.fingerprint,
            "arrays": {
                name: _write_array(temporary / f"{name}.npy", values)
                for name, values in given.items()
            },
            "origin": dict(origin or {}),
        }
        (temporary / META).write_text(json.dumps(meta, indent=1), encoding="utf-8")
        target = folder / dataset.cell
        if target.exists():
            os.replace(target, temporary.with_name(f"{temporary.name}-old"))
        os.replace(temporary, target)
    shutil.rmtree(temporary.with_name(f"{temporary.name}-old"), ignore_errors=True)
    return target


def fingerprint(home: str | Path | None = None) -> str:
    """SHA-256 (hex) over what is stored: changes when, and only when, a stored cell changes.

    Reads the JSON of each cell only.
    """
    digest = hashlib.sha256()
    for cell in list_cells(home):
        try:
            content = read_meta(cells_folder(home) / cell)["fingerprint"]
        except (DataError, KeyError):
            content = "unreadable"
        digest.update(f"{cell} {FORMAT_VERSION} {content}\n".encode())
    return digest.hexdigest()


def cells_folder(home: str | Path | None = None) -> Path:
    """Folder that holds one folder a cell type."""
    return (Path(home) if home is not None else data_home()) / "cells"


def is_current(cell: str, home: str | Path | None = None) -> bool:
    """Whether `cell` is stored, and by this version of the format."""
    try:
        read_meta(cells_folder(home) / cell)
    except DataError:
        return False
    return True


def read_meta(folder: Path) -> dict:
    """The JSON of one stored cell type.

    Raises DataError if it cannot be read or was written by another version; the message says how to
    rebuild.
    """
    rebuild = (
        f"Delete {folder} and store the cell again:"
        f" `python -m dc2lib.datasets --cells {folder.name}`."
    )
    try:
        meta = json.loads((folder / META).read_text(encoding="utf-8"))
        version = meta["format_version"]
    except (OSError, ValueError, KeyError, TypeError):
        raise DataError(f"{folder / META} is missing or unreadable. {rebuild}") from None
    if version != FORMAT_VERSION:
        raise DataError(
            f"{folder} was written in format {version!r}, and this dc2lib reads format"
            f" {FORMAT_VERSION}. {rebuild}"
        )
    return meta


@contextmanager
def temporary_folder(folder: Path, name: str) -> Iterator[Path]:
    """A folder beside the final ones, gone when the block ends, however it ends."""
    sweep(folder)
    owner = f"{socket.gethostname()}-{os.getpid()}"
    temporary = folder / f".tmp-{owner}-{name}-{secrets.token_hex(4)}"
    temporary.mkdir()
    try:
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def explain_full_disk(folder: Path, needed: int | None = None) -> Iterator[None]:
    """Turn "no space left on device" into a DataError that says what is free and needed."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise full_disk(folder, needed) from None


def full_disk(folder: Path, needed: int | None = None) -> DataError:
    """The error for a disk that has no room for `needed` more bytes in `folder`."""
    free = shutil.disk_usage(folder).free / 2**20
    wanted = f" and {needed / 2**20:,.0f} MiB are needed" if needed else ""
    return DataError(
        f"The disk of {folder} is full: {free:,.0f} MiB are free{wanted}. Free some space, or set"
        " DC2LIB_DATA to a folder on a larger disk, and run the same command again."
    )


def sweep(folder: Path) -> None:
    """Remove what an earlier process on this machine left when it was killed."""
    start = f".tmp-{socket.gethostname()}-"
    for left in folder.glob(f"{start}*"):
        owner = left.name.removeprefix(start).partition("-")[0]
        if owner.isdigit() and not _runs(int(owner)):
            shutil.rmtree(left, ignore_errors=True)


def _runs(process: int) -> bool:
    try:
        if os.name != "nt":  # there it would end the process
            os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _write_array(path: Path, values: np.ndarray) -> dict[str, object]:
    with open(path, "wb") as file:
        np.lib.format.write_array(file, np.ascontiguousarray(values), allow_pickle=False)
    shape, dtype = list(values.shape), values.dtype.str
    return {"shape": shape, "dtype": dtype, "sha256": file_digest(path)}


def file_digest(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _open_array(folder: Path, name: str, about: Mapping[str, object]) -> np.ndarray:
    if name not in PER_GENE:
        raise DataError(f"{folder / META} names an unknown array {name!r}.")
    path = folder / f"{name}.npy"
    rebuild = f"Delete {folder} and run `python -m dc2lib.datasets --cells {folder.name}`."
    try:
        state = path.stat()
        key = (str(path.resolve()), state.st_mtime_ns, state.st_size)
        if key not in _verified and file_digest(path) != about["sha256"]:
            raise DataError(f"{path} does not have the digest noted when it was stored. {rebuild}")
        values = np.load(path, mmap_mode="r" if name == "counts" else None, allow_pickle=False)
    except DataError:
        raise
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path} cannot be read ({error}). {rebuild}") from None
    if list(values.shape) != about["shape"] or values.dtype.str != about["dtype"]:
        raise DataError(f"{path} is not the array that {META} describes. {rebuild}")
    _verified.add(key)
    values.flags.writeable = False
    return values
