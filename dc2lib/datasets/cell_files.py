"""Which file holds which mark of which cell type, and from bins to a stored cell type.

The ways in (`peaks`, `tracks`, `binned`) share this: files are found, read one cell type at a
time, joined with expression, and stored; a cell type stored from the same files is not read again.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd

from dc2lib.datasets.gene_windows import MAY_LACK, GeneWindows, missing_genes
from dc2lib.datasets.histone import MARKS, SPLITS, HistoneDataset, check_cell_name, nearest_mark
from dc2lib.datasets.rpkm import RpkmTable
from dc2lib.datasets.store import cells_folder, is_current, read_meta, write_cell
from dc2lib.errors import DataError
from dc2lib.files import input_file

KNOWN_MARKS = (
    *MARKS, "H2A.Z", "H2AK5ac", "H2AK9ac", "H2AK119ub1", "H2BK5ac", "H2BK12ac", "H2BK15ac",
    "H2BK20ac", "H2BK120ac", "H3.3", "H3K4ac", "H3K4me2", "H3K9ac", "H3K9me1", "H3K9me2",
    "H3K14ac", "H3K18ac", "H3K23ac", "H3K23me2", "H3K27ac", "H3K27me1", "H3K27me2", "H3K36me1",
    "H3K36me2", "H3K56ac", "H3K79me1", "H3K79me2", "H3K79me3", "H3T11ph", "H4K5ac", "H4K8ac",
    "H4K12ac", "H4K16ac", "H4K20me1", "H4K20me3", "H4K91ac", "DNase", "ATAC", "CTCF",
)  # fmt: skip
SIGNAL_LIMIT = 1_000_000
SHARED = 0.6  # of the genes of the smaller of two tables
EMPTY_END = 150  # genes; at most 80 in 81 whole files of Roadmap and ENCODE
T = TypeVar("T")


def mark_files(
    where: str | Path, suffixes: Sequence[str], marks: Sequence[str] | None = None
) -> dict[str, dict[str, Path]]:
    """The files of each cell type by mark, from their names or from a table.

    Parameters
    ----------
    where
        A folder of files ``<cell>-<mark><suffix>``, or a table
        (.tsv or .csv) with the columns cell, mark and file, paths relative to it.
    suffixes
        Such as ``(".bed", ".bed.gz")``; upper and lower case alike.
    marks
        Only these; names that are not in `KNOWN_MARKS` must be given here.

    Raises
    ------
    DataError
        If there is no file, a mark is unknown (the nearest is suggested), comes twice, or is asked
        for and nowhere there.
    """
    where = Path(where).expanduser()
    named = _from_names(where, suffixes) if os.path.isdir(where) else _from_table(input_file(where))
    named = list(named)
    if not named:
        raise DataError(f"{where} holds no file <cell>-<mark> with one of {', '.join(suffixes)}.")
    return by_cell(named, where, marks)


def by_cell(
    found: Iterable[tuple[str, str, T]], where: Path, marks: Sequence[str] | None
) -> dict[str, dict[str, T]]:
    """What was found of each cell type and mark, of the `marks` asked for; errors of `mark_files`.

    Where marks are asked for, only a name that looks like one of them is an unknown mark.
    """
    chosen: dict[str, dict[str, T]] = {}
    known, seen = (*KNOWN_MARKS, *(marks or ())), set()
    for cell, mark, one in found:
        check_cell_name(cell)
        if mark not in known and (not marks or nearest_mark(mark, marks)):
            raise DataError(
                f"{where}, {cell}: {mark!r} is no known mark.{nearest_mark(mark, known)} A mark"
                " that is really called so must be named: --marks with all marks to be taken."
            )
        seen.add(mark)
        if marks and mark not in marks:
            continue
        other = chosen.setdefault(cell, {}).setdefault(mark, one)
        if other != one:
            raise DataError(
                f"{cell} has {mark} twice, in {other} and {one}; keep one file a mark and cell."
            )
    for mark in marks or ():
        if mark not in seen:
            raise DataError(
                f"{where} holds no {mark!r}, which was asked for.{nearest_mark(mark, seen)}"
                f" It holds {', '.join(sorted(seen))}."
            )
    return chosen


@dataclass(frozen=True)
class CellInput:
    """One cell type that can be read: what it is called and measures, its files, how to read it.

    Attributes
    ----------
    cell : str
        Its name, by which the expression table knows it too.
    source, unit : str
        As in `HistoneDataset`.
    origin : mapping
        Files (see `file_states`) and settings; the same origin means the same values.
    read : function
        Gives the bins (gene, bin) of each mark, along the genome, and the genes; what it has to say
        joins the list of notes that it is called with.
    files : mapping
        The file of each mark, for messages.
    """

    cell: str
    source: str
    unit: str
    origin: Mapping[str, object]
    read: Callable[[list[str]], tuple[Mapping[str, np.ndarray], GeneWindows]]
    files: Mapping[str, str | Path] = field(default_factory=dict)


def build_cell(
    given: CellInput,
    expression: RpkmTable | None = None,
    suffix: str = "",
    notes: list[str] | None = None,
) -> HistoneDataset:
    """Read a cell type; genes without a number in the expression table are left out.

    What is to be said of it joins the notes. Raises DataError if the expression table lacks the
    cell type or knows too few of the genes (`SHARED`); or if a split breaks off (see
    `missing_genes`) or a mark is 0 at the end of a chromosome, for as many genes as in no whole
    file (`EMPTY_END`), and the windows are not `partial`.
    """
    notes = [] if notes is None else notes
    expressed = None if expression is None else expression.measured(given.cell)
    bins, windows = given.read(notes)
    marks = [mark for mark in MARKS if mark in bins] + sorted(set(bins) - set(MARKS))
    counts = np.stack([bins[mark] for mark in marks], axis=2)
    table, joined = windows.table, {}
    if expressed is not None:
        chosen = pd.Index(windows.gene_id).isin(expressed.gene_id)
        fewer = min(len(chosen), len(expressed.gene_id))
        if not chosen.any() or chosen.sum() < SHARED * fewer:
            unknown = ~pd.Index(expressed.gene_id).isin(windows.gene_id)
            raise DataError(
                f"{given.cell}: {expressed.name} and {windows.name} share {chosen.sum():,} of"
                f" {fewer:,} genes, expected {SHARED:.0%}: others are called"
                f" {_example(expressed.gene_id[unknown])} and {_example(windows.gene_id[~chosen])}."
                " Give an expression table and genes of one species, with the same kind of ids."
            )
        if not chosen.all():
            notes.append(f"{(~chosen).sum():,} genes without expression left out")
        counts, table = counts[chosen], table[chosen]
        joined = expressed.join(given.cell, table["gene_id"].to_numpy(dtype=str))
    for number, mark in enumerate(marks):
        bins, what = counts[:, :, number], f"{given.files.get(mark, given.cell)}: {mark}"
        highest = float(bins.max(initial=0))
        if not highest <= SIGNAL_LIMIT:
            raise DataError(f"{what} reaches {highest:g}; expected at most {SIGNAL_LIMIT:,}.")
        filled = bins.any(axis=1)
        if not windows.partial:
            _check_ends(filled, table, what)
        for other in range(number if filled.sum() >= EMPTY_END else 0):
            if np.array_equal(bins, counts[:, :, other]):
                raise DataError(f"{what} is the same as {marks[other]}: one file under two names?")
    ids = (table[name].to_numpy(dtype=str) for name in ("gene_id", "split"))
    notes += filter(None, [missing_genes(*ids, given.cell, windows.partial)])
    return HistoneDataset.from_arrays(
        counts, table["gene_id"], given.cell + suffix, table["split"], marks=marks,
        source=given.source, unit=given.unit, strand=table["strand"], **joined,
    )  # fmt: skip


def store_cell(
    given: CellInput,
    expression: RpkmTable,
    home: str | Path | None = None,
    *,
    suffix: str = "",
    again: bool = False,
) -> str:
    """Store a cell type and say so in a line; one stored from the same origin is not read again.

    Parameters
    ----------
    suffix
        Added to the name under which it is stored.
    again
        Read and store it whatever is stored under its name.

    Raises
    ------
    DataError
        If it cannot be read, or a cell type of another source, or with marks that this one lacks,
        is stored under its name.
    """
    name, older, notes = given.cell + suffix, [], []
    text = "\n".join(expression.text(given.cell).tolist())
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    origin = {**given.origin, "rpkm_table": f"{expression.name} {digest}"}
    if not again and is_current(name, home):
        stored = read_meta(cells_folder(home) / name)
        if stored["origin"] == origin:
            return f"{name}: already stored from these files"
        refuse_other_source(name, given.source, home)
        older = stored["marks"]
    dataset = build_cell(given, expression, suffix, notes)
    lost = [mark for mark in older if mark not in dataset.marks]
    if lost:
        raise DataError(
            f"{name} is stored already, with {', '.join(lost)}, which these files lack. Replace it"
            " with REFETCH=1 (--refetch), or store this one beside it: SUFFIX=.other (--suffix)"
        )
    write_cell(dataset, home, origin)
    zero = [mark for i, mark in enumerate(dataset.marks) if not dataset.counts[:, :, i].any()]
    notes += [f"0 around every gene: {', '.join(zero)}"] if zero else []
    lacking = [split for split in SPLITS if split not in dataset.split]
    notes += [f"NO GENE of the split {', '.join(lacking)}: is a table cut?"] if lacking else []
    marks = ", ".join(dataset.marks)
    again = ", in place of what was stored from other files" if older else ""
    said = f"{name}: {len(dataset):,} genes stored, {dataset.unit} of {marks}{again}"
    return "; ".join([said, *notes])


def refuse_other_source(cell: str, source: str, home: str | Path | None = None) -> None:
    """Raise DataError if a cell type of another source is stored under this name."""
    stored = read_meta(cells_folder(home) / cell)["source"] if is_current(cell, home) else source
    if stored != source:
        raise DataError(
            f"{cell} is stored already, from {stored}. Replace it with REFETCH=1 (--refetch), or"
            f" store this one beside it under another name: SUFFIX=.{source} (--suffix)"
        )


def file_states(files: Mapping[str, str | Path]) -> dict[str, list[str | int]]:
    """Absolute path, size in bytes and two times (ns) of each mark's file, by which it is known.

    The times are those of the last change of its content, which ``cp -p``, rsync and touch set as
    they like, and of the file itself, which only the system sets. Only the path of what cannot be
    read, of which reading it will say why.
    """
    states: dict[str, list[str | int]] = {m: [os.path.realpath(p)] for m, p in files.items()}
    for about in states.values():
        with suppress(OSError):
            state = os.stat(about[0])
            about += [state.st_size, state.st_mtime_ns, state.st_ctime_ns]
    return states


def _from_names(folder: Path, suffixes: Sequence[str]) -> Iterable[tuple[str, str, Path]]:
    """Cell type, mark and file; DataError if a known mark is there under another suffix only."""
    named, taken, other = [], set(), {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        suffix = max((s for s in suffixes if path.name.lower().endswith(s.lower())),
                     key=len, default=None)  # fmt: skip
        pair = path.name.partition(".")[0]
        if pair.rpartition("-")[2] in KNOWN_MARKS:
            taken.add(pair) if suffix else other.setdefault(pair, path)
        if suffix is None:
            continue
        cell, dash, mark = path.name[: -len(suffix)].rpartition("-")
        if not dash:
            raise DataError(
                f"{path} names no cell type and mark; call it <cell>-<mark>{suffix}, such as"
                f" E003-H3K4me3{suffix}, or give a table with the columns cell, mark and file."
            )
        named.append((cell, mark, path))
    for pair in other.keys() - taken if taken else ():
        raise DataError(
            f"{other[pair]}: its name does not end in one of {', '.join(suffixes)}, so {pair} would"
            " be left out; convert or rename it, or move it away."
        )
    return named


def _from_table(path: Path) -> Iterable[tuple[str, str, Path]]:
    try:
        table = pd.read_csv(path, sep=None, engine="python", dtype=str, keep_default_na=False,
                            encoding="utf-8-sig").fillna("")  # NaN: of a row that ends early
    except Exception as error:  # whatever pandas meets in what is no table
        raise DataError(f"{path} is no table with columns cell, mark, file: {error}") from None
    if not {"cell", "mark", "file"} <= set(table.columns):
        raise DataError(
            f"{path}, line 1: expected the columns cell, mark and file; it has"
            f" {', '.join(map(str, table.columns))}."
        )
    for number, row in enumerate(table.itertuples(index=False), start=2):
        try:
            if not (row.cell and row.mark and row.file):
                raise DataError("expected a cell type, its mark and a file.")
            yield row.cell, row.mark, input_file(path.parent / row.file)
        except DataError as error:
            raise DataError(f"{path}, line {number}: {error}") from None


def _check_ends(filled: np.ndarray, table: pd.DataFrame, what: str) -> None:
    """Raise DataError if the last genes of a chromosome are empty, as where a file was cut."""
    limit = max(EMPTY_END, 10 / (filled.mean() or 1))
    for chromosome, (empty, genes) in empty_ends(filled, table).items():
        if empty >= limit:
            raise DataError(
                f"{what} is 0 around the last {empty:,} of the {genes:,} genes of {chromosome}."
                " Is the file cut, or of a part of the genome? Get it whole; if it is meant so:"
                " PARTIAL=1 (--partial)."
            )


def empty_ends(filled: np.ndarray, table: pd.DataFrame) -> dict[str, tuple[int, int]]:
    """How many of the last genes of each chromosome are not filled, and how many it has."""
    rows = {"the file": np.arange(len(filled))}
    if "chromosome" in table:
        rows = table.reset_index(drop=True).sort_values("tss").groupby("chromosome").groups
    return {
        chromosome: (int(np.append(filled[own][::-1], True).argmax()), len(own))
        for chromosome, own in rows.items() if chromosome not in MAY_LACK
    }  # fmt: skip


def _example(gene_id: np.ndarray) -> str:
    return str(gene_id[0]) if len(gene_id) else "(none)"
