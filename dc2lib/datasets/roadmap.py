"""The released archive of 56 Roadmap cell types, read as a stream into the store.

The archive is untrusted: nothing is extracted to a path that it names, and its members are read
within bounds on their size and number.
"""

from __future__ import annotations

import gzip
import os
import re
import shutil
import tarfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Self

import numpy as np
from tqdm import tqdm

from dc2lib.datasets.fetch import (
    RemoteFile,
    check_not_html,
    downloads_folder,
    final_name,
    verified,
)
from dc2lib.datasets.gene_windows import missing_genes
from dc2lib.datasets.histone import SPLITS
from dc2lib.datasets.released import SplitTable, assemble, check_size, read_split
from dc2lib.datasets.rpkm import FILE_NAME, URL, RpkmTable, read_rpkm, suggestion
from dc2lib.datasets.store import (
    cells_folder,
    explained,
    file_digest,
    is_current,
    made_folder,
    open_cell,
    temporary_folder,
    write_cell,
)
from dc2lib.errors import DataError
from dc2lib.files import input_file

ARCHIVE = RemoteFile(
    "data.tar.gz",
    "https://zenodo.org/records/2652278/files/data.tar.gz?download=1",
    "roadmap",
    doi="10.5281/zenodo.2652278",
)
RPKM = RemoteFile(FILE_NAME, URL, "roadmap")
MEMBER = re.compile(r"(?:.*/)?(?P<cell>[A-Za-z0-9][\w.-]{0,63})/classification/(?P<split>\w+)\.csv")
LIKE_A_SPLIT = re.compile(r".*/classification/(train|valid|test)\.csv", re.IGNORECASE)
MEMBER_LIMIT = 100_000
ARCHIVE_LIMIT = 64 * 2**30
EXTENDED_HEADER_LIMIT = 2**20
EXTENDED_HEADERS = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)
BLOCK = 2**16
IN_MEMORY = 3


def open_rpkm(alignment: str = "aligned") -> RpkmTable | None:
    """Roadmap's expression table as downloaded into the store; None if it is not there.

    Raises DataError if the file does not have the digest noted when it came, or is no such table.
    """
    path = downloads_folder() / RPKM.name
    return read_rpkm(verified(path), alignment) if os.path.lexists(path) else None


class BrokenArchiveError(DataError):
    """An archive that cannot be read to its end."""


@dataclass
class Ingestion:
    """What became of an archive: names of its cell types, and why some failed."""

    stored: list[str] = field(default_factory=list)
    present: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)

    @property
    def settled(self) -> set[str]:
        """Cells whose further members need not be read."""
        return {*self.stored, *self.present, *self.failed}


def ingest_archive(
    path: str | Path,
    rpkm: RpkmTable,
    home: str | Path | None = None,
    cells: Sequence[str] | None = None,
    *,
    again: bool = False,
    progress: bool = True,
    say: Callable[[str], None] = lambda line: None,
    result: Ingestion | None = None,
) -> Ingestion:
    """Store the cell types of an archive; those already stored are skipped.

    A cell type that is wrong, comes twice, or has a split that breaks off before another cell
    type's, is noted in `failed`, and the others are stored all the same. The peak of memory does
    not depend on the number of cell types.

    Raises DataError if the archive itself cannot be read to its end, or something follows that end;
    what was complete before is stored.

    Parameters
    ----------
    path
        Gzipped tar with members ``.../<cell>/classification/{train,valid,test}.csv``.
    rpkm
        Expression to join; a cell type without a column there fails.
    cells
        Only these; default all in the archive.
    again
        Store also those that are stored already.
    say
        Gets one line a cell type.
    result
        Filled as the work goes on, so that it is there after an error too.
    """
    path = Path(path)
    _check_gzip(path)
    wanted = None if cells is None else set(cells)
    result = Ingestion() if result is None else result
    origin = {
        "archive": final_name(path), "archive_sha256": file_digest(path), "rpkm_table": rpkm.name
    }  # fmt: skip
    seen: set[str] = set()
    met: set[tuple[str, str]] = set()
    pending: dict[str, dict[str, SplitTable]] = {}
    folder = made_folder(cells_folder(home))
    with explained(folder), temporary_folder(folder, "ingest") as spill:
        for member in split_members(path, progress=progress):
            cell = member.cell
            asked = wanted is None or cell in wanted
            if member.problem:
                with _noted(cell, result, say):
                    raise DataError(f"{path.name}: {member.name} {member.problem}")
                seen |= {cell} if member.split else set()
                continue
            if asked and not again and cell not in seen and is_current(cell, home):
                result.present.append(cell)
            if asked and (cell, member.split) in met:
                with _noted(cell, result, say):
                    raise DataError(
                        f"{path.name}: {member.name}: the archive holds this split twice; expected"
                        " once. Whichever is right, make an archive of it alone."
                    )
            met.add((cell, member.split))
            seen.add(cell)
            if asked and cell not in result.settled:
                with _noted(cell, result, say):
                    splits = pending.setdefault(cell, {})
                    _take(member, splits, path, spill if len(pending) > IN_MEMORY else None)
                    if len(splits) == len(SPLITS):
                        dataset, repeated = assemble(cell, splits, path.name, rpkm=rpkm)
                        write_cell(dataset, home, origin | {"repeated_genes": repeated})
                        result.stored.append(cell)
                        twice = f" ({len(repeated)} listed twice, kept once)" if repeated else ""
                        part = missing_genes(dataset.gene_id, dataset.split, cell, partial=True)
                        said = f"{cell}: {len(dataset):,} genes stored{twice}"
                        say("; ".join(filter(None, [said, part])))
            if cell in result.settled:
                pending.pop(cell, None)
            if wanted is not None and wanted <= result.settled:
                break
    _remove_shorter(result, home, path, say)
    for cell, splits in pending.items():
        with _noted(cell, result, say):
            assemble(cell, splits, path.name)
    for cell in sorted((wanted or set()) - seen):
        with _noted(cell, result, say):
            raise DataError(f"{path} does not hold {cell}.{suggestion(cell, sorted(seen))}")
    if not seen:
        raise _another_archive(path)
    return result


def _remove_shorter(
    result: Ingestion, home: str | Path | None, path: Path, say: Callable[[str], None]
) -> None:
    """Take what was stored out again if a split of it breaks off before another cell type's."""
    cells = {}
    for cell in (*result.stored, *result.present):
        with suppress(DataError):
            cells[cell] = open_cell(cell, home)
    for split in SPLITS:
        genes = {
            cell: one.gene_id[one.split == split]
            for cell, one in cells.items() if one.source == "roadmap"
        }  # fmt: skip
        other, longest = max(genes.items(), key=lambda one: len(one[1]), default=("", []))
        for cell in set(result.stored) & set(genes):
            number = len(genes[cell])
            if number < len(longest) and np.array_equal(genes[cell], longest[:number]):
                result.stored.remove(cell)
                shutil.rmtree(cells_folder(home) / cell)
                with _noted(cell, result, say):
                    raise DataError(
                        f"{path.name}: {split}.csv of {cell} ends after {number:,} genes, with"
                        f" which that of {other} begins and has {len(longest):,}. Is it cut? Get"
                        " the archive again."
                    )


def check_archive(path: Path) -> None:
    """Raise DataError unless the archive can be read to its end and holds splits of cell types."""
    if not sum(1 for _ in split_members(path)):
        raise _another_archive(path)


def _another_archive(path: Path) -> DataError:
    return DataError(
        f"{path} holds no <cell>/classification/<split>.csv; this is another archive."
    )


@dataclass(frozen=True)
class SplitMember:
    """One split's CSV inside an archive: where it lies, its open stream, its size in bytes.

    `problem` says what is wrong with its name or kind; empty if nothing is.
    """

    archive: Path
    cell: str
    split: str
    name: str
    stream: IO[bytes] | None
    size: int
    problem: str = ""

    def read(self) -> bytes:
        """The whole file, refused if it is larger than any real one could be."""
        check_size(self.size, f"{self.archive.name}: {self.name}")
        with _explained(self.archive):
            return self.stream.read()


def split_members(path: str | Path, *, progress: bool = False) -> Iterator[SplitMember]:
    """Walk through the splits of an archive; each must be read before the next is asked for.

    Raises DataError if the file is no gzipped tar, is truncated or damaged, something follows its
    end, or it passes the bounds.
    """
    path = Path(path)
    _check_gzip(path)
    bar = tqdm(
        total=path.stat().st_size, unit="B", unit_scale=True, desc=f"reading {path.name}",
        disable=None if progress else True,
    )  # fmt: skip
    with (
        _explained(path),
        bar,
        open(path, "rb") as raw,
        gzip.GzipFile(fileobj=raw) as packed,
    ):
        bounded = _Bounded(packed, path)
        with tarfile.open(
            fileobj=bounded, mode="r|", bufsize=BLOCK, tarinfo=_BoundedTarInfo
        ) as archive:
            for number, member in enumerate(archive, start=1):
                if number > MEMBER_LIMIT:
                    raise DataError(f"{path} holds more than {MEMBER_LIMIT:,} members.")
                _check_member_size(member)
                bar.update(raw.tell() - bar.n)
                where = MEMBER.fullmatch(member.name)
                if where and where["split"] in SPLITS:
                    problem = "" if member.isreg() else "is a link or no file; expected a file."
                    stream = archive.extractfile(member) if member.isreg() else None
                    yield SplitMember(
                        path, *where.groups(), member.name, stream, member.size, problem
                    )
                elif LIKE_A_SPLIT.fullmatch(member.name):
                    problem = "names no cell type, or its split is written in capitals."
                    yield SplitMember(path, member.name, "", member.name, None, 0, problem)
            while block := archive.fileobj.read(BLOCK):
                if block.strip(b"\0"):
                    raise tarfile.ReadError("something follows the end of the archive")
        bar.update(raw.tell() - bar.n)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except DataError:
        raise
    except Exception as error:  # whatever a damaged file makes the readers meet
        raise BrokenArchiveError(
            f"{path} is truncated or corrupt ({error}); get it again with"
            " `make data REFETCH=1` (`python -m dc2lib.datasets --refetch`). Cell types read before"
            " that are stored."
        ) from None


class _BoundedTarInfo(tarfile.TarInfo):
    """A member's header: a damaged one is not taken for the end, nor one that fills the memory."""

    @classmethod
    def frombuf(cls, buf: bytes, encoding: str, errors: str) -> Self:
        try:
            info = super().frombuf(buf, encoding, errors)
        except tarfile.EOFHeaderError:
            raise
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(f"a member's header is damaged: {error}") from None
        if info.type in EXTENDED_HEADERS and info.size > EXTENDED_HEADER_LIMIT:
            raise DataError(f"The archive has a header of {info.size:,} bytes; it is refused.")
        _check_member_size(info)
        return info


def _check_member_size(member: tarfile.TarInfo) -> None:
    if not 0 <= member.size <= ARCHIVE_LIMIT:
        raise DataError(
            f"The archive has a member of {member.size:,} bytes, {member.name[:80]!r}; it is"
            f" refused: expected at most {ARCHIVE_LIMIT:,}."
        )


class _Bounded:
    """A stream that refuses to unpack without end."""

    def __init__(self, stream: IO[bytes], path: Path) -> None:
        self.stream, self.path, self.done = stream, path, 0

    def read(self, size: int) -> bytes:
        block = self.stream.read(size)
        self.done += len(block)
        if self.done > ARCHIVE_LIMIT:
            raise DataError(f"{self.path} unpacks to more than {ARCHIVE_LIMIT / 2**30:.0f} GiB.")
        return block


def _check_gzip(path: Path) -> None:
    with open(input_file(path, "download it with `make data`"), "rb") as file:
        start = file.read(512)
    check_not_html(start, path)
    if not start.startswith(b"\x1f\x8b"):
        raise DataError(f"{path} is no gzip file; expected a .tar.gz archive.")


def _take(
    member: SplitMember, splits: dict[str, SplitTable], path: Path, spill: Path | None
) -> None:
    name = f"{path.name}: {member.name}"
    table = read_split(member.read(), name)
    splits[member.split] = table if spill is None else _spilled(table, spill, member)


def _spilled(table: SplitTable, folder: Path, member: SplitMember) -> SplitTable:
    path = folder / f"{member.cell}-{member.split}.npy"
    np.save(path, table.counts)
    return replace(table, counts=np.load(path, mmap_mode="r"))


@contextmanager
def _noted(cell: str, result: Ingestion, say: Callable[[str], None]) -> Iterator[None]:
    try:
        yield
    except BrokenArchiveError:
        raise
    except DataError as error:
        result.failed[cell] = str(error)
        say(f"{cell}: NOT stored: {error}")
