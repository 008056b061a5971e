"""The released CSV layout, read and written: one file a split, a row a gene and bin, no header.

A row holds gene, bin (1 to 100), one count a mark, and the gene's label; the 100 rows of a gene
follow each other in bin order. The gene is its full Ensembl id or that id's last six digits.
"""

from __future__ import annotations

import codecs
import io
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import csv

from dc2lib.datasets.gene_windows import missing_genes
from dc2lib.datasets.histone import COUNT_LIMIT, MARKS, N_BINS, SPLITS, HistoneDataset
from dc2lib.datasets.published import gene_strand
from dc2lib.datasets.rpkm import RpkmTable, lost_zeros, read_rpkm, refuse_spreadsheet
from dc2lib.errors import DataError
from dc2lib.files import atomic_write, input_file, unpacked

FILES = "train.csv, valid.csv, test.csv"
SPLIT_LIMIT = 256 * 2**20
HUMAN_PREFIX = "ENSG00000"
WHOLE = re.compile(r"\d{1,9}", re.ASCII)
SHORT_ID = re.compile(r"\d{6}", re.ASCII)
FULL_ID = re.compile(r"ENS[A-Z]*G\d{11}", re.ASCII)


@dataclass(frozen=True)
class SplitTable:
    """One parsed file: `counts` uint16 (gene, bin, mark), `gene_id` and `label` (gene,)."""

    counts: np.ndarray
    gene_id: np.ndarray
    label: np.ndarray


def read_csv_folder(
    folder: str | Path,
    cell: str | None = None,
    rpkm: RpkmTable | str | Path | None = None,
    marks: Sequence[str] = MARKS,
    partial: bool = False,
) -> HistoneDataset:
    """A cell type of your own, from three CSV files in the released layout.

    Raises DataError if a file is missing or wrong; the message names the file, line and gene.

    Parameters
    ----------
    folder
        Holds ``classification/{train,valid,test}.csv`` or ``{train,valid,test}.csv``, gzipped
        (``.csv.gz``) or not.
    cell
        Name of the cell type; default the folder's name.
    rpkm
        Expression table, or its path, with a column named `cell`; without it there are no labels.
    marks
        Names of the count columns.
    partial
        Whether a split may be a first part of DeepChrome's beside another that is whole.
    """
    folder = Path(folder)
    if len(set(marks)) < len(marks):
        raise DataError(f"A mark comes twice in {', '.join(marks)}; name each column once.")
    if not os.path.isdir(folder):
        raise DataError(f"{folder} is no folder; give one that holds {FILES}.")
    inner = folder / "classification"
    inner = inner if inner.is_dir() else folder
    paths = {split: split_file(inner, split) for split in SPLITS}
    for path in paths.values():
        check_size(input_file(path, f"a cell type needs {FILES}").stat().st_size, str(path))
    tables = {split: read_split(_content(path), str(path), marks) for split, path in paths.items()}
    if isinstance(rpkm, (str, Path)):
        rpkm = read_rpkm(rpkm)
    cell = cell or folder.resolve().name
    return assemble(cell, tables, str(inner), rpkm=rpkm, marks=marks, partial=partial)[0]


def split_file(folder: Path, split: str) -> Path:
    """Where a split's file lies in a folder, packed or not; DataError if both are there."""
    plain, packed = folder / f"{split}.csv", folder / f"{split}.csv.gz"
    if plain.exists() and packed.exists():
        raise DataError(f"{packed} is there beside {plain.name}; keep one of the two.")
    return packed if packed.exists() else plain


def _content(path: Path) -> bytes:
    with unpacked(path) as file:
        data = file.read(SPLIT_LIMIT + 2**20)
    check_size(len(data), str(path))
    return data


def read_split(data: bytes, name: str, marks: Sequence[str] = MARKS) -> SplitTable:
    """Parse and check the bytes of one split's CSV file, which messages call `name`.

    Raises DataError, which names the file, the line or gene, and what was expected.
    """
    data = data.removeprefix(codecs.BOM_UTF8)
    refuse_spreadsheet(data, name)
    if not data.strip():
        raise DataError(
            f"{name} is empty; expected {N_BINS} rows a gene. Get the file again; if it is empty"
            " upstream too, leave this cell type out."
        )
    width = max(data[:64].lstrip().find(b","), 1)
    try:
        table = _parse(data, marks, width)
    except pa.ArrowInvalid as error:
        raise DataError(_first_wrong_line(data, name, marks, width) or f"{name}: {error}") from None
    gene = np.frombuffer(table["gene"].combine_chunks().buffers()[1], f"S{width}", len(table))
    bins, *counts, label = (column.to_numpy() for column in table.columns[1:])
    if bins.min() < 1 or bins.max() > N_BINS or label.max() > 1:
        raise DataError(
            _first_wrong_line(data, name, marks, width) or f"{name}: wrong bin or label"
        )
    _check_blocks(gene, bins, name)
    gene, label = gene[::N_BINS], label.reshape(-1, N_BINS)
    _check_one_label(label, gene, name)
    counts = np.stack(counts, axis=1).reshape(-1, N_BINS, len(marks))
    return SplitTable(counts, _full_ids(gene, name), label[:, 0].astype(np.int8))


def assemble(
    cell: str,
    tables: Mapping[str, SplitTable],
    where: str,
    *,
    rpkm: RpkmTable | None = None,
    marks: Sequence[str] = MARKS,
    partial: bool = False,
) -> tuple[HistoneDataset, list[str]]:
    """One dataset out of the three splits, and the genes that came twice.

    A gene that comes again with the same counts and the same label is kept once, where it came
    first (the gene list that DeepChrome used names seven genes twice).

    Raises DataError if a split is missing or breaks off (see `missing_genes`), a gene comes again
    with other counts or another label, or the expression table lacks the cell or a gene.
    """
    absent = [f"{split}.csv" for split in SPLITS if split not in tables]
    if absent:
        raise DataError(
            f"{cell}: {' and '.join(absent)} missing in {where};"
            f" a cell type needs {FILES}. Get the archive or folder again."
        )
    counts, gene_id, label = (
        np.concatenate([getattr(tables[split], name) for split in SPLITS])
        for name in ("counts", "gene_id", "label")
    )
    split = np.repeat(SPLITS, [len(tables[split].gene_id) for split in SPLITS])
    keep, repeated = _first_of_each(counts, gene_id, label, f"{cell} in {where}")
    lost = set(split) - set(split[keep])
    if lost:
        raise DataError(
            f"{cell} in {where}: every gene of {', '.join(sorted(lost))} is in another split too;"
            " is a file there under two names?"
        )
    if repeated:
        counts, gene_id, label, split = counts[keep], gene_id[keep], label[keep], split[keep]
    missing_genes(gene_id, split, f"{cell} in {where}", partial)
    dataset = HistoneDataset.from_arrays(
        counts, gene_id, cell, split, marks=marks, released_label=label,
        strand=gene_strand(gene_id), **({} if rpkm is None else rpkm.join(cell, gene_id)),
    )  # fmt: skip
    return dataset, repeated


def write_released_csv(dataset: HistoneDataset, folder: str | Path) -> Path:
    """The counts and labels of one cell type in the released layout.

    The gene is the last six digits of its id. Writes the folder's
    ``<cell>/classification/{train,valid,test}.csv`` and returns the cell type's folder. Raises
    DataError if there are no labels, or two genes agree in the last six digits.
    """
    if dataset.released_label is None:
        raise DataError(f"{dataset.cell}: the released layout holds labels; there are none here.")
    if len({gene[-6:] for gene in dataset.gene_id.tolist()}) < len(dataset):
        raise DataError(f"{dataset.cell}: some genes agree in the last six digits of their ids.")
    target = Path(folder) / dataset.cell
    for split in SPLITS:
        table = _rows(dataset.take(split))
        with atomic_write(target / "classification" / f"{split}.csv") as unfinished:
            csv.write_csv(
                table, unfinished, csv.WriteOptions(include_header=False, quoting_style="none")
            )
    return target


def check_size(size: int, name: str) -> None:
    """Raise DataError if a split's file is larger than any real one could be."""
    if size > SPLIT_LIMIT:
        raise DataError(
            f"{name} holds {size / 2**20:,.0f} MiB, more than the {SPLIT_LIMIT / 2**20:,.0f} MiB"
            " that a split may have; this is not a file in the released layout."
        )


def _rows(dataset: HistoneDataset) -> pa.Table:
    n_genes, n_bins, n_marks = dataset.counts.shape
    names = [gene[-6:] for gene in dataset.gene_id.tolist()]
    columns = [np.repeat(names, n_bins), np.tile(np.arange(1, n_bins + 1), n_genes)]
    columns += [dataset.counts[:, :, m].ravel() for m in range(n_marks)]
    columns += [np.repeat(dataset.released_label, n_bins)]
    return pa.table(columns, names=[str(i) for i in range(len(columns))])


def _parse(data: bytes, marks: Sequence[str], width: int) -> pa.Table:
    types = {"gene": pa.binary(width), "bin": pa.uint16()}
    types |= dict.fromkeys(marks, pa.uint16()) | {"label": pa.uint8()}
    return csv.read_csv(
        pa.BufferReader(data),
        read_options=csv.ReadOptions(column_names=list(types)),
        parse_options=csv.ParseOptions(quote_char=False),
        convert_options=csv.ConvertOptions(column_types=types, null_values=[]),
    )


def _check_blocks(gene: np.ndarray, bins: np.ndarray, name: str) -> None:
    if len(bins) % N_BINS == 0:
        in_order = (bins.reshape(-1, N_BINS) == np.arange(1, N_BINS + 1)).all()
        blocks = gene.reshape(-1, N_BINS)
        if in_order and (blocks == blocks[:, :1]).all():
            return
    starts = np.flatnonzero(np.r_[True, gene[1:] != gene[:-1]])
    for start, stop in zip(starts, np.r_[starts[1:], len(gene)], strict=True):
        problem = _block_problem(bins[start:stop])
        if problem:
            raise DataError(
                f"{name}, line {start + 1}: gene {gene[start].decode()} {problem};"
                f" expected bins 1 to {N_BINS}, each once and in order. Get the file again."
            )


def _block_problem(bins: np.ndarray) -> str | None:
    blocks = max(1, round(len(bins) / N_BINS))
    wanted = np.tile(np.arange(1, N_BINS + 1), blocks)
    if np.array_equal(bins, wanted):
        return None
    times = np.bincount(bins, minlength=N_BINS + 1)[1:]
    if (times > blocks).any():
        return f"has bin {np.flatnonzero(times > blocks)[0] + 1} repeated"
    if (times < blocks).any():
        missing = np.flatnonzero(times < blocks)[0] + 1
        return f"has {len(bins)} bins, bin {missing} is missing"
    return "has its bins out of order"


def _check_one_label(label: np.ndarray, gene: np.ndarray, name: str) -> None:
    torn = np.flatnonzero((label != label[:, :1]).any(axis=1))
    if len(torn):
        line = torn[0] * N_BINS + 1
        raise DataError(
            f"{name}, line {line}: gene {gene[torn[0]].decode()} has two labels, 0 and 1;"
            " expected the same label in all its rows. Get the file again."
        )


def _full_ids(gene: np.ndarray, name: str) -> np.ndarray:
    texts = [one.decode("utf-8", "replace") for one in gene.tolist()]
    for text in texts:
        if not (SHORT_ID.fullmatch(text) or FULL_ID.fullmatch(text)):
            raise DataError(
                f"{name}: {text!r} is no gene; expected an Ensembl gene id such as"
                f" ENSG00000000003, or its last six digits.{lost_zeros(text)}"
            )
    return np.array([HUMAN_PREFIX + text if len(text) == 6 else text for text in texts])


def _first_of_each(
    counts: np.ndarray, gene_id: np.ndarray, label: np.ndarray, where: str
) -> tuple[np.ndarray, list[str]]:
    """Where each gene comes first, and the genes that come again with the same content."""
    _, first, inverse = np.unique(gene_id, return_index=True, return_inverse=True)
    again = np.flatnonzero(first[inverse] != np.arange(len(gene_id)))
    for later, earlier in zip(again, first[inverse][again], strict=True):
        if label[later] != label[earlier] or (counts[later] != counts[earlier]).any():
            raise DataError(
                f"{where}: gene {gene_id[later]} comes twice, with different counts or labels;"
                " remove one of the two."
            )
    return np.sort(first), gene_id[again].tolist()


def _first_wrong_line(data: bytes, name: str, marks: Sequence[str], width: int) -> str | None:
    for number, line in enumerate(io.BytesIO(data), start=1):
        if not line.strip():
            continue
        problem = _line_problem(line.decode("utf-8", "replace").strip().split(","), marks, width)
        if problem:
            return f"{name}, line {number}: {problem}"
    return None


def _line_problem(fields: list[str], marks: Sequence[str], width: int) -> str | None:
    columns = ("gene", "bin", *marks, "label")
    if len(fields) != len(columns):
        apart = "; they are separated by commas" if len(fields) == 1 else ""
        return f"{len(fields)} columns, expected {len(columns)}: {', '.join(columns)}{apart}."
    if fields[1:-1] == list(columns[1:-1]):
        return "a header; the released layout has none, remove it."
    gene, position, *counts, label = fields
    if len(gene.encode()) != width:
        wanted = f"expected {width} characters as in the first line.{lost_zeros(gene)}"
        return f"gene {gene!r}, {wanted}"
    if not WHOLE.fullmatch(position) or not 1 <= int(position) <= N_BINS:
        return f"bin {position!r}, expected a whole number from 1 to {N_BINS}."
    for mark, count in zip(marks, counts, strict=True):
        problem = _count_problem(count)
        if problem:
            return f"{mark} count {count!r} {problem}; expected 0 to {COUNT_LIMIT:,} reads."
    if label not in ("0", "1"):
        return f"label {label!r}, expected 0 or 1."
    return None


def _count_problem(count: str) -> str | None:
    try:
        value = float(count)
    except ValueError:
        return "is not a number"
    if value < 0:
        return "is negative"
    if value > COUNT_LIMIT:
        return "is too large"
    return None if WHOLE.fullmatch(count.strip()) else "is not a whole number"
