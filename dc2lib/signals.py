"""From the counts of genes to what a model reads: which genes, which way along them, which scale.

>>> import numpy as np
>>> to_signal(np.array([[[0, 3]], [[1, 0]]]), "log1p").shape  # two genes, one bin, two marks
torch.Size([2, 2, 1])
"""

from __future__ import annotations

import mmap
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dc2lib.cache import cache_path
from dc2lib.datasets import HistoneDataset, list_cells, shared_marks, write_cell
from dc2lib.errors import DataError

TRANSFORMS = ("raw", "log1p")
ORIENTATIONS = ("genome", "gene")


def to_signal(
    counts: np.ndarray, transform: str = "raw", device: torch.device | None = None
) -> Tensor:
    """Signals float32 ``(gene, mark, bin)`` from counts ``(gene, bin, mark)``, which stay.

    The transform is ``"raw"`` counts as in the paper, or ``"log1p"``, the logarithm of one more
    than the count; ValueError if it is unknown.  Signals lie on the device, default the CPU.
    """
    if transform not in TRANSFORMS:
        raise ValueError(f"unknown transform {transform!r}: expected one of {TRANSFORMS}")
    signal = torch.from_numpy(np.array(counts, dtype=np.float32)).to(device)
    if transform == "log1p":
        signal = signal.log1p_()
    return signal.transpose(1, 2)


def oriented_counts(dataset: HistoneDataset, orientation: str) -> np.ndarray:
    """Counts ``(gene, bin, mark)`` along the ``"genome"``, as stored, or along each ``"gene"``.

    Raises
    ------
    ValueError
        If the orientation is unknown.
    DataError
        If genes shall be turned whose strand is not known.
    """
    if orientation not in ORIENTATIONS:
        raise ValueError(f"unknown orientation {orientation!r}: expected one of {ORIENTATIONS}")
    return dataset.gene_oriented() if orientation == "gene" else dataset.counts


def turned_genes(dataset: HistoneDataset, orientation: str) -> np.ndarray:
    """Which genes have their bins reversed in `oriented_counts`, bool ``(gene,)``.

    For what reads counts gene by gene; it refuses what `oriented_counts` refuses.
    """
    oriented_counts(dataset.select(slice(0)), orientation)
    if orientation == "gene":
        return dataset.strand == "-"
    return np.zeros(len(dataset), bool)


def training_genes(dataset: HistoneDataset, n_train: int = 0, seed: int = 0) -> HistoneDataset:
    """The training genes, or ``n_train`` of them drawn with the seed (0: all)."""
    train = dataset.take("train")
    if not 0 < n_train < len(train):
        return train
    return dataset.select(training_rows(dataset, n_train, seed))


def training_rows(dataset: HistoneDataset, n_train: int = 0, seed: int = 0) -> np.ndarray:
    """Row numbers of `training_genes`, ascending."""
    rows = np.flatnonzero(dataset.split == "train")
    if not 0 < n_train < len(rows):
        return rows
    drawn = np.random.default_rng(seed).choice(len(rows), n_train, replace=False)
    return rows[np.sort(drawn)]


def comparable(cells: Sequence[HistoneDataset]) -> list[HistoneDataset]:
    """Cell types as one model may see them: the marks that all have, on one scale.

    Counts of reads stay as they are. Where any cell type measures something else, all are
    standardised within themselves (`ranked_within_cell`): coverage, or peaks of two callers, are
    numbers on different scales, even where their unit is called the same.

    Raises DataError if they share no mark.
    """
    marks = shared_marks(cells)
    same = all(cell.unit == "reads" for cell in cells)
    chosen = [cell if cell.marks == marks else cell.with_marks(marks) for cell in cells]
    return chosen if same else [ranked_within_cell(cell) for cell in chosen]


def comparable_store(cells: Sequence[HistoneDataset], home: Path | str) -> Path:
    """Store of the cell types as one model may see them (`comparable`), for fits on several.

    It is ``home``, where they are stored already, if nothing about them has to be changed; else a
    folder under the digest of what they hold, made where it is missing.
    """
    changed = [one for one in comparable(cells) if not any(one is given for given in cells)]
    if not changed:
        return Path(home)
    contents = {one.cell: one.fingerprint for one in cells} | {"marks": changed[0].marks}
    place = cache_path("comparable", contents, code=__name__, suffix="")
    for one in comparable(cells):
        if one.cell not in list_cells(place):
            write_cell(one, place, {"from": str(home), "unit": one.unit})
    return place


def ranked_within_cell(dataset: HistoneDataset) -> HistoneDataset:
    """Each mark's values as their rank among the bins of the cell type's training genes.

    The rank is the share of those bins that hold less, from 0 to 1: where nothing was measured it
    is 0, and any increasing change of a mark's scale leaves it alone. Genes of the other splits
    are ranked among the training genes, so that nothing is learned from them. Counts are then
    float32 and the unit is ``"rank"``. Raises DataError if there is no training gene.

    Examples
    --------
    >>> peaks = HistoneDataset.from_arrays(
    ...     [[[0.0], [2.5]], [[0.0], [9.0]]], ["a", "b"], "mine", ["train", "train"],
    ...     marks=["H3K4me3"], unit="peak signal")
    >>> ranked_within_cell(peaks).counts[:, :, 0].tolist()
    [[0.0, 0.5], [0.0, 0.75]]
    """
    train = dataset.take("train").counts
    if not len(train):
        raise DataError(f"{dataset.cell} has no training gene, among which values are ranked.")
    ranks = np.empty(dataset.counts.shape, dtype=np.float32)
    for mark in range(len(dataset.marks)):
        reference = np.sort(train[:, :, mark], axis=None)
        ranks[:, :, mark] = np.searchsorted(reference, dataset.counts[:, :, mark]) / reference.size
    return replace(dataset, counts=ranks, unit="rank")


class PooledCounts:
    """Looks like counts ``(gene, bin, mark)`` to what takes batches of genes; holds none.

    A batch, ``pooled[index]`` or ``pooled[start:stop]``, is copied out of the memory-mapped files
    when it is asked for, so 56 cell types need no more memory than one.

    Raises DataError if the cell types differ in bins, marks or unit, or genes are to be turned and
    their strands are not known.

    The parts are cell types, and the rows of each of them that are meant; their genes follow each
    other, turned as the orientation (one of `ORIENTATIONS`) says.
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
