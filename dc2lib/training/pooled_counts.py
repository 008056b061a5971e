"""Counts of several cell types one after the other, read from disk batch by batch."""

from __future__ import annotations

import mmap
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dc2lib.datasets import HistoneDataset
from dc2lib.errors import DataError


@dataclass(frozen=True)
class Part:
    """Some genes of one cell type: their rows in its counts, and which of them to turn round."""

    cell: str
    counts: np.ndarray
    rows: np.ndarray
    minus: np.ndarray


class PooledCounts:
    """Looks like counts ``(gene, bin, mark)`` to what takes batches of genes; holds none.

    The genes of all parts follow each other.  A batch, ``pooled[index]`` or ``pooled[start:stop]``,
    is copied out of the memory-mapped files when it is asked for, so 56 cell types need no more
    memory than one.  `release` also lets go of the pages that were read.

    Raises
    ------
    DataError
        If the parts differ in their numbers of bins or marks.
    """

    ndim = 3
    dtype = np.dtype(np.uint16)

    def __init__(self, parts: Sequence[Part]) -> None:
        first = parts[0]
        for part in parts:
            if part.counts.shape[1:] != first.counts.shape[1:]:
                raise DataError(
                    f"{part.cell} has (bin, mark) = {part.counts.shape[1:]} and {first.cell} has"
                    f" {first.counts.shape[1:]}: they cannot be pooled; leave one of them out."
                )
        self._files = [np.asarray(part.counts) for part in parts]
        self._maps = [part.counts._mmap for part in parts if isinstance(part.counts, np.memmap)]
        self._file = np.repeat(np.arange(len(parts)), [len(part.rows) for part in parts])
        self._row = np.concatenate([part.rows for part in parts])
        self._minus = np.concatenate([part.minus for part in parts])
        self.shape = (len(self._row), *first.counts.shape[1:])

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: np.ndarray | slice) -> np.ndarray:
        if isinstance(index, slice):
            index = np.arange(*index.indices(len(self)))
        batch = np.empty((len(index), *self.shape[1:]), self.dtype)
        places = zip(self._file[index].tolist(), self._row[index].tolist(), strict=True)
        for number, (file, row) in enumerate(places):
            batch[number] = self._files[file][row]
        minus = np.flatnonzero(self._minus[index])
        batch[minus] = batch[minus, ::-1]
        return batch

    def release(self) -> None:
        """Let go of the pages read so far; a page comes back from the file when it is read again.

        Pages of a mapped file count as memory of the process although the system can take them
        back at any time; a cluster that watches that count would stop the worker.
        """
        if hasattr(mmap, "MADV_DONTNEED"):
            for mapped in self._maps:
                mapped.madvise(mmap.MADV_DONTNEED)


def part_of(dataset: HistoneDataset, rows: np.ndarray, orientation: str) -> Part:
    """The genes of a cell type given by their rows, along the genome or along each gene.

    Raises
    ------
    DataError
        If genes are to be turned and the strands are not known.
    """
    minus = np.zeros(len(rows), bool)
    if orientation == "gene":
        if dataset.strand is None:
            raise DataError(
                f"{dataset.cell}: the strands of the genes are not known; give strand to"
                " HistoneDataset.from_arrays, or use orientation='genome'."
            )
        minus = dataset.strand[rows] == "-"
    return Part(dataset.cell, dataset.counts, rows, minus)


def rows_of(dataset: HistoneDataset, split: str) -> np.ndarray:
    """Row numbers of the genes of one split, ``(gene,)``."""
    return np.flatnonzero(dataset.split == split)
