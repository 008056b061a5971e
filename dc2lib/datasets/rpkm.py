"""Roadmap's table of gene expression: RPKM of 19,795 protein-coding genes in 56 cell types.

Every data row of the file ends in a tab and the header does not. A reader that therefore takes the
first field for the row's name, and pairs the header's 58 names with the 58 fields after it, gives
each cell type the numbers of the next one; ``pandas.read_csv(path, sep="\\t")`` does so without a
word. That is how the table was read for the paper's correlations.
"""

from __future__ import annotations

import codecs
import difflib
import gzip
import re
from collections.abc import Mapping
from csv import reader
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import dropwhile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import csv

from dc2lib.datasets.histone import MISSING, HistoneDataset, median_text, numbers
from dc2lib.errors import DataError
from dc2lib.files import atomic_write, input_file, text_lines

FILE_NAME = "57epigenomes.RPKM.pc.gz"
URL = f"https://egg2.wustl.edu/roadmap/data/byDataType/rna/expression/{FILE_NAME}"
REFERENCE_COLUMNS = ("E000",)
ALIGNMENTS = ("aligned", "released")
GENE = re.compile(r"^(ENS\w*\d{11})(?:\.\d+(?:_\d+)?)?$")
CELL = re.compile(r"E\d{3}", re.ASCII)
GENES_COLUMN = re.compile("gene|ensembl|symbol|^(id|name|x|rownames|)$", re.IGNORECASE)
BYTE_ORDER_MARK = "\ufeff"
SHORT_ID_DIGITS = 6  # of an Ensembl id, in the released layout
WORKBOOK, OLD_WORKBOOK = b"PK\x03\x04", b"\xd0\xcf\x11\xe0"


@dataclass(frozen=True, eq=False)
class RpkmTable:
    """Expression by gene and cell type, as numbers and as the file's text."""

    gene_id: np.ndarray  #: str (gene,)
    table: pa.Table  #: a text column a cell type; the reference E000 is not there
    name: str  #: the file, for messages

    @property
    def cells(self) -> list[str]:
        """The cell types, in the order of the file."""
        return list(self.table.column_names)

    def text(self, cell: str) -> np.ndarray:
        """Expression of one cell type as written in the file, without spaces around it."""
        check_cell(cell, self.cells, self.name)
        return np.char.strip(np.array(self.table.column(cell).to_pylist(), dtype=str))

    def rpkm(self, cell: str) -> np.ndarray:
        """Expression of one cell type in RPKM, float64 (gene,); NaN where the file has nothing."""
        return numbers(self.text(cell), f"{self.name}, column {cell}")

    def median_text(self, cell: str) -> str:
        """Median over all genes that have a number, in the file's notation."""
        return median_text(self.rpkm(cell), self.text(cell))

    def frame(self) -> pd.DataFrame:
        """RPKM as a table (gene, cell), indexed by gene id and cell type."""
        return pd.DataFrame({cell: self.rpkm(cell) for cell in self.cells}, index=self.gene_id)

    def join(self, cell: str, gene_id: np.ndarray) -> dict[str, np.ndarray | str]:
        """Expression of the given genes, as the keyword arguments of HistoneDataset.from_arrays.

        Other genes may lack a number (see `read_rpkm`); the median is that of all the rest.
        Raises DataError if the table lacks the cell type or a gene, has no number for it, or any
        number is negative.
        """
        text = self.text(cell)
        rows = self._row_of_gene.reindex(gene_id)
        if rows.isna().any():
            genes = rows.index[rows.isna()].tolist()
            raise DataError(
                f"{cell}: {len(genes):,} gene(s) are not in {self.name}: {', '.join(genes[:5])};"
                " add them to the table or leave them out of the counts."
                + lost_zeros(str(self.gene_id[0]))
            )
        index = rows.to_numpy(dtype=np.intp)
        rpkm = self._expression(cell)
        without = rows.index[~np.isfinite(rpkm[index])].tolist()
        if without:
            raise DataError(
                f"{cell}: {len(without):,} gene(s) have no number in {self.name}, column {cell}:"
                f" {', '.join(without[:5])}; complete the table or leave them out of the counts."
            )
        return {
            "rpkm": rpkm[index],
            "rpkm_text": text[index],
            "rpkm_median_text": median_text(rpkm, text),
        }

    def measured(self, cell: str) -> RpkmTable:
        """The rows that hold a number for one cell type.

        Raises DataError if the table lacks the cell type, has no number for it at all, nearly no
        two different ones, or one that is negative.
        """
        values = self._expression(cell)
        given = np.isfinite(values)
        if not given.any():
            raise DataError(f"{self.name}, column {cell}: no gene has a number there.")
        return replace(self, gene_id=self.gene_id[given], table=self.table.filter(pa.array(given)))

    def _expression(self, cell: str) -> np.ndarray:
        rpkm = self.rpkm(cell)
        if (rpkm < 0).any():
            gene = self.gene_id[rpkm < 0][0]
            raise DataError(
                f"{self.name}, column {cell}: {gene} has {rpkm[rpkm < 0][0]:g}; expected RPKM, FPKM"
                " or TPM of 0 or more, not logarithms or differences."
            )
        given = rpkm[np.isfinite(rpkm)]
        higher = given > np.median(given) if len(given) else given
        if len(given) > 1 and higher.mean() < 0.1:
            raise DataError(
                f"{self.name}, column {cell}: {higher.sum():,} of {len(given):,} genes lie above"
                f" their median, {np.median(given):g}; expected about half. Too many have the same"
                " number: give a table of genes that are expressed, such as all that code for"
                " proteins."
            )
        return rpkm

    @cached_property
    def _row_of_gene(self) -> pd.Series:
        return pd.Series(np.arange(len(self.gene_id)), index=self.gene_id)


def read_rpkm(path: str | Path, alignment: str = "aligned") -> RpkmTable:
    """Read an expression table, Roadmap's or your own, in RPKM, FPKM or TPM.

    Raises DataError if the file is no such table.

    Parameters
    ----------
    path : path
        A header, then a row a gene, separated by tabs or commas, gzipped or not; lines before the
        header that start with # are passed over. Genes stand in the column ``gene_id``, or else in
        the first; versions of their ids are cut off. A header without a name for the genes, as R
        writes it (names in quotes, or all of them Roadmap's), is understood; a table without a
        header, or with another number of names than of columns, is refused. An empty field, NA and
        NaN mean that a gene has no number. Columns that nobody asks for may hold anything.
    alignment : {"aligned", "released"}
        ``"released"`` pairs names and columns as the released code did, one column off; the last
        one comes out empty.

    Notes
    -----
    Source of Roadmap's: Roadmap Epigenomics Consortium 2015, doi:10.1038/nature14248.
    """
    if alignment not in ALIGNMENTS:
        raise DataError(f"Unknown alignment {alignment!r}: use one of {', '.join(ALIGNMENTS)}.")
    path = input_file(path, "check the path, or download it with `make data`")
    with open(path, "rb") as file:
        refuse_spreadsheet(file.read(len(WORKBOOK)), path)
    lines = dropwhile(lambda line: line.startswith("#"), text_lines(path))
    header, *rest = [*lines, "", ""]
    header = header.removeprefix(BYTE_ORDER_MARK)
    separator = "\t" if "\t" in header else ","
    if not rest[0].strip():
        raise DataError(f"{path} holds no row of a gene; expected a header, then a row a gene.")
    head, first = _fields(header, separator), _fields(rest[0], separator)
    table = _text_table("".join(rest).encode(), len(first), separator, path)
    names = _column_names(header, head, first, table, path)
    table = table.select(range(len(names))).rename_columns(names)
    genes = next((name for name in names if name.lower() == "gene_id"), names[0])
    gene_id = pd.Series(table.column(genes).to_pylist(), dtype=str).str.strip()
    once = ~gene_id.str.endswith("_PAR_Y")
    table, gene_id = table.filter(pa.array(once)), without_version(gene_id[once])
    if gene_id.isin(MISSING).any():
        raise DataError(f"{path}: a row names no gene in column {genes!r}; complete or remove it.")
    if gene_id.duplicated().any():
        twice = gene_id[gene_id.duplicated()].iloc[0]
        raise DataError(f"{path}: a gene comes twice, {twice}; expected one row a gene.")
    odd = ~gene_id.str.fullmatch(GENE.pattern)
    if odd.any() and odd.mean() < 0.5:
        raise DataError(
            f"{path}: {odd.sum():,} row(s) are no genes, such as {gene_id[odd].iloc[0]!r}; remove"
            " them, since the median that makes the labels is that of all rows."
        )
    cells = [name for name in names if name != genes]
    columns = [table.column(name) for name in cells]
    if alignment == "released":
        columns = [*columns[1:], pa.chunked_array([pa.array([""] * len(gene_id))])]
    named = dict(zip(cells, columns, strict=True))
    kept = {name: column for name, column in named.items() if name not in REFERENCE_COLUMNS}
    return RpkmTable(gene_id.to_numpy(dtype=str), pa.table(kept), path.name)


def _column_names(
    header: str, head: list[str], first: list[str], table: pa.Table, path: Path
) -> list[str]:
    """A name a column, from left to right; a last column without a name must be empty."""
    whole = head[-1] != ""  # else it ends in a separator
    head = head if whole else head[:-1]
    headless = any(GENE.fullmatch(name) for name in head)
    if "gene_id" not in map(str.lower, head):
        headless |= all(map(_is_number, head[1:]))
    surplus = len(first) - len(head)
    full = not _is_empty(table.columns[-1])
    if surplus == 1 and full and whole and _written_by_r(header, head):
        head, surplus = ["gene_id", *head], 0
    if headless or len(head) < 2 or "" in head or len(set(head)) < len(head):
        raise DataError(
            f"{path}: the first line must hold 'gene_id' and the cell types, each once, separated"
            f" by tabs or commas; found {header.strip()[:60]!r}."
            + (" Semicolons do not separate columns here." if ";" in header else "")
        )
    if surplus not in (0, 1):
        raise DataError(f"{path}, line 2: {len(first)} fields, expected {len(head)}.")
    if surplus and full:
        raise DataError(
            f"{path}: the first line names {len(head)} columns, {head[0]} to {head[-1]}, and the"
            f" rows have {len(first)}. A name is missing, and every column might be taken for the"
            " next one: write the names of all columns, gene_id first."
        )
    if CELL.fullmatch(head[0]):
        raise DataError(
            f"{path}: the first line gives {head[0]} as the name of the genes' column; write"
            " gene_id before the cell types."
        )
    return head


def _is_empty(column: pa.ChunkedArray) -> bool:
    return not any(text.strip() for text in column.to_pylist())


def _written_by_r(header: str, head: list[str]) -> bool:
    """Whether a header one name short is R's, which gives names of rows none.

    R puts names in quotes; without quotes, names that all are Roadmap's leave no doubt either.
    """
    quoted = all(field.strip().startswith('"') for field in header.split("\t"))
    quoted |= all(field.strip().startswith('"') for field in header.split(","))
    gene_like = any(GENES_COLUMN.search(name) for name in head)
    return all(map(CELL.fullmatch, head)) or (quoted and not gene_like)


def refuse_spreadsheet(start: bytes, name: str | Path) -> None:
    """Raise DataError if what begins so is a workbook, or text as Excel writes "Unicode text"."""
    wanted = "save the table as text in UTF-8, separated by tabs or commas"
    if start.startswith((WORKBOOK, OLD_WORKBOOK)):
        raise DataError(f"{name} is a zip archive, or a spreadsheet, which is one; {wanted}.")
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise DataError(f"{name} is text in UTF-16; {wanted}.")


def lost_zeros(gene: str) -> str:
    """A sentence on what most often makes a gene id a short number; empty for other ids.

    >>> lost_zeros("ENSG00000000003"), lost_zeros("000003")
    ('', '')
    """
    if not gene.isdecimal() or len(gene) == SHORT_ID_DIGITS:
        return ""
    return " Spreadsheet programs cut off leading zeros: import the column of genes as text."


def without_version(gene_id: pd.Series) -> pd.Series:
    """Gene ids without the version behind the dot: ENSG00000000003.15 is ENSG00000000003."""
    return gene_id.str.replace(GENE, r"\1", regex=True)


def write_rpkm_table(datasets: Mapping[str, HistoneDataset], path: str | Path) -> Path:
    """Expression of cell types that share their genes as a table like Roadmap's (gzip).

    As there, the first column is the universal reference E000, and data rows end in a tab.

    Raises DataError if the cell types do not have the same genes, or no RPKM text.
    """
    cells = list(datasets.values())
    if not cells or any(cell.rpkm_text is None for cell in cells):
        raise DataError("The RPKM table needs cell types with rpkm_text.")
    genes = cells[0].gene_id
    if any(not np.array_equal(cell.gene_id, genes) for cell in cells):
        raise DataError("The RPKM table needs cell types with the same genes in the same order.")
    reference = np.char.mod("%.3f", np.mean([cell.rpkm for cell in cells], axis=0))
    columns = [genes, reference, *(cell.rpkm_text for cell in cells)]
    lines = ["\t".join(["gene_id", "E000", *datasets])]
    lines += ["\t".join(row) + "\t" for row in zip(*columns, strict=True)]
    content = gzip.compress(("\n".join(lines) + "\n").encode(), mtime=0)
    with atomic_write(path) as unfinished:
        unfinished.write_bytes(content)
    return Path(path)


def roadmap_name(cell: str) -> str:
    """Roadmap's name of a stored cell type.

    >>> roadmap_name("E122.counts")
    'E122'
    """
    return cell.partition(".")[0]


def check_cell(cell: str, known: list[str], where: str) -> None:
    """Raise DataError, with the nearest name, if `cell` is not among the known ones."""
    if cell in known:
        return
    if cell in REFERENCE_COLUMNS:
        raise DataError(f"{cell} is the universal human reference RNA, not a cell type.")
    raise DataError(f"There is no cell type {cell!r} in {where}.{suggestion(cell, known)}")


def suggestion(cell: str, known: list[str]) -> str:
    """A sentence with the names nearest to `cell`, or with all of them where few are known."""
    number = re.fullmatch(r"E?(\d{1,3})", cell.upper())
    padded = f"E{int(number[1]):03d}" if number else ""
    if padded in known:
        return f" Did you mean {padded}?"
    nearest = difflib.get_close_matches(cell.upper(), known, n=3, cutoff=0.5)
    if nearest:
        return f" Did you mean {' or '.join(nearest)}?"
    return f" Known: {', '.join(known[:8])}{', ...' if len(known) > 8 else ''}." if known else ""


def _is_number(text: str) -> bool:
    """Whether a field is what stands in a row of expression: a number, or none."""
    try:
        float(text)
    except ValueError:
        return text in ("", "NA")
    return True


def _fields(line: str, separator: str) -> list[str]:
    fields = next(reader([line.rstrip("\r\n")], delimiter=separator), [])
    return [field.strip() for field in fields or [""]]


def _text_table(data: bytes, width: int, separator: str, path: Path) -> pa.Table:
    """Columns of texts, called by their numbers."""
    names = [str(number) for number in range(width)]
    try:
        return csv.read_csv(
            pa.BufferReader(data),
            read_options=csv.ReadOptions(column_names=names),
            parse_options=csv.ParseOptions(delimiter=separator),
            convert_options=csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
            ),
        )
    except pa.ArrowException as error:
        raise DataError(
            f"{path}: {error}; expected {width} fields in every row, separated by tabs or commas (a"
            " comma is no decimal point)."
        ) from None
