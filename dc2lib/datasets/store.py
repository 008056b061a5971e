"""The store on disk: one folder a cell type, memory-mapped arrays beside a small JSON.

A cell type is written to a temporary folder and renamed, so a folder with a name is complete; one
that it replaces stands aside until then, and is put back if the process is killed between.
Opening one cell type reads no other. What it holds is checked against its SHA-256 when a process
first opens it, and again only if a file changes.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import secrets
import shutil
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np

try:
    import fcntl
except ImportError:  # no such locks on Windows
    fcntl = None

import dc2lib
from dc2lib.datasets.histone import PER_GENE, HistoneDataset, check_cell_name
from dc2lib.datasets.rpkm import suggestion
from dc2lib.errors import DataError
from dc2lib.files import data_home, input_file

FORMAT_VERSION = 1
META = "meta.json"
FILL = "Fill the store with `make data` or `python -m dc2lib.datasets`."

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
NUMPY_FULL = re.compile(r"\d+ requested and \d+ written")  # it leaves out the errno
OLD = ".old-"

_verified: set[tuple] = set()


def list_cells(home: str | Path | None = None) -> list[str]:
    """Names of the stored cell types, sorted."""
    folder = cells_folder(home)
    with explained(folder):
        entries = list(folder.iterdir()) if folder.is_dir() else []
        if any(entry.name.startswith(OLD) for entry in entries):
            with suppress(DataError, OSError):  # a store that cannot be written
                put_back(folder)
            entries = list(folder.iterdir())
    return sorted(
        entry.name
        for entry in entries
        if not entry.name.startswith(".") and os.path.lexists(entry / META)
    )


def cell_stamp(cell: str, home: str | Path | None = None) -> int:
    """Changes when a stored cell type is written again: nanoseconds of its last writing.

    Raises FileNotFoundError if the cell type is not stored.
    """
    return (cells_folder(home) / cell / META).stat().st_mtime_ns


def open_cell(cell: str, home: str | Path | None = None) -> HistoneDataset:
    """Open one stored cell type, its counts memory-mapped and read-only.

    Raises DataError if the cell is not stored, it does not hold what was stored (the message names
    the file), or the store was written by another version.
    """
    known = list_cells(home)
    if cell not in known:
        advice = suggestion(cell, known) if known else " The store is empty."
        raise DataError(f"No cell type {cell!r} in the store {cells_folder(home)}.{advice} {FILL}")
    folder = cells_folder(home) / cell
    meta = read_meta(folder)
    rebuild = _rebuild(folder)
    try:
        arrays = {name: _open_array(folder, name, one) for name, one in meta["arrays"].items()}
        states = tuple(_state(folder / f"{name}.npy") for name in arrays)
        dataset = HistoneDataset(
            cell=meta["cell"], marks=tuple(meta["marks"]), source=meta["source"],
            unit=meta.get("unit", "reads"), rpkm_median_text=meta["rpkm_median_text"], **arrays,
        )  # fmt: skip
        opened = (_state(folder / META), states)
        whole = opened in _verified or dataset.fingerprint == meta["fingerprint"]
        as_stored = meta["cell"] == cell
    except DataError:
        raise
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise DataError(f"{folder / META} lacks something ({error!r}). {rebuild}") from None
    except OSError as error:
        raise DataError(f"{folder} cannot be read ({error}). {rebuild}") from None
    if not as_stored:
        raise DataError(f"{folder} holds {meta['cell']}, not {cell}: give it its name back.")
    if not whole:
        raise _changed(folder, meta, rebuild)
    _verified.add(opened)
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
    folder = made_folder(cells_folder(home))
    given = {name: getattr(dataset, name) for name in PER_GENE}
    given = {name: values for name, values in given.items() if values is not None}
    needed = sum(values.nbytes for values in given.values())
    with explained(folder, needed), temporary_folder(folder, dataset.cell) as temporary:
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
        target, old = folder / dataset.cell, folder / f"{OLD}{dataset.cell}"
        put_back(folder)
        with locked(folder):  # a look from outside may fall between another process's two renames
            if os.path.lexists(target) and not target.is_dir():
                raise DataError(
                    f"{target} is in the way, and is no folder of a cell type; remove it."
                )
            if os.path.lexists(old):
                raise DataError(
                    f"{old} is an older {dataset.cell} that could not be removed; remove it."
                )
            if target.exists():  # and must not be lost for one that a power cut leaves in pieces
                for part in (*temporary.iterdir(), temporary):
                    sync(part)
                os.replace(target, old)
            os.replace(temporary, target)
            if old.exists():
                sync(folder)
                _remove(old)
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
    """Folder that holds one folder a cell type; DataError if the home of the store is no folder."""
    return usable_home(usable_home(home) / "cells")


def usable_home(home: str | Path | None = None) -> Path:
    """The folder of all data, which need not exist; DataError if something else is in its place."""
    try:
        path = Path(home) if home is not None else data_home()
        places = (path, *path.absolute().parents)
        if path.is_dir() or next(filter(os.path.lexists, places)).is_dir():
            return path
        reason = "it is no folder"
    except DataError:
        raise
    except (OSError, RuntimeError, ValueError) as error:
        reason = str(error)
        path = os.environ.get("DC2LIB_DATA", "") if home is None else home
    raise DataError(
        f"The data cannot lie in {str(path)[:200]}: {reason[:200]}. Set DC2LIB_DATA, or --home, to"
        " a folder."
    )


def made_folder(folder: Path) -> Path:
    """The folder, made where it is missing; DataError if that is not possible."""
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
    return folder


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
    rebuild = _rebuild(folder)
    try:
        meta = json.loads(input_file(folder / META).read_text(encoding="utf-8"))
        version = meta["format_version"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        raise DataError(f"{folder / META} is missing or unreadable. {rebuild}") from None
    if version != FORMAT_VERSION:
        raise DataError(
            f"{folder} was written in format {version!r}, and this dc2lib reads format"
            f" {FORMAT_VERSION}. {rebuild}"
        )
    return meta


def _rebuild(folder: Path) -> str:
    return (
        f"Delete {folder} and store the cell again: `python -m dc2lib.datasets --cells"
        f" {folder.name}`, or the command that stored it."
    )


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
def explained(folder: Path, needed: int | None = None) -> Iterator[None]:
    """What the system refuses, as a DataError: a full disk with what is free and needed, others by
    the name of the file."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL or (error.errno is None and NUMPY_FULL.search(str(error))):
            raise full_disk(folder, needed) from None
        if error.errno is None or error.filename is None:
            raise
        where, home = Path(os.fsdecode(error.filename)).absolute(), folder.absolute()
        advice = "Let it be read, or name another."  # something that was to be read into the store
        if home in (where, *where.parents) or where in home.parents:
            advice = (
                "Take another folder (DC2LIB_DATA, or --home), or let this one be read and written."
            )
        name = str(where)[:200]
        raise DataError(f"{name} cannot be used: {error.strerror}. {advice}") from None


@contextmanager
def locked(folder: Path, waiting: str = "") -> Iterator[None]:
    """Wait until no other process is in such a block of this folder; it ends with its process.

    `waiting` is said, on standard error, if there is something to wait for.
    """
    lock = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o666)  # not even a pipe holds it up
    try:
        if fcntl is not None:
            with suppress(OSError):  # a file system without locks
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    if waiting:
                        print(waiting, file=sys.stderr, flush=True)
                    fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def sync(path: Path) -> None:
    """Have a file or folder on the disk itself, so that what is renamed survives a power cut."""
    with suppress(PermissionError):  # folders cannot be opened everywhere
        place = os.open(path, os.O_RDONLY)
        try:
            os.fsync(place)
        finally:
            os.close(place)


def put_back(folder: Path) -> None:
    """Give a cell type its place back whose successor did not come, as its process was killed."""
    if not any(folder.glob(f"{OLD}*")):
        return
    with locked(folder):
        for old in folder.glob(f"{OLD}*"):
            target = folder / old.name.removeprefix(OLD)
            if target.exists():
                _remove(old)
            else:
                os.replace(old, target)


def _remove(folder: Path) -> None:
    """Remove a folder of a cell type, as far as that is possible, also one that was read-only."""
    with suppress(OSError):
        folder.chmod(0o700)
    shutil.rmtree(folder, ignore_errors=True)


def full_disk(folder: Path, needed: int | None = None) -> DataError:
    """The error for a disk that has no room for `needed` more bytes in `folder`."""
    there = next(one for one in (folder, *folder.absolute().parents) if one.exists())
    free = shutil.disk_usage(there).free / 2**20
    wanted = f" and {needed / 2**20:,.0f} MiB are needed" if needed else ""
    return DataError(
        f"The disk of {folder} is full: {free:,.0f} MiB are free{wanted}. Free some space, or set"
        " DC2LIB_DATA to a folder on a larger disk, and run the same command again. Where enough"
        " is free, a quota or a limit on the size of files (ulimit -f) is reached."
    )


def sweep(folder: Path) -> None:
    """Remove, or put back, what an earlier process left when it was killed."""
    put_back(folder)
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


def _state(path: Path) -> tuple[str, int, int]:
    state = path.stat()  # the time that only the system sets
    return str(path.resolve()), state.st_ctime_ns, state.st_size


def _open_array(folder: Path, name: str, about: Mapping[str, object]) -> np.ndarray:
    if name not in PER_GENE:
        raise DataError(f"{folder / META} names an unknown array {name!r}. {_rebuild(folder)}")
    path = folder / f"{name}.npy"
    try:
        input_file(path)
        values = np.load(path, mmap_mode="r" if name == "counts" else None, allow_pickle=False)
    except Exception as error:  # whatever a damaged header makes NumPy meet
        raise DataError(f"{path} cannot be read ({error}). {_rebuild(folder)}") from None
    if list(values.shape) != about["shape"] or values.dtype.str != about["dtype"]:
        raise DataError(f"{path} is not the array that {META} describes. {_rebuild(folder)}")
    values.flags.writeable = False
    return values


def _changed(folder: Path, meta: Mapping, rebuild: str) -> DataError:
    """The error for a cell type that is not what was stored: which file was changed."""
    paths = [folder / f"{name}.npy" for name in meta["arrays"]]
    wrong = [p for p in paths if file_digest(p) != meta["arrays"][p.stem].get("sha256")]
    path = wrong[0] if wrong else folder / META
    return DataError(f"{path} does not have the digest noted when it was stored. {rebuild}")
