"""Coverage tracks (bigWig) and alignments (BAM) around genes; needs the extra ``tracks``.

bigWig: a bin is the mean of the track over its 100 bases, bases without a value being 0; a stored
NaN or infinity is an error. BAM: a bin counts reads; unmapped, secondary, supplementary and failed
reads never count, mates of a pair count one by one, and duplicates (flag 1024) and reads of a low
mapping quality as asked.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from dc2lib.datasets.cell_files import CellInput, file_states, mark_files
from dc2lib.datasets.gene_windows import BIN_SIZE, LONGEST, GeneWindows, chromosome_names
from dc2lib.datasets.histone import COUNT_LIMIT, N_BINS
from dc2lib.errors import DataError
from dc2lib.files import input_file

UNIT_OF = {".bw": "coverage", ".bigWig": "coverage", ".bam": "reads"}
WAYS = ("overlap", "start")
NEVER = 0x4 | 0x100 | 0x200 | 0x800
DUPLICATE = 0x400


@dataclass(frozen=True)
class ReadRule:
    """Which reads of a BAM file count, and where.

    Attributes
    ----------
    way : str
        ``"overlap"``: a read counts in every bin that its alignment touches, as in bedtools
        multicov, with which DeepChrome counted. ``"start"``: only in the bin of its 5' end.
    min_quality : int
        Reads of a lower mapping quality do not count.
    duplicates : bool
        Whether reads marked as duplicates count.
    """

    way: str = "overlap"
    min_quality: int = 30
    duplicates: bool = False

    def __post_init__(self) -> None:
        if self.way not in WAYS:
            raise DataError(f"Unknown way {self.way!r} to count: use one of {', '.join(WAYS)}.")


def cell_inputs(
    where: str | Path,
    windows: GeneWindows,
    rule: ReadRule | None = None,
    marks: Sequence[str] | None = None,
    progress: bool = False,
) -> list[CellInput]:
    """The cell types of a folder or table of tracks; see `cell_files.mark_files`.

    Raises
    ------
    DataError
        As `mark_files`, or if a cell type has BAM and bigWig files.
    """
    rule = rule or ReadRule()
    inputs = []
    for cell, files in mark_files(where, tuple(UNIT_OF), marks).items():
        units = {_unit(path) for path in files.values()}
        if len(units) > 1:
            raise DataError(
                f"{cell} has BAM and bigWig files ({', '.join(map(str, files.values()))}), whose"
                " values cannot be pooled; give files of one kind."
            )
        origin = {"files": file_states(files), **asdict(rule), "genes": windows.digest}
        inputs.append(
            CellInput(cell, "tracks", units.pop(), origin,
                      lambda notes, files=files: (
                          read_cell(files, windows, rule, progress, notes), windows), files)
        )  # fmt: skip
    return inputs


def read_cell(
    files: Mapping[str, str | Path],
    windows: GeneWindows,
    rule: ReadRule | None = None,
    progress: bool = False,
    notes: list[str] | None = None,
) -> dict[str, np.ndarray]:
    """Bins (gene, bin) along the genome of each mark's file: uint16 reads or float32 coverage.

    A bin with more than 65,535 reads counts as so many. How many reads count joins the notes.

    Raises
    ------
    DataError
        If a package or an index is missing, or a file is damaged or of another genome.
    """
    bins = {}
    for mark, path in files.items():
        with tqdm(total=len(windows), desc=mark, unit="gene", disable=not progress or None) as bar:
            if _unit(path) == "reads":
                bins[mark], kept = _read_bam(path, windows, rule or ReadRule(), bar)
                if notes is not None:
                    notes.append(f"{kept} of {mark}")
            else:
                bins[mark] = _read_bigwig(path, windows, bar)
    return bins


def _unit(path: str | Path) -> str:
    lower = str(path).lower()
    return next((unit for suffix, unit in UNIT_OF.items() if lower.endswith(suffix.lower())), "")


def _read_bigwig(path: str | Path, windows: GeneWindows, bar: tqdm) -> np.ndarray:
    bins = np.zeros((len(windows), N_BINS), dtype=np.float32)
    with _explained(path):
        import pyBigWig

        with pyBigWig.open(str(path)) as track:
            for row, first, *place in _places(track.chroms(), windows, path, bar):
                values = np.zeros(N_BINS * BIN_SIZE, dtype=np.float32)
                _, start, end = place
                values[start - first : end - first] = track.values(*place, numpy=True)
                if not np.isfinite(values).all():
                    _check_stored(track.intervals(*place), path, place[0])
                values[np.isnan(values)] = 0
                bins[row] = values.reshape(N_BINS, BIN_SIZE).mean(axis=1)
    if (bins < 0).any():
        raise DataError(f"{path} holds negative values; expected coverage, not a log ratio.")
    return bins


def _check_stored(spans: Sequence[tuple] | None, path: str | Path, chromosome: str) -> None:
    """Raise DataError if a value is NaN or infinite: bases without one have no span."""
    for start, end, value in spans or ():
        if not np.isfinite(value):
            raise DataError(
                f"{path}: {chromosome}:{start + 1:,}-{end:,} has the value {value}; expected a"
                " number. Write the file without these bases, which then count as 0."
            )


def _read_bam(
    path: str | Path, windows: GeneWindows, rule: ReadRule, bar: tqdm
) -> tuple[np.ndarray, str]:
    """Reads (gene, bin), and in words how many count."""
    near = kept = 0
    never = NEVER | (0 if rule.duplicates else DUPLICATE)
    bins = np.zeros((len(windows), N_BINS), dtype=np.uint16)
    with _explained(path):
        import pysam

        pysam.set_verbosity(0)
        for index in (f"{path}.bai", f"{path}.csi", Path(path).with_suffix(".bai")):
            if not os.path.lexists(index):
                continue
            if input_file(index).stat().st_mtime_ns < os.stat(path).st_mtime_ns:
                raise DataError(
                    f"{index} is older than {path}, and may be the index of another file; make it"
                    f" anew with `samtools index {path}`, or `touch` it if it is right."
                )
        with pysam.AlignmentFile(str(path), "rb") as reads:
            if not reads.has_index():
                raise DataError(f"{path} has no index; make it with `samtools index {path}`.")
            lengths = dict(zip(reads.references, reads.lengths, strict=True))
            for row, first, *place in _places(lengths, windows, path, bar):
                spans = []
                for read in reads.fetch(*place):
                    near += 1
                    if not read.flag & never and read.mapping_quality >= rule.min_quality:
                        spans.append(_span(read, rule.way))
                kept += len(spans)
                bins[row] = _counted(np.array(spans, dtype=np.int64), first)
    if not near:
        raise DataError(
            f"{path} holds no read around any gene. Is it empty, or its index that of another file?"
            f" Make the index anew: `samtools index {path}`."
        )
    if not kept:
        raise DataError(
            f"{path}: none of {near:,} reads around genes counts: all are duplicates, secondary or"
            f" failed, or of a mapping quality below {rule.min_quality}. Take them with"
            " --duplicates, or --min-quality 0."
        )
    return bins, f"{kept:,} of {near:,} reads around genes"


def _span(read, way: str) -> tuple[int, int]:
    """First and last base, from 0, that a read counts for."""
    start, end = read.reference_start, read.reference_end - 1
    if way == "overlap":
        return start, end
    return (end, end) if read.is_reverse else (start, start)


def _counted(spans: np.ndarray, window: int) -> np.ndarray:
    """How many of the spans (read, 2) touch each bin of the window that begins at a base."""
    first, last = (spans.reshape(-1, 2).T - window) // BIN_SIZE
    inside = (last >= 0) & (first < N_BINS)
    change = np.zeros(N_BINS + 1, dtype=np.int64)
    np.add.at(change, np.maximum(first[inside], 0), 1)
    np.add.at(change, np.minimum(last[inside] + 1, N_BINS), -1)
    return np.minimum(change.cumsum()[:N_BINS], COUNT_LIMIT)


def _places(
    lengths: Mapping[str, int], windows: GeneWindows, path: str | Path, bar: tqdm
) -> Iterator[tuple[int, int, str, int, int]]:
    """Each gene's row, first base of its window, and where to read: the file's own name of the
    chromosome, start and end; windows beyond the chromosome's ends are cut."""
    names = chromosome_names(lengths, path)
    windows.check_chromosomes(names, str(path), whole=True)
    for name, own in names.items():
        if windows.lengths.get(name, lengths[own]) != lengths[own]:
            raise DataError(
                f"{path}: {own} has {lengths[own]:,} bp, and {windows.lengths[name]:,} in the"
                f" genome of {windows.name}; give a file of that genome, or a GTF of its own."
            )
    for chromosome, rows, edges in windows.by_chromosome():
        own = names.get(chromosome)
        beyond = edges[:, edges.shape[1] // 2] > lengths.get(own, LONGEST)
        if beyond.any():
            raise DataError(
                f"{path}: {beyond.sum():,} genes of {windows.name} start beyond the end of {own},"
                f" {lengths[own]:,} bp; give a file and genes of one genome."
            )
        for row, first, last in zip(rows, edges[:, 0], edges[:, -1], strict=True):
            start, end = max(int(first), 0), min(int(last), lengths.get(own, 0))
            if start < end:
                yield int(row), int(first), own, start, end
        bar.update(len(rows))


@contextmanager
def _explained(path: str | Path) -> Iterator[None]:
    """What a missing package, or the reading of a damaged file raises, as a DataError."""
    input_file(path)
    try:
        yield
    except DataError:
        raise
    except ImportError as error:
        message = f"{path} needs the package {error.name}: pip install 'dc2lib[tracks]'."
        raise DataError(message) from None
    except (OSError, RuntimeError, ValueError) as error:
        first = error.__context__ or error  # closing a damaged file fails too
        raise DataError(
            f"{path} cannot be read ({first}); is it whole, of its kind, and its index its own?"
        ) from None
