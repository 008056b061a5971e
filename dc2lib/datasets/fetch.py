"""Downloads: resumed after an interruption, renamed when whole, checked by their digest.

A file from upstream must have the digest that its repository publishes, where there is one.  For
all others the SHA-256 is noted when the file first comes, and must stay the same.  A mirror is a
folder or a base URL; a file is found there by its name, directly or one folder below.

>>> ARCHIVE = RemoteFile("data.tar.gz", "https://zenodo.org/...", "roadmap")
>>> path = fetch(ARCHIVE, mirror="/mnt/mirror")  # doctest: +SKIP
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
import time
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import requests
import urllib3
from tqdm import tqdm

from dc2lib.datasets.store import explained, file_digest, full_disk
from dc2lib.errors import DataError
from dc2lib.files import atomic_write, data_home

NOTES = "digests.json"
ATTEMPTS = 5
PAUSE = 0.5
TIMEOUT = (15, 60)
BLOCK = 2**18
HEADERS = {"Accept-Encoding": "identity", "User-Agent": "dc2lib"}
INTERRUPTIONS = (
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,
    urllib3.exceptions.HTTPError,
)


class NotThereError(DataError):
    """The server has no such file."""


@dataclass(frozen=True)
class RemoteFile:
    """A gzipped file upstream, and the folder in which a mirror may keep it.

    `doi` is that of the record, in a repository such as Zenodo, which publishes its digest.
    """

    name: str
    url: str
    folder: str
    doi: str | None = None


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
    """Have `file` on this disk and return its path; a damaged copy is replaced.

    Raises DataError if the file cannot be had whole, is an HTML page, or does not have its digest.

    Parameters
    ----------
    mirror
        Folder or base URL to take the file from; default upstream.
    progress
        Show a progress bar where the output is a terminal.
    in_place
        Use a file of a mirror folder where it lies, without a copy; its digest is noted too.
    any_source
        Without `mirror`, accept a copy that came from a mirror earlier.
    refetch
        Forget the copy and its digest first.
    """
    folder = downloads_folder(home)
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / file.name
    sources = _sources(file, mirror)
    if refetch:
        _forget(target, sources)
    if in_place and isinstance(sources[0], Path):
        return _in_place(sources[0], folder)
    notes = _notes(folder)
    source = notes["sources"].get(file.name)
    usable = source in map(str, sources) or (any_source and not mirror)
    if target.is_file() and usable and _intact(target, notes):
        return target
    for source in sources[:-1]:
        with suppress(NotThereError):
            return _take(file, source, target, progress)
    return _take(file, sources[-1], target, progress)


def verified(path: str | Path) -> Path:
    """The path itself, once the file there has the digest noted when it came.

    Raises DataError if it is missing or its digest differs.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path} is missing; download it with `make data`.")
    if not _intact(path, _notes(path.parent)):
        raise _wrong_digest(path)
    return path


def mirror_holds(file: RemoteFile, mirror: str | None) -> bool:
    """Whether a mirror, folder or address, has the file."""
    if not mirror:
        return False
    if not _is_url(mirror):
        return any(_places(file, Path(mirror).expanduser()))
    return any(_answers(address) for address in _sources(file, mirror))


def check_not_html(start: bytes, source: Path | str) -> None:
    """Raise DataError if what begins so is a web page and not the data at `source`."""
    start = start.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<!doctype", b"<html", b"<?xml")):
        raise DataError(
            f"{source} is an HTML page, not the file: a login, consent or error page, most likely."
            " Open the address in a browser, or take the file from a mirror: `make data"
            " MIRROR=...`."
        )


def _is_url(mirror: str) -> bool:
    return mirror.startswith(("http://", "https://"))


def _sources(file: RemoteFile, mirror: str | None) -> list[str] | list[Path]:
    """Addresses to try one after the other, or the file in a mirror folder."""
    if not mirror:
        return [file.url]
    if _is_url(mirror):
        base = mirror.rstrip("/")
        return [f"{base}/{file.folder}/{file.name}", f"{base}/{file.name}"]
    folder = Path(mirror).expanduser()
    if not folder.is_dir():
        raise DataError(f"The mirror {mirror} is neither a folder nor an http(s) address.")
    place = next(_places(file, folder), None)
    if place is None:
        raise DataError(
            f"The mirror {folder} has no {file.name}, neither there nor one folder below;"
            f" expected {folder / file.folder / file.name}."
        )
    with open(place, "rb") as start:
        check_not_html(start.read(512), place)
    return [place.resolve()]


def _places(file: RemoteFile, mirror: Path) -> Iterator[Path]:
    tried = (mirror / file.name, mirror / file.folder / file.name, *mirror.glob(f"*/{file.name}"))
    return (place for place in tried if place.is_file())


def _answers(address: str) -> bool:
    try:
        response = requests.head(address, timeout=TIMEOUT, allow_redirects=True)
    except requests.RequestException:
        return False
    return response.ok and not response.headers.get("Content-Type", "").startswith("text/html")


def _in_place(source: Path, folder: Path) -> Path:
    """A file of a mirror folder, once it has the digest that it had when it was first used."""
    notes = _notes(folder)
    digest = file_digest(source)
    if notes["digests"].setdefault(str(source), digest) != digest:
        raise _wrong_digest(source)
    _save_notes(folder, notes)
    return source


def _take(file: RemoteFile, source: str | Path, target: Path, progress: bool) -> Path:
    """Bring the file to `target`, once it is whole and has its digest, and note that."""
    notes = _notes(target.parent)
    digest = _published_digest(file) if source == file.url else None
    digest = digest or notes["digests"].get(str(source))
    if isinstance(source, Path):
        part = target.with_name(f"{target.name}.copy.part")
        with explained(part.parent, source.stat().st_size):
            shutil.copyfile(source, part)
    else:
        part = _downloaded(source, target, progress)
    if not _matches(part, digest):
        _drop_parts(target)
        raise _wrong_digest(source)
    notes["digests"][str(source)] = file_digest(part)
    notes["sources"][target.name] = str(source)
    _save_notes(target.parent, notes)
    os.replace(part, target)
    _drop_parts(target)
    return target


def _pooch() -> ModuleType:
    """pooch, imported where it is needed: in a notebook's kernel without widgets it warns."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pooch.hashes
    return pooch


def _published_digest(file: RemoteFile) -> str | None:
    """The digest that a file's repository publishes; a warning where it does not answer."""
    if file.doi is None:
        return None
    repository = _pooch().create(path=".", base_url=f"doi:{file.doi}/")
    try:
        repository.load_registry_from_doi()
        return repository.registry[file.name]
    except (requests.RequestException, ValueError, KeyError) as error:
        warnings.warn(f"{file.doi} does not tell the digest of {file.name}: {error}", stacklevel=4)
        return None


def _matches(path: Path, digest: str | None) -> bool:
    """Whether a file has a digest: SHA-256, or another with the name of its algorithm before it."""
    return _pooch().hashes.hash_matches(path, digest)


def _notes(folder: Path) -> dict[str, dict[str, str]]:
    """SHA-256 of files by the address that they came from, and that address by name."""
    path = folder / NOTES
    if not path.is_file():
        return {"digests": {}, "sources": {}}
    try:
        notes = json.loads(path.read_text(encoding="utf-8"))
        return {"digests": dict(notes["digests"]), "sources": dict(notes["sources"])}
    except (ValueError, KeyError, TypeError):
        raise DataError(f"{path} is unreadable; delete it and run `make data` again.") from None


def _save_notes(folder: Path, notes: dict[str, dict[str, str]]) -> None:
    with atomic_write(folder / NOTES) as unfinished:
        unfinished.write_text(json.dumps(notes, indent=1, sort_keys=True), encoding="utf-8")


def _intact(path: Path, notes: dict[str, dict[str, str]]) -> bool:
    return _matches(path, notes["digests"].get(notes["sources"].get(path.name, "")))


def _wrong_digest(source: str | Path) -> DataError:
    return DataError(
        f"{source} has the wrong digest, another than is published or than it had when it first"
        " came. It is damaged, or was replaced. To take it anew: `python -m dc2lib.datasets"
        " --refetch`, with --mirror as before."
    )


def _forget(target: Path, sources: list[str] | list[Path]) -> None:
    notes = _notes(target.parent)
    for source in (notes["sources"].pop(target.name, ""), *map(str, sources)):
        notes["digests"].pop(source, None)
    _save_notes(target.parent, notes)
    _drop_parts(target)
    target.unlink(missing_ok=True)


def _downloaded(address: str, target: Path, progress: bool) -> Path:
    """A file with all of what is at the address, tried again where the last try stopped."""
    problem: Exception | None = None
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(PAUSE * 2 ** (attempt - 1))
        try:
            return _receive(address, target, progress)
        except INTERRUPTIONS as error:
            problem = error
        except DataError:
            _drop_parts(target)
            raise
        except requests.RequestException as error:
            raise DataError(f"{address} cannot be fetched: {error}") from None
    received = sum(part.stat().st_size for part in _parts(target)) / 2**20
    raise DataError(
        f"{address} did not come whole after {ATTEMPTS} attempts ({problem}). {received:,.1f} MiB"
        " are kept: run the same command again and the download goes on from there, or take the"
        " file from a mirror: `make data MIRROR=...`."
    )


def _receive(address: str, target: Path, progress: bool) -> Path:
    """One try: the name of the part says of which content it is, so that it is found again.

    One request at a time, since a server may answer no second one before the first has ended.
    """
    latest = max(_parts(target), key=lambda part: part.stat().st_mtime_ns, default=None)
    start = latest.stat().st_size if latest is not None else 0
    if start:
        with _answer(address, start) as answer:
            part, total = _part(address, answer, target)
            goes_on = answer.status_code == 206 and part == latest and total is not None
            if goes_on or answer.status_code == 200:
                return _whole(answer, part, start if goes_on else 0, total, progress)
        if answer.status_code == 416:
            latest.unlink(missing_ok=True)
    with _answer(address) as answer:
        part, total = _part(address, answer, target)
        return _whole(answer, part, 0, total, progress)


def _part(address: str, answer: requests.Response, target: Path) -> tuple[Path, int | None]:
    """Where what the address has now is gathered, and its whole length in bytes."""
    get = answer.headers.get
    length = (get("Content-Range") or get("Content-Length") or "").rpartition("/")[2]
    total = int(length) if length.isdigit() else None
    content = f"{address} {get('ETag')} {get('Last-Modified')} {total}"
    name = hashlib.sha256(content.encode()).hexdigest()[:16]
    return target.with_name(f"{target.name}.{name}.part"), total


def _whole(
    answer: requests.Response, part: Path, start: int, total: int | None, progress: bool
) -> Path:
    """The part, once all of the content is there; ConnectionError if the answer ended early."""
    _write(answer, part, start, total, progress)
    received = part.stat().st_size
    if total is None:
        _check_gzip_ends(part)
    elif received != total:
        raise requests.ConnectionError(f"{received:,} of {total:,} bytes came")
    return part


@contextmanager
def _answer(address: str, start: int = 0) -> Iterator[requests.Response]:
    """What the server answers, from byte `start` on; 416 is no error where a start was given."""
    headers = HEADERS | ({"Range": f"bytes={start}-"} if start else {})
    with requests.get(address, headers=headers, stream=True, timeout=TIMEOUT) as response:
        code = response.status_code
        if code in (404, 410):
            raise NotThereError(
                f"{address} does not exist (HTTP {code}); check the address or mirror."
            )
        if code == 429 or code >= 500:
            raise requests.ConnectionError(f"the server answered HTTP {code}")
        if code >= 400 and not (code == 416 and start):
            raise DataError(f"{address} was refused (HTTP {code}); check the address or mirror.")
        if code < 400 and response.headers.get("Content-Type", "").startswith("text/html"):
            check_not_html(b"<html", address)
        yield response


def _write(
    response: requests.Response, part: Path, start: int, total: int | None, progress: bool
) -> None:
    if total is not None and total - start > shutil.disk_usage(part.parent).free:
        raise full_disk(part.parent, total - start)
    bar = tqdm(
        total=total, initial=start, unit="B", unit_scale=True, desc=part.name.rsplit(".", 2)[0],
        disable=None if progress else True,
    )  # fmt: skip
    with bar, explained(part.parent, total), open(part, "ab" if start else "wb") as file:
        for block in response.raw.stream(BLOCK, decode_content=False):
            if file.tell() == 0:
                check_not_html(block[:512], response.url)
            file.write(block)
            bar.update(len(block))


def _parts(target: Path) -> list[Path]:
    return list(target.parent.glob(f"{target.name}.*part*"))


def _drop_parts(target: Path) -> None:
    for part in _parts(target):
        part.unlink(missing_ok=True)


def _check_gzip_ends(part: Path) -> None:
    """Where the server does not say the length, the file itself says whether it is whole."""
    try:
        with gzip.open(part) as file:
            while file.read(BLOCK):
                pass
    except (EOFError, OSError, zlib.error) as error:
        part.unlink()
        raise requests.ConnectionError(f"it is truncated or corrupt: {error}") from None
