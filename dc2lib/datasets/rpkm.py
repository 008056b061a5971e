"""Roadmap's table of gene expression: RPKM of 19,795 protein-coding genes in 56 cell types.

Every data row of the file ends in a tab and the header does not. A reader that therefore takes the
first field for the row's name, and pairs the header's 58 names with the 58 fields after it, gives
each cell type the numbers of the next one; ``pandas.read_csv(path, sep="\\t")`` does so without a
word. That is how the table was read for the paper's correlations.
"""

from __future__ import annotations

import difflib
import gzip
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import csv

from dc2lib.datasets.histone import HistoneDataset, median_text, numbers
from dc2lib.errors import DataError
from dc2lib.files import atomic_write

FILE_NAME = "57epigenomes.RPKM.pc.gz"
URL = f"https://egg2.wustl.edu/roadmap/data/byDataType/rna/expression/{FILE_NAME}"
REFERENCE_COLUMNS = ("E000",)
ALIGNMENTS = ("aligned", "released")
TABLE_LIMIT = 256 * 2**20


@dataclass(frozen=True, eq=False)
class RpkmTable:
    """Expression by gene and cell type, as numbers and as the file's text.

    Attributes
    ----------
    gene_id : str array (gene,)
    table : pyarrow.Table
        One text column a cell type, named as `alignment` says; the reference E000 is not there.
    alignment : str
        ``"aligned"``: each column under its own name. ``"released"``: each under the name of the
        column before it, as in the released code; the last cell type comes out empty.
    name : str
        The file, for messages.
    """

    gene_id: np.ndarray
    table: pa.Table
    alignment: str
    name: str

    @property
    def cells(self) -> list[str]:
        """The cell types, in the order of the file."""
        return list(self.table.column_names)

    def text(self, cell: str) -> np.ndarray:
        """Expression of one cell type exactly as written in the file, str (gene,)."""
        check_cell(cell, self.cells, self.name)
        return np.array(self.table.column(cell).to_pylist(), dtype=str)

    def rpkm(self, cell: str) -> np.ndarray:
        """Expression of one cell type in RPKM, float64 (gene,); NaN where the file has nothing."""
        return numbers(self.text(cell), f"{self.name}, column {cell}")

    def median_text(self, cell: str) -> str:
        """Median over all genes, in the file's notation."""
        return median_text(self.rpkm(cell), self.text(cell))

    def frame(self, cells: list[str] | None = None) -> pd.DataFrame:
        """RPKM as a table (gene, cell), indexed by gene id and cell type."""
        cells = self.cells if cells is None else cells
        return pd.DataFrame({cell: self.rpkm(cell) for cell in cells}, index=self.gene_id)

    def join(self, cell: str, gene_id: np.ndarray) -> dict[str, np.ndarray | str]:
        """Expression of the given genes, as the keyword arguments of HistoneDataset.from_arrays.

        Raises
        ------
        DataError
            If the table lacks the cell type or a gene, or has no number for it.
        """
        text = self.text(cell)
        rows = self._row_of_gene.reindex(gene_id)
        if rows.isna().any():
            genes = rows.index[rows.isna()].tolist()
            raise DataError(
                f"{cell}: {len(genes):,} gene(s) are not in {self.name}: {', '.join(genes[:5])};"
                " add them to the table or leave them out of the counts."
            )
        index = rows.to_numpy(dtype=np.intp)
        rpkm = numbers(text, f"{self.name}, column {cell}")
        return {
            "rpkm": rpkm[index],
            "rpkm_text": text[index],
            "rpkm_median_text": median_text(rpkm, text),
        }

    @cached_property
    def _row_of_gene(self) -> pd.Series:
        return pd.Series(np.arange(len(self.gene_id)), index=self.gene_id)


def read_rpkm(path: str | Path, alignment: str = "aligned") -> RpkmTable:
    """Read an expression table: a header of cell types, then gene id and one number a cell type.

    Parameters
    ----------
    path : path
        Tab-separated text, gzipped or not.
    alignment : {"aligned", "released"}
        ``"released"`` pairs names and columns as the released code did, one column off.

    Raises
    ------
    DataError
        If the file is no such table.

    Notes
    -----
    Source of the table: Roadmap Epigenomics Consortium 2015, doi:10.1038/nature14248.
    """
    if alignment not in ALIGNMENTS:
        raise DataError(f"Unknown alignment {alignment!r}: use one of {', '.join(ALIGNMENTS)}.")
    path = Path(path)
    data = _content(path)
    header, _, rest = data.partition(b"\n")
    names = header.decode("utf-8", "replace").rstrip("\r\n").split("\t")
    if len(names) < 2 or names[0] != "gene_id" or len(set(names)) < len(names):
        raise DataError(
            f"{path}: the first line must hold 'gene_id' and the cell types, tab-separated, each"
            f" once; found {header[:60]!r}."
        )
    fields = rest.partition(b"\n")[0].rstrip(b"\r").count(b"\t") + 1
    if fields not in (len(names), len(names) + 1):
        raise DataError(f"{path}, line 2: {fields} fields, expected {len(names)}.")
    table = _text_table(rest, [*names, ""][:fields], path)
    gene_id = np.array(table.column("gene_id").to_pylist(), dtype=str)
    if len(np.unique(gene_id)) < len(gene_id):
        raise DataError(f"{path}: a gene comes twice; expected one row a gene.")
    columns = [table.column(name) for name in names[1:]]
    if alignment == "released":
        columns = [*columns[1:], pa.chunked_array([pa.array([""] * len(gene_id))])]
    named = dict(zip(names[1:], columns, strict=True))
    cells = {name: column for name, column in named.items() if name not in REFERENCE_COLUMNS}
    return RpkmTable(gene_id, pa.table(cells), alignment, path.name)


def write_rpkm_table(datasets: Mapping[str, HistoneDataset], path: str | Path) -> Path:
    """Expression of cell types that share their genes as a table like Roadmap's (gzip).

    As there, the first column is the universal reference E000, and data rows end in a tab.

    Raises
    ------
    DataError
        If the cell types do not have the same genes, or no RPKM text.
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


def _content(path: Path) -> bytes:
    if not path.is_file():
        raise DataError(f"{path} is missing; download it with `make data`.")
    try:
        with open(path, "rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
        with (gzip.open if packed else open)(path, "rb") as file:
            data = file.read(TABLE_LIMIT + 1)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(
            f"{path} is truncated or corrupt ({error}); delete it and download it again."
        ) from None
    if data[:512].lstrip().lower().startswith((b"<!doctype", b"<html")):
        raise DataError(f"{path} is an HTML page, not a table; delete it and download it again.")
    if len(data) > TABLE_LIMIT:
        raise DataError(f"{path} holds more than {TABLE_LIMIT / 2**20:.0f} MiB; no such table.")
    return data


def _text_table(data: bytes, names: list[str], path: Path) -> pa.Table:
    try:
        return csv.read_csv(
            pa.BufferReader(data),
            read_options=csv.ReadOptions(column_names=names),
            parse_options=csv.ParseOptions(delimiter="\t", quote_char=False),
            convert_options=csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
            ),
        )
    except pa.ArrowInvalid as error:
        raise DataError(f"{path}: {error}") from None
