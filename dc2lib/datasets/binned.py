"""Binned marks that others made: an ``.npz`` file, or the RData files of PatternChrome.

Both run along the gene; what comes from here runs along the genome, as everything in the store.

``.npz``: ``gene_id``, ``strand`` ("+" or "-"), ``split`` (0 train, 1 valid, 2 test, or the words),
``<cell>/<mark>`` (gene, bin), 5 kb upstream first; and, if not reads of source "binned", ``unit``
and ``source``.  RData: ``<cell>/<mark>_50bp_bins.RData``, mean base coverage in 200 bins of 50 bp,
5 kb downstream first.  Times 50 it is a whole number of bases; two bins are added, and bases over
37, the reads' length, rounded up, are reads.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from zipfile import is_zipfile

import numpy as np
import pandas as pd

from dc2lib.datasets.cell_files import CellInput, by_cell, file_states
from dc2lib.datasets.fetch import RemoteFile, fetch
from dc2lib.datasets.gene_windows import GeneWindows
from dc2lib.datasets.histone import COUNT_LIMIT, MARKS, N_BINS, SOURCES, SPLITS
from dc2lib.datasets.rpkm import without_version
from dc2lib.errors import DataError
from dc2lib.files import input_file

RDATA = "_50bp_bins.RData"
PATTERNCHROME = "https://github.com/Prgrmmrjns/PatternChrome/raw/8041ac08"
READ_LENGTH = 37
NPZ_DEFAULTS = {"source": "binned", "unit": "reads"}
OWN_BINS, OWN_BIN_SIZE = 200, 50


def cell_inputs(
    path: str | Path, windows: GeneWindows, marks: Sequence[str] | None = None
) -> list[CellInput]:
    """The cell types of an ``.npz`` file, or of a folder of RData files.

    `windows` give strand and split of the RData's genes; an ``.npz`` has its own. `marks`: only
    these, as in `cell_files.mark_files`.

    Raises
    ------
    DataError
        If there is nothing of that kind, or a mark is unknown, or asked for and nowhere there.
    """
    path = Path(path).expanduser()
    if not os.path.isdir(path):
        return _npz_inputs(path, marks, windows.partial)
    below = {  # a folder that cannot be read is no empty one
        Path(folder, name)
        for folder, _, names in os.walk(path, onerror=_raise)
        for name in names
    }
    found = [
        (file.parent.name, file.name.removesuffix(RDATA), file)
        for file in sorted({*below, *path.glob("*/*")})  # the latter through links too
        if file.name.endswith(RDATA) and not file.name.startswith(".")
    ]
    if not found:
        raise DataError(f"{path} holds no <cell>/<mark>{RDATA}; expected such files.")
    return [
        CellInput(cell, "patternchrome", "reads",
                  {"files": file_states(own), "genes": windows.digest},
                  lambda notes, own=own: read_rdata(own, windows), own)
        for cell, own in by_cell(found, path, marks).items()
    ]  # fmt: skip


def _raise(error: OSError) -> None:
    raise error


def patternchrome_inputs(
    cells: Iterable[str],
    windows: GeneWindows,
    home: Path,
    marks: Sequence[str] = MARKS,
    **options: object,
) -> list[CellInput]:
    """Cell types of PatternChrome, each fetched when it is read and kept below `home`.

    Parameters
    ----------
    options
        Of `dc2lib.datasets.fetch.fetch`.
    """

    def read(cell: str) -> tuple[dict[str, np.ndarray], GeneWindows]:
        remote = {
            mark: RemoteFile(f"{mark}{RDATA}", f"{PATTERNCHROME}/{cell}/{mark}{RDATA}", cell)
            for mark in marks
        }
        place = home / "patternchrome" / cell
        files = {m: fetch(one, place, check=_read_rdata, **options) for m, one in remote.items()}
        return read_rdata(files, windows)

    origin = {"address": options.get("mirror") or PATTERNCHROME, "genes": windows.digest}
    if tuple(marks) != MARKS:
        origin["marks"] = list(marks)
    return [
        CellInput(cell, "patternchrome", "reads", origin, lambda notes, cell=cell: read(cell))
        for cell in cells
    ]


def read_rdata(
    files: Mapping[str, str | Path], windows: GeneWindows
) -> tuple[dict[str, np.ndarray], GeneWindows]:
    """Reads uint16 (gene, bin) along the genome of each mark, and the genes that all files hold.

    The genes come in the order of `windows`.

    Raises
    ------
    DataError
        If the package rdata is missing, or a file is not one of PatternChrome's.
    """
    tables = {mark: _read_rdata(Path(path)) for mark, path in files.items()}
    genes = pd.Index(windows.gene_id)
    chosen = np.all([genes.isin(table.index) for table in tables.values()], axis=0)
    if not chosen.any():
        names = ", ".join(map(str, files.values()))
        raise DataError(f"{names}: no gene in common with {windows.name}; of another species?")
    own = replace(windows, table=windows.table[chosen].reset_index(drop=True))
    bins = {mark: table.loc[genes[chosen]].to_numpy() for mark, table in tables.items()}
    return {mark: _along_genome(values, own) for mark, values in bins.items()}, own


def _along_genome(along_gene: np.ndarray, windows: GeneWindows) -> np.ndarray:
    minus = (windows.table["strand"] == "-").to_numpy()
    return np.where(minus[:, None], along_gene[:, ::-1], along_gene)


def _npz_inputs(path: Path, marks: Sequence[str] | None, partial: bool) -> list[CellInput]:
    with _npz(path) as archive:
        twice = [name for name, times in Counter(archive.files).items() if times > 1]
        if twice:
            raise DataError(f"{path} holds the member {twice[0]} twice; write it once.")
        lacking = {"gene_id", "strand", "split"} - set(archive.files)
        if lacking:
            raise DataError(f"{path} lacks the member {', '.join(sorted(lacking))}.")
        gene_id, strand, split = (archive[name] for name in ("gene_id", "strand", "split"))
        for name, texts in (("gene_id", gene_id), ("strand", strand)):
            if texts.dtype.kind != "U" or texts.ndim != 1:
                given = f"{texts.dtype} of shape {texts.shape}"
                raise DataError(f"{path}: {name} is {given}, expected a text a gene.")
        if split.dtype.kind in "iu":
            if not np.isin(split, range(len(SPLITS))).all():
                raise DataError(f"{path}: a split is none of 0 (train), 1 (valid) and 2 (test).")
            split = np.array(SPLITS)[split]
        table = pd.DataFrame({"gene_id": gene_id, "strand": strand, "split": split})
        table["gene_id"] = without_version(table["gene_id"])
        about = {n: str(archive[n]) if n in archive else d for n, d in NPZ_DEFAULTS.items()}
        found = [(*name.split("/", 1), name) for name in archive.files if "/" in name]
    if about["source"] not in set(SOURCES) - {"simulated"}:
        raise DataError(
            f"{path} gives {about['source']!r} as its source; the store is for measured cell types:"
            " leave the member out, which means 'binned'."
        )
    if not found:
        raise DataError(f"{path} holds no member <cell>/<mark>; expected some.")
    if lacking := [name for name in SPLITS if name not in set(table["split"])]:
        raise DataError(
            f"{path} has no gene of the split {' or '.join(lacking)}; a cell type needs genes to"
            " train on, to choose by (valid) and to test with."
        )
    if not table["strand"].isin(["+", "-"]).all():
        raise DataError(f"{path}: a strand is neither '+' nor '-', so its bins cannot be turned.")
    windows = GeneWindows(table, {}, path.name, partial)

    def read(names: Mapping[str, str]) -> tuple[dict[str, np.ndarray], GeneWindows]:
        with _npz(path) as archive:
            along_gene = {mark: archive[name] for mark, name in names.items()}
        for mark, values in along_gene.items():
            if values.shape != (len(table), N_BINS):
                expected = f"({len(table)}, {N_BINS})"
                raise DataError(f"{path}: {names[mark]} is {values.shape}, expected {expected}.")
            if values.dtype.kind not in "uif":
                raise DataError(f"{path}: {names[mark]} is {values.dtype}, expected numbers.")
        bins = {mark: _along_genome(values, windows) for mark, values in along_gene.items()}
        return bins, windows

    return [
        CellInput(cell, about["source"], about["unit"],
                  {"files": file_states(dict.fromkeys(names, path))},
                  lambda notes, names=names: read(names), dict.fromkeys(names, path))
        for cell, names in by_cell(found, path, marks).items()
    ]  # fmt: skip


@contextmanager
def _npz(path: Path) -> Iterator[Mapping[str, np.ndarray]]:
    if not is_zipfile(input_file(path)):
        raise DataError(f"{path} is no .npz file; expected what numpy.savez writes, whole.")
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
            yield archive
    except DataError:
        raise
    except Exception as error:  # whatever a damaged file makes NumPy meet
        raise DataError(
            f"{path} is no whole .npz of gene_id, strand, split and <cell>/<mark> ({error})."
        ) from None


def _read_rdata(path: Path) -> pd.DataFrame:
    """Reads (gene, bin) along the gene, 5 kb upstream first, indexed by gene."""
    input_file(path)
    try:
        import rdata

        content = rdata.read_rda(path)
    except ImportError:
        raise DataError(f"{path} needs the package rdata: pip install 'dc2lib[tracks]'.") from None
    except Exception as error:  # whatever a damaged file makes the reader meet
        raise DataError(f"{path} is truncated or no RData file ({error}).") from None
    matrix = next(iter(content.values()), None)
    if len(content) != 1 or not hasattr(matrix, "dims") or matrix.shape[1:] != (OWN_BINS,):
        raise DataError(f"{path}: expected one matrix, {OWN_BINS} bins of 50 bp by named genes.")
    bases = np.asarray(matrix, dtype=np.float64) * OWN_BIN_SIZE
    whole = np.rint(bases)
    if not (np.abs(bases - whole) < 1e-3).all() or (whole < 0).any():
        raise DataError(f"{path}: values times {OWN_BIN_SIZE} must be whole numbers of bases.")
    reads = np.ceil(whole[:, ::-1].reshape(len(whole), N_BINS, 2).sum(axis=2) / READ_LENGTH)
    genes = matrix[matrix.dims[0]].values.astype(str)
    return pd.DataFrame(np.minimum(reads, COUNT_LIMIT).astype(np.uint16), index=genes)
