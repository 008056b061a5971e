"""Downloads: resumed after an interruption, renamed when complete, checked from then on.

Upstream publishes no digests, so the SHA-256 of a file is noted when it first comes and must
stay the same. A mirror is a folder or a base URL; a file is found there by its name, directly or
one folder below.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import requests
import urllib3
from tqdm import tqdm

from dc2lib.datasets.store import explain_full_disk, full_disk
from dc2lib.errors import DataError
from dc2lib.files import data_home, replacing

NOTES = "digests.json"
ATTEMPTS = 5
PAUSE = 0.5
TIMEOUT = (15, 60)
BLOCK = 2**18
INTERRUPTIONS = (
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,
    urllib3.exceptions.HTTPError,
)


@dataclass(frozen=True)
class RemoteFile:
    """A file upstream, and the folder in which a mirror may keep it."""

    name: str
    url: str
    folder: str


class InterruptedDownloadError(Exception):
    """The server stopped early; trying again may help."""


class NotThereError(DataError):
    """The server has no such file."""


def downloads_folder(home: str | Path | None = None) -> Path:
    """Folder of the downloaded files."""
    return (Path(home) if home is not None else data_home()) / "downloads"


def fetch(
    file: RemoteFile,
    home: str | Path | None = None,
    *,
    mirror: str | None = None,
    progress: bool = True,
    in_place: bool = False,
    any_source: bool = True,
    refetch: bool = False,
) -> Path:
    """Have `file` on this disk and return its path.

    Parameters
    ----------
    file : RemoteFile
    home : path, optional
        Default :func:`dc2lib.datasets.store.data_home`.
    mirror : str, optional
        Folder or base URL to take the file from; default upstream.
    progress : bool
        Show a progress bar where the output is a terminal.
    in_place : bool
        Use a file of a mirror folder where it lies, without a copy.
    any_source : bool
        Without `mirror`, accept a copy that came from a mirror earlier.
    refetch : bool
        Forget the copy and its digest first.

    Raises
    ------
    DataError
        If the file cannot be had, is an HTML page, or does not have the digest noted earlier.
    """
    folder = downloads_folder(home)
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / file.name
    source = _in_folder(file, mirror) if mirror and not _is_url(mirror) else None
    candidates = [str(source)] if source else _addresses(file, mirror)
    if refetch:
        _forget(target, candidates)
    noted = _notes(folder)["sources"].get(file.name)
    usable = noted in candidates or (any_source and not mirror)
    if target.is_file() and usable and not (source and in_place):
        return verified(target)
    if source is None:
        address = _download_first(candidates, target, progress)
    elif in_place:
        _check_not_html(source, source)
        _note(folder, source, str(source))
        return source
    else:
        _copy(source, target)
        address = str(source)
    _finish(target, address)
    return target


def verified(path: str | Path) -> Path:
    """The path itself, once the file there has the digest noted when it first came.

    Raises
    ------
    DataError
        If it is missing or its digest differs.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path} is missing; download it with `make data`.")
    notes = _notes(path.parent)
    expected = notes["digests"].get(notes["sources"].get(path.name, ""))
    if expected and digest(path) != expected:
        raise _wrong_digest(path, expected)
    return path


def digest(path: str | Path) -> str:
    """SHA-256 of a file, in hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_html(start: bytes) -> bool:
    """Whether a file that begins so is a web page."""
    start = start.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return start.startswith((b"<!doctype", b"<html", b"<?xml"))


def mirror_holds(file: RemoteFile, mirror: str | None) -> bool:
    """Whether a mirror, folder or address, has the file."""
    if not mirror:
        return False
    if not _is_url(mirror):
        return any(_places(file, Path(mirror).expanduser()))
    return any(_answers(address) for address in _addresses(file, mirror))


def _answers(address: str) -> bool:
    try:
        response = requests.head(address, timeout=TIMEOUT, allow_redirects=True)
    except INTERRUPTIONS:
        return False
    return response.ok and not _says_html(response)


def _says_html(response: requests.Response) -> bool:
    return response.headers.get("Content-Type", "").lower().startswith("text/html")


def _is_url(mirror: str) -> bool:
    return mirror.startswith(("http://", "https://"))


def _places(file: RemoteFile, mirror: Path) -> Iterator[Path]:
    tried = (mirror / file.name, mirror / file.folder / file.name, *mirror.glob(f"*/{file.name}"))
    return (place for place in tried if place.is_file())


def _in_folder(file: RemoteFile, mirror: str) -> Path:
    folder = Path(mirror).expanduser()
    if not folder.is_dir():
        raise DataError(f"The mirror {mirror} is neither a folder nor an http(s) address.")
    found = next(_places(file, folder), None)
    if found is None:
        raise DataError(
            f"The mirror {folder} has no {file.name}, neither there nor one folder below;"
            f" expected {folder / file.folder / file.name}."
        )
    return found.resolve()


def _addresses(file: RemoteFile, mirror: str | None) -> list[str]:
    if not mirror:
        return [file.url]
    base = mirror.rstrip("/")
    return [f"{base}/{file.folder}/{file.name}", f"{base}/{file.name}"]


def _notes(folder: Path) -> dict[str, dict[str, str]]:
    path = folder / NOTES
    if not path.is_file():
        return {"digests": {}, "sources": {}}
    try:
        notes = json.loads(path.read_text(encoding="utf-8"))
        return {"digests": dict(notes["digests"]), "sources": dict(notes["sources"])}
    except (ValueError, KeyError, TypeError):
        raise DataError(f"{path} is unreadable; delete it and run `make data` again.") from None


def _save_notes(folder: Path, notes: dict[str, dict[str, str]]) -> None:
    with replacing(folder / NOTES) as unfinished:
        unfinished.write_text(json.dumps(notes, indent=1, sort_keys=True), encoding="utf-8")


def _note(folder: Path, path: Path, address: str) -> None:
    notes, found = _notes(folder), digest(path)
    expected = notes["digests"].get(address, found)
    if expected != found:
        raise _wrong_digest(path, expected)
    notes["digests"][address] = found
    _save_notes(folder, notes)


def _wrong_digest(path: Path, expected: str) -> DataError:
    return DataError(
        f"{path} has the wrong digest: SHA-256 {digest(path)[:16]}..., and {expected[:16]}..."
        " when it first came. It is damaged, or was replaced. To take it anew:"
        " `python -m dc2lib.datasets --refetch`, with --mirror as before."
    )


def _forget(target: Path, addresses: list[str]) -> None:
    notes = _notes(target.parent)
    for address in (notes["sources"].pop(target.name, ""), *addresses):
        notes["digests"].pop(address, None)
    _save_notes(target.parent, notes)
    _drop_part(target)
    target.unlink(missing_ok=True)


def _part(target: Path) -> Path:
    return target.with_name(f"{target.name}.part")


def _state(target: Path) -> Path:
    return target.with_name(f"{target.name}.part.json")


def _drop_part(target: Path) -> None:
    _part(target).unlink(missing_ok=True)
    _state(target).unlink(missing_ok=True)


def _finish(target: Path, address: str) -> None:
    part = _part(target)
    try:
        _note(target.parent, part, address)
    except DataError:
        _drop_part(target)
        raise
    os.replace(part, target)
    _state(target).unlink(missing_ok=True)
    notes = _notes(target.parent)
    notes["sources"][target.name] = address
    _save_notes(target.parent, notes)


def _copy(source: Path, target: Path) -> None:
    _check_not_html(source, source)
    _drop_part(target)
    try:
        with explain_full_disk(target.parent, source.stat().st_size):
            shutil.copyfile(source, _part(target))
    except BaseException:
        _drop_part(target)
        raise


def _check_not_html(path: Path, source: Path | str) -> None:
    with open(path, "rb") as file:
        if is_html(file.read(512)):
            raise _html(source)


def _html(source: Path | str) -> DataError:
    return DataError(
        f"{source} is an HTML page, not the file: a login, consent or error page, most likely."
        " Open the address in a browser, or take the file from a mirror: `make data MIRROR=...`."
    )


def _download_first(addresses: list[str], target: Path, progress: bool) -> str:
    for address in addresses[:-1]:
        try:
            _download(address, target, progress)
        except NotThereError:
            continue
        return address
    _download(addresses[-1], target, progress)
    return addresses[-1]


def _download(address: str, target: Path, progress: bool) -> None:
    problem: Exception | None = None
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(PAUSE * 2 ** (attempt - 1))
        try:
            return _receive(address, target, progress)
        except (InterruptedDownloadError, *INTERRUPTIONS) as error:
            problem = error
    part = _part(target)
    kept = part.stat().st_size / 2**20 if part.exists() else 0
    raise DataError(
        f"{address} did not come whole after {ATTEMPTS} attempts ({problem}). {kept:,.1f} MiB are"
        " kept: run the same command again and the download goes on from there, or take the file"
        " from a mirror: `make data MIRROR=...`."
    )


def _receive(address: str, target: Path, progress: bool) -> None:
    part = _part(target)
    before = _resumable(target, address)
    offset = part.stat().st_size if before else 0
    headers = {"Accept-Encoding": "identity", "User-Agent": "dc2lib"}
    if offset:
        headers["Range"] = f"bytes={offset}-"
    with requests.get(address, headers=headers, stream=True, timeout=TIMEOUT) as response:
        if offset and not _continues(response, offset, before):
            if response.status_code in (206, 416):
                _drop_part(target)
                raise InterruptedDownloadError("the file changed upstream; starting anew")
            offset = 0
        _check_status(response, address)
        length = response.headers.get("Content-Length", "")
        total = offset + int(length) if length.isdigit() else None
        _check_space(target, total, offset)
        state = {"url": address, "total": total, **_identity(response)}
        _state(target).write_text(json.dumps(state), encoding="utf-8")
        _write(response, target, offset, total, progress, address)
    received = part.stat().st_size
    if total is not None and received != total:
        raise InterruptedDownloadError(f"{received:,} of {total:,} bytes came")


def _resumable(target: Path, address: str) -> dict | None:
    try:
        state = json.loads(_state(target).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if state.get("url") != address or not _part(target).is_file():
        return None
    size = _part(target).stat().st_size
    return state if state.get("total") and 0 < size < state["total"] else None


def _identity(response: requests.Response) -> dict[str, str | None]:
    return {name: response.headers.get(name) for name in ("ETag", "Last-Modified")}


def _continues(response: requests.Response, offset: int, before: dict) -> bool:
    expected = f"bytes {offset}-{before['total'] - 1}/{before['total']}"
    if response.status_code != 206 or response.headers.get("Content-Range") != expected:
        return False
    return all(before.get(name) == value for name, value in _identity(response).items())


def _check_status(response: requests.Response, address: str) -> None:
    code = response.status_code
    if code in (404, 410):
        raise NotThereError(f"{address} does not exist (HTTP {code}); check the address or mirror.")
    if code == 429 or code >= 500:
        raise InterruptedDownloadError(f"the server answered HTTP {code}")
    if code >= 400:
        raise DataError(f"{address} was refused (HTTP {code}); check the address or mirror.")
    if _says_html(response):
        raise _html(address)


def _check_space(target: Path, total: int | None, offset: int) -> None:
    if total is not None and total - offset > shutil.disk_usage(target.parent).free:
        _drop_part(target)
        raise full_disk(target.parent, total - offset)


def _write(
    response: requests.Response,
    target: Path,
    offset: int,
    total: int | None,
    progress: bool,
    address: str,
) -> None:
    bar = tqdm(
        total=total,
        initial=offset,
        unit="B",
        unit_scale=True,
        desc=target.name,
        disable=None if progress else True,
    )
    try:
        with bar, open(_part(target), "ab" if offset else "wb") as file:
            for block in response.raw.stream(BLOCK, decode_content=False):
                if not offset and file.tell() == 0 and is_html(block[:512]):
                    raise _html(address)
                file.write(block)
                bar.update(len(block))
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        _drop_part(target)
        raise full_disk(target.parent, total) from None
    except DataError:
        _drop_part(target)
        raise
