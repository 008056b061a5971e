"""Called peaks around genes: BED, narrowPeak and broadPeak files, plain or gzipped.

How a file becomes bins: where peaks overlap, a base has the highest of their values, and a base
in no peak has 0; a bin is the mean over its 100 bases. The order of the lines does not matter, a
chromosome may be called 1 or chr1, peaks on contigs without genes and peaks of no length are left
out, and a file without a peak is a mark that is 0 everywhere. Nothing in such a file tells whether
it is whole: `build_cell` refuses one without a peak around the last genes of a chromosome, and says
how many peaks there are, to be compared with the source, and whether a sorted file ends early.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd

from dc2lib.datasets.cell_files import (
    SIGNAL_LIMIT,
    CellInput,
    empty_ends,
    file_states,
    mark_files,
)
from dc2lib.datasets.gene_windows import BIN_SIZE, GeneWindows, chromosome_names
from dc2lib.datasets.histone import N_BINS
from dc2lib.errors import DataError
from dc2lib.files import text_lines

SUFFIXES = tuple(
    f".{kind}{packed}" for kind in ("narrowPeak", "broadPeak", "bed") for packed in ("", ".gz")
)
MOST_BASES = 2**40
COLUMN_OF = {"signal": 7, "score": 5, "presence": 3}


def read_peaks(
    path: str | Path, value: str = "signal", lengths: Mapping[str, int] | None = None
) -> pd.DataFrame:
    """The peaks of one file in its order: chromosome, start, end (bp from 0, excluded), value.

    Parameters
    ----------
    path
        Tab-separated lines, at least chromosome, start, end.
    value
        ``"signal"`` (column 7, the enrichment), ``"score"`` (column 5), or ``"presence"`` (1).
    lengths
        Base pairs a chromosome, which no peak may pass.

    Raises
    ------
    DataError
        If a line is not as expected; the message names it.
    """
    if value not in COLUMN_OF:
        raise DataError(f"Unknown value {value!r} of a peak: use one of {', '.join(COLUMN_OF)}.")
    lines = {n: line for n, line in enumerate(text_lines(path), start=1) if _is_peak(line)}
    columns = {number: line.count("\t") + 1 for number, line in lines.items()}
    needed, most = COLUMN_OF[value], max(columns.values(), default=0)
    for number, width in columns.items():
        if width < needed:
            raise _too_few(f"{path}, line {number}", width, value)
    text = pd.read_csv(
        StringIO("".join(lines.values())), sep="\t", header=None, dtype=str, quoting=3,
        names=range(most or needed), keep_default_na=False,
        usecols=sorted({0, 1, 2, needed - 1}),
    )  # fmt: skip
    names = chromosome_names(text[0].unique(), path)
    chromosome = text[0].map({own: name for name, own in names.items()})
    start, end, amount = (pd.to_numeric(text[i], errors="coerce") for i in (1, 2, needed - 1))
    if value == "presence":
        amount = pd.Series(1.0, index=text.index)
    limit = chromosome.map(lengths or {}).astype(np.float64)
    for wrong, expected in (
        ((start % 1 != 0) | (end % 1 != 0), "expected whole numbers for start and end."),
        (start < 0, "starts before the chromosome; expected 0 or more."),
        (end < start, "ends before it starts; expected start <= end."),
        (end > MOST_BASES, "ends beyond any chromosome."),
        (end > limit, "ends beyond the chromosome: a file of another genome?"),
        (~((amount >= 0) & (amount <= SIGNAL_LIMIT)),
         f"expected a {value} of 0 or more, {SIGNAL_LIMIT:,} at most."),
    ):  # fmt: skip
        if wrong.any():
            number, line = list(lines.items())[wrong.argmax()]
            raise DataError(f"{path}, line {number}: {line.strip()!r} {expected}")
    number, width = max(columns.items(), default=(0, 0))
    if width < most:
        raise DataError(
            f"{path}, line {number}, the last: {width} columns, and {most} in others. Is the file"
            " cut? Get it whole."
        )
    if len(amount) and not amount.any():
        raise DataError(
            f"{path}: the {value} is 0 in every line; if column {needed} holds something else, as"
            " in BED of nine columns, take another value: VALUE=score or presence (--value)."
        )
    table = pd.DataFrame({"chromosome": chromosome, "start": start, "end": end, "value": amount})
    return table.astype({"start": np.int64, "end": np.int64, "value": np.float64})


def bin_peaks(peaks: pd.DataFrame, windows: GeneWindows) -> np.ndarray:
    """Mean value of the peaks in each bin, float32 (gene, bin), along the genome."""
    bins = np.zeros((len(windows), N_BINS), dtype=np.float32)
    own = dict(list(peaks[peaks["end"] > peaks["start"]].groupby("chromosome")))
    for chromosome, rows, edges in windows.by_chromosome():
        if chromosome in own:
            intervals = (own[chromosome][name].to_numpy() for name in ("start", "end", "value"))
            bins[rows] = np.diff(_sum_up_to(edges, *_highest(*intervals)), axis=1) / BIN_SIZE
    return bins


def read_cell(
    files: Mapping[str, str | Path],
    windows: GeneWindows,
    value: str = "signal",
    notes: list[str] | None = None,
) -> dict[str, np.ndarray]:
    """Bins (gene, bin) of each mark's file, along the genome; the number of peaks joins the notes.

    Raises
    ------
    DataError
        If a file is no file of peaks, or of another genome.
    """
    bins = {}
    for mark, path in files.items():
        peaks = read_peaks(path, value, windows.lengths)
        if len(peaks):
            windows.check_chromosomes(peaks["chromosome"], str(path))
        bins[mark] = bin_peaks(peaks, windows)
        if notes is not None:
            notes.append(f"{len(peaks):,} peaks of {mark}{_early_end(peaks, bins[mark], windows)}")
    return bins


def _early_end(peaks: pd.DataFrame, bins: np.ndarray, windows: GeneWindows) -> str:
    """A remark, if behind the last line of a sorted file more genes are empty than elsewhere."""
    order = peaks["chromosome"]
    last = order.iloc[-1] if len(order) else ""
    filled = bins.any(axis=1)
    empty = {c: number for c, (number, _) in empty_ends(filled, windows.table).items()}
    by_chromosome = (order != order.shift()).sum() == order.nunique()
    if last not in empty or not by_chromosome or empty[last] < max(empty.values()):
        return ""
    if empty[last] * filled.mean() < 10:  # as in files that were whole
        return ""
    return f" (behind its last line {empty[last]:,} genes of {last} are empty: is it cut?)"


def cell_inputs(
    where: str | Path,
    windows: GeneWindows,
    value: str = "signal",
    marks: Sequence[str] | None = None,
) -> list[CellInput]:
    """The cell types of a folder or table of peak files; see `cell_files.mark_files`."""
    return [
        CellInput(
            cell, "peaks", "peak signal",
            {"files": file_states(files), "value": value, "genes": windows.digest},
            lambda notes, files=files: (read_cell(files, windows, value, notes), windows), files,
        )
        for cell, files in mark_files(where, SUFFIXES, marks).items()
    ]  # fmt: skip


def _is_peak(line: str) -> bool:
    return bool(line.strip()) and not line.startswith(("#", "track", "browser"))


def _too_few(where: str, columns: int, value: str) -> DataError:
    possible = [name for name, column in COLUMN_OF.items() if column <= columns]
    advice = f"; use the value {' or '.join(possible)} (--value)" if possible else ""
    return DataError(
        f"{where}: {columns} tab-separated column(s), expected at least {COLUMN_OF[value]} for the"
        f" value {value!r}{advice}."
    )


def _highest(
    start: np.ndarray, end: np.ndarray, value: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Places where the highest value of all intervals may change, and that value from each on."""
    places = np.unique(np.concatenate([start, end]))
    first, last = np.searchsorted(places, start), np.searchsorted(places, end)
    pieces = last - first
    piece = np.arange(pieces.sum()) + np.repeat(first - (pieces.cumsum() - pieces), pieces)
    height = np.zeros(len(places))
    np.maximum.at(height, piece, np.repeat(value, pieces))
    return places, height


def _sum_up_to(edges: np.ndarray, places: np.ndarray, height: np.ndarray) -> np.ndarray:
    """Sum over all bases before each edge of a function that is constant between places."""
    before = np.concatenate([[0.0], np.cumsum(height[:-1] * np.diff(places))])
    at = np.searchsorted(places, edges, side="right") - 1
    inside = at >= 0
    at = np.maximum(at, 0)
    return np.where(inside, before[at] + height[at] * (edges - places[at]), 0.0)
