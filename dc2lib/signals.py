"""From the counts of genes to what a model reads: which genes, which way along them, which scale.

>>> import numpy as np
>>> to_signal(np.array([[[0, 3]], [[1, 0]]]), "log1p").shape  # two genes, one bin, two marks
torch.Size([2, 2, 1])
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from dc2lib.datasets import HistoneDataset, shared_marks
from dc2lib.errors import DataError

TRANSFORMS = ("raw", "log1p")
ORIENTATIONS = ("genome", "gene")


def to_signal(
    counts: np.ndarray, transform: str = "raw", device: torch.device | None = None
) -> Tensor:
    """Signals float32 ``(gene, mark, bin)`` from counts ``(gene, bin, mark)``.

    Parameters
    ----------
    counts
        Reads, or another measure, a gene, bin and mark; stays as it is.
    transform
        ``"raw"`` counts as in the paper, or ``"log1p"``, the logarithm of one more than the count.
    device
        Where the signals shall lie; default the CPU.

    Raises
    ------
    ValueError
        If the transform is unknown.
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

    Raises
    ------
    DataError
        If they share no mark.
    """
    marks = shared_marks(cells)
    same = all(cell.unit == "reads" for cell in cells)
    chosen = [cell.with_marks(marks) for cell in cells]
    return chosen if same else [ranked_within_cell(cell) for cell in chosen]


def ranked_within_cell(dataset: HistoneDataset) -> HistoneDataset:
    """Each mark's values as their rank among the bins of the cell type's training genes.

    The rank is the share of those bins that hold less, from 0 to 1: where nothing was measured it
    is 0, and any increasing change of a mark's scale leaves it alone. Genes of the other splits
    are ranked among the training genes, so that nothing is learned from them.

    Returns
    -------
    HistoneDataset
        Counts float32, unit ``"rank"``.

    Raises
    ------
    DataError
        If there is no training gene.

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
