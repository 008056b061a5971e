"""Counts of several cell types one after the other, read from disk batch by batch."""

from __future__ import annotations

import mmap
from collections.abc import Sequence

import numpy as np

from dc2lib.datasets import HistoneDataset
from dc2lib.errors import DataError
from dc2lib.signals import turned_genes


class PooledCounts:
    """Looks like counts ``(gene, bin, mark)`` to what takes batches of genes; holds none.

    A batch, ``pooled[index]`` or ``pooled[start:stop]``, is copied out of the memory-mapped files
    when it is asked for, so 56 cell types need no more memory than one.

    Parameters
    ----------
    parts
        Cell types, and the rows of each of them that are meant; their genes follow each other.
    orientation
        One of `dc2lib.signals.ORIENTATIONS`.

    Raises
    ------
    DataError
        If the cell types differ in bins, marks or unit, or genes are to be turned and their
        strands are not known.
    """

    ndim = 3

    def __init__(
        self, parts: Sequence[tuple[HistoneDataset, np.ndarray]], orientation: str
    ) -> None:
        first = parts[0][0]
        for dataset, _ in parts:
            if dataset.counts.shape[1:] != first.counts.shape[1:]:
                raise DataError(
                    f"{dataset.cell} has (bin, mark) = {dataset.counts.shape[1:]} and {first.cell}"
                    f" has {first.counts.shape[1:]}: they cannot be pooled; leave one of them out."
                )
            if (dataset.marks, dataset.unit) != (first.marks, first.unit):
                raise DataError(
                    f"{dataset.cell} holds {dataset.unit} of {', '.join(dataset.marks)}, and"
                    f" {first.cell} {first.unit} of {', '.join(first.marks)}: they cannot be pooled"
                    " as they are; see dc2lib.signals.comparable."
                )
        self.dtype = first.counts.dtype
        self._files = [dataset.counts for dataset, _ in parts]
        self._file = np.repeat(np.arange(len(parts)), [len(rows) for _, rows in parts])
        self._row = np.concatenate([rows for _, rows in parts])
        turned = [turned_genes(dataset, orientation)[rows] for dataset, rows in parts]
        self._turned = np.concatenate(turned)
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
        turned = np.flatnonzero(self._turned[index])
        batch[turned] = batch[turned, ::-1]
        return batch

    def release(self) -> None:
        """Let go of the pages read so far; a page comes back from the file when it is read again.

        Pages of a mapped file count as memory of the process although the system can take them
        back at any time; a cluster that watches that count would stop the worker.
        """
        if hasattr(mmap, "MADV_DONTNEED"):
            for counts in self._files:
                if isinstance(counts, np.memmap):
                    counts._mmap.madvise(mmap.MADV_DONTNEED)
