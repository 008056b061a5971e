"""One cell type's histone marks around its genes, with what the labels are made from."""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np
import pandas as pd

from dc2lib.errors import DataError
from dc2lib.labels import above, sorts_after

SPLITS = ("train", "valid", "test")
MARKS = ("H3K27me3", "H3K36me3", "H3K4me1", "H3K4me3", "H3K9me3")
SOURCES = ("roadmap", "simulated", "peaks", "tracks", "binned", "patternchrome")
UNITS = ("reads", "coverage", "peak signal", "rank")
N_BINS = 100
COUNT_LIMIT = np.iinfo(np.uint16).max
NO_GENES = {"", "nan", "NaN", "NA", "None", "<NA>"}
BOTH_CLASSES = 100  # genes, from which on a class of less than 5 % is no class
MISSING = ("", "NA", "NaN", "nan")
DECIMAL = set("0123456789.eE+- ")
CELL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


@dataclass(frozen=True, eq=False)
class HistoneDataset:
    """Histone marks of one cell type: read counts, or another measure of them.

    Build it with :meth:`from_arrays`, which checks everything; the constructor takes what it is
    given. Counts are read-only, may be memory-mapped, and run along the genome, not along the gene,
    as released. Values of different units are never pooled as they are: see
    `dc2lib.signals.comparable`.
    """

    counts: np.ndarray  #: (gene, bin, mark): reads per 100-bp bin, uint16, or `unit`, float32
    gene_id: np.ndarray  #: str (gene,): Ensembl ids
    cell: str  #: such as "E012", Roadmap's epigenome id
    split: np.ndarray  #: str (gene,): "train", "valid" or "test"
    marks: tuple[str, ...]  #: names of the last axis of `counts`
    source: str  #: one of SOURCES: all are measured but "simulated"
    unit: str = "reads"  #: one of UNITS
    released_label: np.ndarray | None = None  #: int8 (gene,): 0 or 1, came with the counts
    rpkm: np.ndarray | None = None  #: float64 (gene,): reads per kilobase and million reads
    rpkm_text: np.ndarray | None = None  #: str (gene,): the same, as in their file
    rpkm_median_text: str | None = None  #: of the cell's whole column, in the file's notation
    strand: np.ndarray | None = None  #: str (gene,): "+", "-" or "." (unknown); never released

    def __len__(self) -> int:
        return len(self.gene_id)

    def __repr__(self) -> str:
        genes, bins, marks = self.counts.shape
        measure = "" if self.unit == "reads" else f"{self.unit} of "
        return (
            f"HistoneDataset({self.cell}, {self.source}: {measure}{genes:,} genes x {bins} bins"
            f" x {marks} marks)"
        )

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (hex) over the content: equal datasets, equal fingerprints."""
        digest = hashlib.sha256()
        unit = () if self.unit == "reads" else (self.unit,)
        names = (self.cell, self.source, *unit, *self.marks, str(self.rpkm_median_text))
        digest.update("\0".join(names).encode())
        for name in PER_GENE:
            values = getattr(self, name)
            digest.update(f"\0{name}\0".encode())
            if values is not None:
                digest.update(content_bytes(values))
        return digest.hexdigest()

    def take(self, split: str) -> HistoneDataset:
        """The genes of one split; views of the same memory where the split is contiguous.

        Raises DataError if `split` is not one of train, valid, test.
        """
        if split not in SPLITS:
            raise DataError(f"Unknown split {split!r}: use one of {', '.join(SPLITS)}.")
        return self.select(_as_slice(np.flatnonzero(self.split == split)))

    def select(self, genes: np.ndarray | slice) -> HistoneDataset:
        """The genes given by an index array, a mask or a slice, in that order."""
        chosen = {
            name: getattr(self, name)[genes] for name in PER_GENE if getattr(self, name) is not None
        }
        return replace(self, **chosen)

    def with_marks(self, marks: Sequence[str]) -> HistoneDataset:
        """The named marks only, in the order given.

        Raises DataError if no mark is named, one is named twice, or the cell type lacks one.
        """
        marks = tuple(marks)
        for mark in marks:
            if mark not in self.marks:
                raise DataError(
                    f"{self.cell} has no mark {mark!r}.{nearest_mark(mark, self.marks)}"
                    f" It has {', '.join(self.marks)}."
                )
        _check_marks(marks, self.cell)
        if marks == self.marks:
            return self
        counts = self.counts[:, :, [self.marks.index(mark) for mark in marks]]
        return replace(self, counts=_read_only(counts), marks=marks)

    def gene_oriented(self) -> np.ndarray:
        """Counts (gene, bin, mark) with the bins of minus-strand genes reversed: upstream first.

        Raises DataError if the strands are not known.
        """
        if self.strand is None:
            raise DataError(
                f"{self.cell}: the strands of the genes are not known, so bins cannot be turned"
                " along the gene; give strand to HistoneDataset.from_arrays, or keep the genome's"
                " orientation."
            )
        minus = (self.strand == "-")[:, None, None]
        return np.where(minus, self.counts[:, ::-1], self.counts)

    @classmethod
    def from_arrays(
        cls,
        counts: np.ndarray,
        gene_id: Sequence[str] | np.ndarray,
        cell: str,
        split: Sequence[str] | np.ndarray,
        *,
        marks: Sequence[str] = MARKS,
        source: str = "roadmap",
        unit: str = "reads",
        released_label: Sequence[int] | np.ndarray | None = None,
        rpkm: Sequence[float] | np.ndarray | None = None,
        rpkm_text: Sequence[str] | np.ndarray | None = None,
        rpkm_median_text: str | None = None,
        strand: Sequence[str] | np.ndarray | None = None,
    ) -> Self:
        """A checked dataset from your own arrays.

        Raises DataError if shapes disagree, a gene comes twice, a value is impossible or masked,
        `rpkm` is not what `rpkm_text` says, nearly all genes lie on one side of the median, or
        `released_label` calls low what the expression calls high.

        Parameters
        ----------
        counts : array (gene, bin, mark)
            Reads: whole numbers from 0 to 65,535. Other units: finite numbers not below 0.
        gene_id, split, released_label, rpkm, rpkm_text : sequences (gene,)
            `rpkm` is read from `rpkm_text` where only the text is given; NaN means no number.
        rpkm_median_text : str, optional
            Default: the median over the genes given here (see :func:`median_text`).
        strand : sequence of "+", "-" or "." (gene,), optional

        Examples
        --------
        >>> import numpy as np
        >>> mine = HistoneDataset.from_arrays(
        ...     np.zeros((2, 100, 5), dtype=int), ["ENSG00000000003", "ENSG00000000005"],
        ...     "mine", ["train", "test"], rpkm_text=["23.265", "0.872"])
        >>> mine
        HistoneDataset(mine, roadmap: 2 genes x 100 bins x 5 marks)
        """
        check_cell_name(cell)
        marks = (marks,) if isinstance(marks, str) else tuple(str(mark) for mark in marks)
        if source not in SOURCES:
            raise DataError(f"{cell}: unknown source {source!r}; use one of {', '.join(SOURCES)}.")
        if unit not in UNITS:
            raise DataError(f"{cell}: unknown unit {unit!r}; use one of {', '.join(UNITS)}.")
        _check_marks(marks, cell)
        counts = _checked_counts(_unmasked(counts, "counts", cell), marks, cell, unit)
        if rpkm is None and rpkm_text is not None:
            rpkm = numbers(np.asarray(rpkm_text, dtype=str), f"{cell}: rpkm_text")
        given = {
            name: _per_gene(values, name, len(counts), cell)
            for name, values in {
                "gene_id": gene_id, "split": split, "released_label": released_label,
                "rpkm": rpkm, "rpkm_text": rpkm_text, "strand": strand,
            }.items()
        }  # fmt: skip
        _check_genes(given["gene_id"], cell)
        _check_rpkm(given["rpkm"], given["rpkm_text"], rpkm_median_text, cell)
        known = rpkm is not None and len(counts) and np.isfinite(given["rpkm"]).all()
        if rpkm_median_text is None and known:
            rpkm_median_text = median_text(given["rpkm"], given["rpkm_text"])
        if known and rpkm_median_text:
            _check_classes(given["released_label"], given["rpkm"], given["rpkm_text"],
                           rpkm_median_text, cell)  # fmt: skip
        given = {name: _read_only(values) for name, values in {"counts": counts, **given}.items()}
        return cls(
            cell=cell, marks=marks, source=source, unit=unit, rpkm_median_text=rpkm_median_text,
            **given,
        )


def check_alike(cells: Iterable[HistoneDataset]) -> None:
    """Raise DataError unless one model may read all these cell types as they are stored.

    That is, they have the same marks in the same order, as many bins, and one unit.
    """
    first = None
    for one in cells:
        first = first or one
        for what, mine, other in (
            ("marks", one.marks, first.marks),
            ("bins", one.counts.shape[1], first.counts.shape[1]),
            ("unit", one.unit, first.unit),
        ):
            if mine != other:
                raise DataError(
                    f"{one.cell} has the {what} {mine}, and {first.cell} {other}: a model of one"
                    " would take the other's for its own. Make them alike, by name, with"
                    " dc2lib.signals.comparable_store, or leave one of them out."
                )


def shared_marks(cells: Iterable[HistoneDataset]) -> tuple[str, ...]:
    """The marks that all cell types have, in the order of the first: what one study can use.

    Raises DataError if they share none; the message lists what each has.
    """
    cells = list(cells)
    shared = [mark for mark in cells[0].marks if all(mark in one.marks for one in cells)]
    if not shared:
        marks = "; ".join(f"{one.cell}: {', '.join(one.marks)}" for one in cells)
        raise DataError(f"These cell types share no mark ({marks}); leave one of them out.")
    return tuple(shared)


PER_GENE = ("counts", "gene_id", "split", "released_label", "rpkm", "rpkm_text", "strand")
NUMERIC = {"rpkm": np.float64, "released_label": np.float64}
ALLOWED = {"split": SPLITS, "strand": ("+", "-", "."), "released_label": (0, 1)}


def content_bytes(values: np.ndarray) -> bytes | memoryview:
    """What a digest of `values` is taken over; the same whatever the width of a text type."""
    if values.dtype.kind == "U":
        return "\0".join(values.tolist()).encode()
    return memoryview(np.ascontiguousarray(values)).cast("B") if values.size else b""


def median_text(rpkm: np.ndarray, rpkm_text: np.ndarray | None = None) -> str:
    """Median of an expression column, in the notation of its file.

    With an odd number of values it is the text of one of them; with an even number it is the mean
    of the two in the middle, with the decimals of the file, or one more where they are needed.
    Missing values (NaN) are left out; without any number the text is empty.

    Examples
    --------
    >>> import numpy as np
    >>> median_text(np.array([2.5, 10.575, 3.329]), np.array(["2.500", "10.575", "3.329"]))
    '3.329'
    """
    rpkm = np.asarray(rpkm, dtype=np.float64)
    order = np.argsort(rpkm, kind="stable")
    order = order[np.isfinite(rpkm[order])]
    if not len(order):
        return ""
    low, high = order[(len(order) - 1) // 2], order[len(order) // 2]
    texts = [f"{value:.3f}" for value in rpkm[[low, high]]]
    if rpkm_text is not None:
        texts = [str(rpkm_text[low]), str(rpkm_text[high])]
    if rpkm[low] == rpkm[high]:
        return texts[0]
    middle = (rpkm[low] + rpkm[high]) / 2
    decimals = max(len(text.partition(".")[2]) for text in texts)
    short, long = f"{middle:.{decimals}f}", f"{middle:.{decimals + 1}f}"
    return short if float(short) == float(long) else long


def numbers(text: np.ndarray, where: str) -> np.ndarray:
    """Texts as float64; a text that says that there is none (`MISSING`) becomes NaN.

    Raises DataError if another text is no finite number; the message starts with `where`.
    """
    missing = np.isin(text, MISSING)
    if set("".join(text[~missing].tolist())) <= DECIMAL:
        with suppress(ValueError):
            values = np.where(missing, "nan", text).astype(np.float64)
            if not np.isinf(values).any():
                return values
    given = pd.Series(text[~missing], dtype=str)
    plain = given.map(lambda one: set(one) <= DECIMAL)
    wrong = given[~(plain & np.isfinite(pd.to_numeric(given, errors="coerce")))].iloc[0]
    raise DataError(
        f"{where}: {str(wrong)!r} is not a number, or is infinite; where there is none, leave the"
        " field empty or write NA."
    )


def check_cell_name(cell: str) -> None:
    """Raise DataError unless `cell` can name a folder of the store."""
    if not isinstance(cell, str) or not CELL_NAME.fullmatch(cell):
        raise DataError(
            f"{cell!r} cannot name a cell type: use letters, digits, '_', '-' and '.',"
            " beginning with a letter or digit, 64 characters at most."
        )


def _as_slice(index: np.ndarray) -> np.ndarray | slice:
    if len(index) and index[-1] - index[0] + 1 == len(index):
        return slice(int(index[0]), int(index[-1]) + 1)
    return index


def _read_only(values: np.ndarray | None) -> np.ndarray | None:
    if values is None:
        return None
    view = values.view()
    view.flags.writeable = False
    return view


def _unmasked(values: object, name: str, cell: str) -> np.ndarray:
    if np.ma.is_masked(values):
        raise DataError(f"{cell}: {name} are masked in part; fill them in, or leave genes out.")
    try:
        return np.asarray(values)
    except ValueError as error:
        raise DataError(f"{cell}: {name} are no array ({error}).") from None


def _per_gene(values: object, name: str, n_genes: int, cell: str) -> np.ndarray | None:
    """One entry a gene, of its type, and none but those allowed."""
    if values is None:
        return None
    array = _unmasked(values, name, cell)
    try:
        kinds = {"rpkm": "bc", "released_label": "c"}.get(name, "biufc")
        if array.dtype.kind in kinds:
            raise ValueError(f"{array.dtype} values")
        array = array.astype(NUMERIC.get(name, str))
        array = np.char.strip(array) if array.dtype.kind == "U" else array
    except (ValueError, TypeError) as error:
        expected = "numbers" if name in NUMERIC else "texts"
        raise DataError(f"{cell}: {name} holds no {expected} ({error}).") from None
    if array.shape != (n_genes,):
        raise DataError(
            f"{cell}: {name} has shape {array.shape}, expected ({n_genes},), one entry a gene."
        )
    if name in ALLOWED and (unknown := set(array.tolist()) - set(ALLOWED[name])):
        allowed = ", ".join(map(str, ALLOWED[name]))
        raise DataError(f"{cell}: {name} holds {min(unknown)!r}; use {allowed} only.")
    return array.astype(np.int8) if name == "released_label" else array


def _check_genes(gene_id: np.ndarray, cell: str) -> None:
    ids = gene_id.tolist()
    if none := [one for one in ids if one in NO_GENES or not one.isprintable()]:
        raise DataError(f"{cell}: gene {ids.index(none[0]) + 1} has no id, but {none[0]!r}.")
    if len(set(ids)) == len(ids):
        return
    ids, times = np.unique(gene_id, return_counts=True)
    raise DataError(
        f"{cell}: gene {ids[times > 1][0]} comes {times.max()} times; give each gene once."
    )


def _check_rpkm(
    rpkm: np.ndarray | None, text: np.ndarray | None, median: str | None, cell: str
) -> None:
    """Expression that can be, and that is what its text says."""
    if rpkm is not None:
        wrong = (rpkm < 0) | np.isinf(rpkm)
        if wrong.any():
            raise DataError(f"{cell}: rpkm holds {rpkm[wrong][0]:g}; expected 0 or more, finite.")
    if not isinstance(median, str | None):
        raise DataError(f"{cell}: the median is {median!r}; give it as text, as its file has it.")
    if median and not numbers(np.array([median]), f"{cell}: median")[0] >= 0:
        raise DataError(f"{cell}: the median is {median!r}; expected a number of 0 or more.")
    if rpkm is None or text is None:
        return
    said = numbers(text, f"{cell}: rpkm_text")
    differing = ~np.isclose(rpkm, said, rtol=1e-6, atol=0, equal_nan=True)
    for gene in np.flatnonzero(differing):
        if not abs(rpkm[gene] - said[gene]) <= 0.51 * _last_place(text[gene]):
            raise DataError(
                f"{cell}: gene {gene + 1} has rpkm {rpkm[gene]:g} and rpkm_text"
                f" {str(text[gene])!r}; give the text that the number was read from."
            )


def _check_classes(
    label: np.ndarray | None, rpkm: np.ndarray, text: np.ndarray | None, median: str, cell: str
) -> None:
    """Expression that tells high from low, and labels that are not its opposite."""
    high = above(rpkm, median)
    if len(high) >= BOTH_CLASSES and not 0.05 < high.mean() < 0.95:
        raise DataError(
            f"{cell}: {high.sum():,} of {len(high):,} genes have an expression above the median,"
            f" {median}; expected about half. Is the table of expression, whose median this is, of"
            " other genes, or nearly all 0?"
        )
    if label is None or label.min() == label.max():
        return
    rules = [high] if text is None else [high, sorts_after(text, median)]
    agree = [np.corrcoef(label, rule)[0, 1] for rule in rules if rule.any() and not rule.all()]
    best = max(agree, key=abs, default=0.0)
    if best < -4 / np.sqrt(len(label)):  # beyond chance
        raise DataError(
            f"{cell}: the labels are the opposite of the expression (correlation {best:.2f}):"
            " expected 1 for high and 0 for low. Turn them round; or is the expression another's?"
        )


def _last_place(text: str) -> float:
    """What one in the last place of a number's text means.

    >>> _last_place("3.20"), _last_place("7"), _last_place("1.5e3")
    (0.01, 1.0, 100.0)
    """
    digits, _, power = text.lower().partition("e")
    return float(f"1e{int(power or 0) - len(digits.strip().partition('.')[2])}")


def _check_marks(marks: tuple[str, ...], cell: str) -> None:
    if not marks:
        raise DataError(f"{cell}: no mark is named; name at least one.")
    if not all(mark.strip() and mark.isprintable() for mark in marks):
        raise DataError(f"{cell}: the marks are {marks!r}; give each a name of printable signs.")
    if len(set(marks)) < len(marks):
        raise DataError(f"{cell}: a mark comes twice in {', '.join(marks)}; name each once.")


def nearest_mark(mark: str, known: Sequence[str]) -> str:
    """A sentence with the known mark that looks most like `mark`, upper and lower case alike."""
    upper = {one.upper(): one for one in known}
    nearest = difflib.get_close_matches(mark.upper(), upper, n=1, cutoff=0.6)
    return f" Did you mean {upper[nearest[0]]}?" if nearest else ""


def _checked_counts(counts: np.ndarray, marks: tuple[str, ...], cell: str, unit: str) -> np.ndarray:
    if counts.ndim != 3 or counts.shape[2] != len(marks) or counts.shape[1] == 0:
        raise DataError(
            f"{cell}: counts have shape {counts.shape}, expected (gene, bin, mark)"
            f" with the {len(marks)} marks {', '.join(marks)} last."
        )
    if unit != "reads":
        return _checked_signal(counts, cell, unit)
    if counts.dtype == np.uint16:
        return counts
    if counts.dtype.kind not in "uif":
        raise DataError(f"{cell}: counts are {counts.dtype}, expected whole numbers.")
    if counts.size == 0:
        return counts.astype(np.uint16)
    if counts.dtype.kind == "f" and not (counts == np.floor(counts)).all():
        raise DataError(f"{cell}: counts must be whole numbers, and some are not.")
    if counts.min() < 0 or counts.max() > COUNT_LIMIT:
        raise DataError(
            f"{cell}: counts run from {counts.min()} to {counts.max()},"
            f" expected 0 to {COUNT_LIMIT:,} reads a bin."
        )
    return counts.astype(np.uint16)


def _checked_signal(values: np.ndarray, cell: str, unit: str) -> np.ndarray:
    if values.dtype.kind not in "uif":
        raise DataError(f"{cell}: {unit} is {values.dtype}, expected numbers.")
    signal = values.astype(np.float32, copy=False)
    if not (np.isfinite(signal).all() and (signal >= 0).all()):
        raise DataError(f"{cell}: {unit} must be finite and not below 0, and some values are not.")
    return signal
