"""Where files lie, and files that are there whole or not at all."""

from __future__ import annotations

import gzip
import hashlib
import os
import re
import secrets
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import platformdirs

from dc2lib.errors import DataError

NO_FOLDER = re.compile(r"^\w[\w+.-]+:/|\$[\w{(]")  # http://..., $HOME


def data_home() -> Path:
    """Folder of all data: ``$DC2LIB_DATA``, or ``dc2lib`` in the user's cache folder.

    Raises DataError if the variable names no folder, as `named_folder` says.
    """
    given = os.environ.get("DC2LIB_DATA")
    return named_folder(given) if given else Path(platformdirs.user_cache_dir("dc2lib"))


def named_folder(text: str) -> Path:
    """The folder of all data, which need not exist, that a user names; ``~`` is the user's home.

    Raises DataError for an address, a variable that no shell has replaced, or the home of a user
    who does not exist.
    """
    try:
        if NO_FOLDER.search(text):
            raise RuntimeError("it is an address, or holds a variable that no shell replaced.")
        return Path(text).expanduser()
    except RuntimeError as error:
        raise DataError(
            f"{text[:200]} is no folder for the data: {error} Set DC2LIB_DATA (--home) to one."
        ) from None


def computed_home() -> Path:
    """Folder of what is computed: `data_home`, or one beside it where that cannot be written.

    A store that is shared, read-only, has its own such folder in the user's cache folder.
    """
    home = data_home()
    there = next((one for one in (home, *home.absolute().parents) if one.exists()), home)
    if os.access(there, os.W_OK | os.X_OK):
        return home
    name = hashlib.sha256(str(home.resolve()).encode()).hexdigest()[:8]
    return Path(platformdirs.user_cache_dir("dc2lib")) / f"computed-{name}"


@contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """A temporary path beside `path`: renamed to it when the block ends, removed if it raises.

    What was at `path` before stays until then, so that no reader, and no run after a killed one,
    meets half a file.  Processes may write the same path at once; the last one stays.  The folder
    is made where it is missing; the temporary name has the same suffix (NumPy would add one that
    it misses).  Raises FileNotFoundError if the block has written nothing.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with atomic_write(Path(folder) / "genes.txt") as unfinished:
    ...         _ = unfinished.write_text("ENSG00000000003")
    ...     os.listdir(folder)
    ['genes.txt']
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.stem}.{secrets.token_hex(4)}.part{path.suffix}")
    try:
        yield unfinished
        with open(unfinished, "rb") as written:  # on the disk itself before an older file goes
            os.fsync(written.fileno())
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def input_file(path: str | Path, advice: str = "check the path") -> Path:
    """The path, once a file is there that can be read to its end: no folder, pipe or device.

    Raises DataError that says what is there instead; where nothing is, with the advice.
    """
    path = Path(path)
    try:
        mode = path.stat().st_mode
        if stat.S_ISREG(mode):
            open(path, "rb").close()
    except FileNotFoundError:
        raise DataError(f"{path} is missing; {advice}.") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{str(path)[:200]} cannot be read: {reason}; {advice}.") from None
    if stat.S_ISDIR(mode):
        raise DataError(f"{path} is a folder; expected a file.")
    if not stat.S_ISREG(mode):
        raise DataError(f"{path} is a pipe or device; expected a file: write what it gives to one.")
    return path


def text_lines(path: str | Path) -> Iterator[str]:
    """The lines of a text file, gzipped or not, one after the other.

    Raises DataError if it is missing, cut short, no text, or a web page.
    """
    with unpacked(path, "rt", encoding="utf-8-sig") as file:
        start = file.readline()
        if start.lstrip().lower().startswith(("<!doctype", "<html")):
            raise DataError(f"{path} is an HTML page; delete it and download it again.")
        yield start
        yield from file


@contextmanager
def unpacked(path: str | Path, mode: str = "rb", **options: str) -> Iterator[IO]:
    """A file opened to be read, through gzip where it is packed so, whatever it is called.

    Raises DataError if it is missing, or turns out to be cut short or no text.
    """
    path = input_file(path)
    try:
        with open(path, "rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
        with (gzip.open if packed else open)(path, mode, **options) as file:
            yield file
    except (EOFError, gzip.BadGzipFile, zlib.error, UnicodeDecodeError) as error:
        raise DataError(
            f"{path} is truncated or corrupt, or no text ({error}); get it again."
        ) from None
