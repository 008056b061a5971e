"""Downloads: resumed after an interruption, renamed when whole, checked by their digest.

A file from upstream must have the digest that its repository publishes, where there is one.  All
others are read once when they first come; then their SHA-256 is noted, and must stay the same.
Processes that fetch into one folder do so one after the other.  A mirror is a
folder or a base URL; a file is found there by its name, directly or one folder below.

>>> ARCHIVE = RemoteFile("data.tar.gz", "https://zenodo.org/...", "roadmap")
>>> path = fetch(ARCHIVE, mirror="/mnt/mirror")  # doctest: +SKIP
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import re
import shutil
import time
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import requests
import urllib3
from tqdm import tqdm

from dc2lib.datasets.store import (
    explained,
    file_digest,
    full_disk,
    locked,
    made_folder,
    sync,
    usable_home,
)
from dc2lib.errors import DataError
from dc2lib.files import atomic_write, input_file

NOTES = "digests.json"
PART = re.compile(r"\.([0-9a-f]{16}|copy)\.part$")
LENGTH = re.compile(r"\d{1,18}", re.ASCII)
WAITING = "another process downloads into the same folder: waiting for it"
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
NO_ADDRESS = (ValueError, urllib3.exceptions.LocationValueError)  # of requests and urllib3 too

Check = Callable[[Path], object]


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
    return usable_home(usable_home(home) / "downloads")


def fetch(
    file: RemoteFile,
    home: str | Path | None = None,
    *,
    mirror: str | None = None,
    progress: bool = True,
    in_place: bool = False,
    any_source: bool = True,
    refetch: bool = False,
    check: Check | None = None,
) -> Path:
    """Have `file` on this disk and return its path; a damaged copy is replaced.

    Raises DataError if the file cannot be had whole, is an HTML page, is not what `check` expects,
    or does not have its digest. What was there before stays then.

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
        Take it anew, whatever is here and noted.
    check
        Reads a file that comes for the first time, and raises DataError if it is not what it should
        be; default: that it is gzipped, and whole.
    """
    check = check or _check_gzip_ends
    folder = made_folder(downloads_folder(home))
    target = folder / file.name
    sources = _sources(file, mirror)
    with explained(folder), locked(folder, WAITING):
        if in_place and isinstance(sources[0], Path):
            return _in_place(sources[0], folder, check, refetch)
        notes = _notes(folder)
        source = notes["sources"].get(file.name)
        usable = not refetch and (source in map(str, sources) or (any_source and not mirror))
        usable &= not isinstance(sources[0], Path)  # which is here, and may have been replaced
        if target.is_file() and usable and _intact(target, notes):
            return target
        if refetch:
            _drop_parts(target)
        for source in sources[:-1]:
            with suppress(NotThereError):
                return _take(file, source, target, progress, check, refetch)
        return _take(file, sources[-1], target, progress, check, refetch)


def verified(path: str | Path) -> Path:
    """The path itself, once the file there has the digest noted when it came.

    Raises DataError if it is missing or its digest differs.
    """
    path = input_file(path, "download it with `make data`")
    if not _intact(path, _notes(path.parent)):
        raise _wrong_digest(path)
    return path


def mirror_holds(file: RemoteFile, mirror: str | None) -> bool:
    """Whether a mirror, folder or address, has the file."""
    if not mirror:
        return False
    if not _is_url(mirror):
        return any(_places(file, _mirror_folder(mirror)))
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
    return mirror.lower().startswith(("http://", "https://"))


def _sources(file: RemoteFile, mirror: str | None) -> list[str] | list[Path]:
    """Addresses to try one after the other, or the file in a mirror folder."""
    if not mirror:
        return [file.url]
    if _is_url(mirror):
        base = mirror.rstrip("/")
        return [f"{base}/{file.folder}/{file.name}", f"{base}/{file.name}"]
    folder = _mirror_folder(mirror)
    if not folder.is_dir():
        raise DataError(f"The mirror {mirror} is neither a folder nor an http(s) address.")
    place = next(_places(file, folder), None)
    if place is None:
        raise DataError(
            f"The mirror {folder} has no {file.name}, neither there nor one folder below;"
            f" expected {folder / file.folder / file.name}."
        )
    with open(input_file(place), "rb") as start:
        check_not_html(start.read(512), place)
    return [place.resolve()]


def _mirror_folder(mirror: str) -> Path:
    try:
        folder = Path(mirror).expanduser()
        if folder.is_dir():
            os.scandir(folder).close()
    except (RuntimeError, OSError, ValueError) as error:
        raise DataError(
            f"The mirror {mirror[:200]} is neither a folder nor an http(s) address:"
            f" {str(error)[:200]}."
        ) from None
    return folder


def _places(file: RemoteFile, mirror: Path) -> Iterator[Path]:
    tried = (mirror / file.name, mirror / file.folder / file.name, *mirror.glob(f"*/{file.name}"))
    for place in tried:
        with suppress(FileNotFoundError, NotADirectoryError):
            place.lstat()  # other errors, such as a folder that cannot be read, are told
            yield place


def _answers(address: str) -> bool:
    try:
        response = requests.head(address, timeout=TIMEOUT, allow_redirects=True)
    except (requests.RequestException, *NO_ADDRESS):
        return False
    kind = response.headers.get("Content-Type", "")
    return response.status_code == 200 and not kind.startswith("text/html")


def _in_place(source: Path, folder: Path, check: Check, refetch: bool) -> Path:
    """A file of a mirror folder, once it has the digest that it had when it was first used."""
    notes = _notes(folder)
    digest = file_digest(source)
    noted = None if refetch else notes["digests"].get(str(source))
    if noted is None:
        _checked(source, source, check)
        notes["digests"][str(source)] = digest
        _save_notes(folder, notes)
    elif noted != digest:
        raise _wrong_digest(source)
    return source


def _take(
    file: RemoteFile,
    source: str | Path,
    target: Path,
    progress: bool,
    check: Check,
    refetch: bool,
) -> Path:
    """Bring the file to `target`, once it is whole and has its digest, and note that."""
    notes = _notes(target.parent)
    digest = _published_digest(file) if source == file.url else None
    digest = digest or (None if refetch else notes["digests"].get(str(source)))
    if isinstance(source, Path):
        part = target.with_name(f"{target.name}.copy.part")
        try:
            with explained(part.parent, source.stat().st_size):
                shutil.copyfile(source, part)
        except DataError:
            _drop_parts(target)
            raise
    else:
        part = _downloaded(source, target, progress)
    try:
        if not _matches(part, digest):
            raise _wrong_digest(source)
        if digest is None:
            _checked(part, source, check)
    except DataError:
        _drop_parts(target)
        raise
    sync(part)
    notes["digests"][str(source)] = file_digest(part)
    notes["sources"][target.name] = str(source)
    _save_notes(target.parent, notes)
    os.replace(part, target)
    sync(target.parent)
    _drop_parts(target)
    return target


def _checked(path: Path, source: str | Path, check: Check) -> None:
    """Read a file that nothing is known of yet, before its digest is noted."""
    try:
        check(path)
    except DataError as error:
        kept = "" if path == source else " It was not kept: the same command takes it anew."
        raise DataError(f"{source} is not the file that it should be: {error}{kept}") from None


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
    except (requests.RequestException, ValueError, LookupError, TypeError) as error:
        warnings.warn(f"{file.doi} does not tell the digest of {file.name}: {error}", stacklevel=4)
        return None


def _matches(path: Path, digest: str | None) -> bool:
    """Whether a file has a digest: SHA-256, or another with the name of its algorithm before it."""
    return _pooch().hashes.hash_matches(path, digest)


def _notes(folder: Path) -> dict[str, dict[str, str]]:
    """SHA-256 of files by the address that they came from, and that address by name."""
    path = folder / NOTES
    if not os.path.lexists(path):
        return {"digests": {}, "sources": {}}
    try:
        notes = json.loads(input_file(path).read_text(encoding="utf-8"))
        return {"digests": dict(notes["digests"]), "sources": dict(notes["sources"])}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        raise DataError(f"{path} is unreadable; delete it and run `make data` again.") from None


def _save_notes(folder: Path, notes: dict[str, dict[str, str]]) -> None:
    with atomic_write(folder / NOTES) as unfinished:
        unfinished.write_text(json.dumps(notes, indent=1, sort_keys=True), encoding="utf-8")


def _intact(path: Path, notes: dict[str, dict[str, str]]) -> bool:
    return _matches(path, notes["digests"].get(notes["sources"].get(path.name, "")))


def _wrong_digest(source: str | Path) -> DataError:
    return DataError(
        f"{source} has the wrong digest, another than is published or than it had when it first"
        " came. It is damaged, or was replaced. To take it anew: `make data REFETCH=1` (`python -m"
        " dc2lib.datasets --refetch`), with the mirror as before."
    )


def _downloaded(address: str, target: Path, progress: bool) -> Path:
    """A file with all of what is at the address, tried again where the last try stopped."""
    problem: Exception | None = None
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(PAUSE * 2 ** (attempt - 1))
        try:
            return _receive(address, target, progress)
        except DataError:
            _drop_parts(target)
            raise
        except requests.exceptions.SSLError as error:
            raise DataError(
                f"{address} cannot be fetched: its certificate is not trusted here ({error})."
                " Behind a proxy that signs with a certificate of its own, name the file of that"
                " certificate: REQUESTS_CA_BUNDLE=/path/to/it.pem"
            ) from None
        except NO_ADDRESS as error:
            raise DataError(f"{address} cannot be fetched: {error}{_by_proxy(address)}") from None
        except INTERRUPTIONS as error:
            problem = error
        except requests.RequestException as error:
            raise DataError(f"{address} cannot be fetched: {error}") from None
    received = sum(part.stat().st_size for part in _parts(target)) / 2**20
    raise DataError(
        f"{address} did not come whole after {ATTEMPTS} attempts ({problem}). {received:,.1f} MiB"
        " are kept: run the same command again and the download goes on from there, or take the"
        " file from a mirror: `make data MIRROR=...`."
    )


def _by_proxy(address: str) -> str:
    """By which proxy the surroundings send requests to an address, as a sentence, if by one."""
    kind, proxy = address.partition(":")[0], None
    with suppress(ValueError):
        given = requests.utils.get_environ_proxies(address)
        proxy = given.get(kind) or given.get("all")
    if not proxy:
        return ""
    proxy = re.sub("//.*@", "//...@", proxy)  # a password is nobody's business
    return (
        f" The proxy {proxy} was to be asked ({kind.upper()}_PROXY or ALL_PROXY): expected"
        " http://host:port; one of SOCKS needs `pip install pysocks` in this environment."
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
            goes_on = part == latest and total is not None and _begins_at(answer, start)
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
    total = int(length) if LENGTH.fullmatch(length) else None
    content = f"{address} {get('ETag')} {get('Last-Modified')} {total}"
    name = hashlib.sha256(content.encode()).hexdigest()[:16]
    return target.with_name(f"{target.name}.{name}.part"), total


def _begins_at(answer: requests.Response, start: int) -> bool:
    begins = answer.headers.get("Content-Range", "").startswith(f"bytes {start}-")
    return answer.status_code == 206 and begins


def _whole(
    answer: requests.Response, part: Path, start: int, total: int | None, progress: bool
) -> Path:
    """The part, once all of the content is there; ConnectionError if the answer ended early."""
    _write(answer, part, start, total, progress)
    received = part.stat().st_size
    if total is None:
        try:
            _check_gzip_ends(part)
        except DataError as error:
            part.unlink()
            raise requests.ConnectionError(str(error)) from None
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
        if code not in ((200, 206, 416) if start else (200,)):
            raise DataError(
                f"{address} answered with no file (HTTP {code}); check the address or mirror."
            )
        if code != 416 and response.headers.get("Content-Type", "").startswith("text/html"):
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


def final_name(path: Path) -> str:
    """Name of a file that may still be a part, once it is whole."""
    return PART.sub("", path.name)


def _drop_parts(target: Path) -> None:
    for part in _parts(target):
        part.unlink(missing_ok=True)


def _check_gzip_ends(path: Path) -> None:
    """Raise DataError unless the file is gzipped and whole, as its own checksum says."""
    try:
        with gzip.open(path) as file:
            if not file.peek(1) and not path.stat().st_size:
                raise EOFError("it is empty")
            while file.read(BLOCK):
                pass
    except (EOFError, OSError, zlib.error) as error:
        raise DataError(f"it is truncated or corrupt: {error}") from None
