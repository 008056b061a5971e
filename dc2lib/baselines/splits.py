"""Which genes are learned from and which are tested on: as released, by chromosome, at random.

The released split cuts the list of Ensembl ids into thirds.  Neighbours on a chromosome then often
fall into different parts; where marks reach over both, a model has met the test gene's signal.  A
split by whole chromosomes keeps neighbours together.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from dc2lib.datasets import HistoneDataset, published
from dc2lib.errors import DataError

SPLITS = ("released", "chromosome", "random")
PARTS = ("test", "valid", "train")
N_BLOCKS = 20


def resplit(dataset: HistoneDataset, split: str, seed: int = 0) -> HistoneDataset:
    """The same genes in other parts, of about the sizes of the released ones.

    Parameters
    ----------
    split
        ``"released"`` changes nothing; ``"chromosome"`` gives whole chromosomes, in an order
        drawn with the seed, to the part that lacks most; ``"random"`` draws genes.

    Raises
    ------
    DataError
        If the split is unknown.
    """
    if split not in SPLITS:
        raise DataError(f"unknown split {split!r}: use one of {', '.join(SPLITS)}")
    if split == "released":
        return dataset
    rng = np.random.default_rng(seed)
    sizes = {part: int((dataset.split == part).sum()) for part in PARTS}
    if split == "random":
        parts = np.repeat(list(sizes), list(sizes.values()))
        return replace(dataset, split=rng.permutation(parts))
    chromosome = chromosome_of(dataset.gene_id)
    parts = np.empty(len(chromosome), dtype="<U5")
    missing = dict(sizes)
    for name in rng.permutation(np.unique(chromosome)):
        here = chromosome == name
        part = max(missing, key=lambda one: missing[one] / max(sizes[one], 1))
        parts[here] = part
        missing[part] -= int(here.sum())
    return replace(dataset, split=parts)


def chromosome_of(gene_id: np.ndarray) -> np.ndarray:
    """Chromosome of each gene, str ``(gene,)``.

    From Ensembl's annotation of release 100 on GRCh37; a gene that it lacks is a part of its own,
    named ``"unknown"``.  Simulated genes lie on no chromosome: blocks of neighbours in the list
    stand in.
    """
    chromosomes = published.gene_annotation()["chromosome"].reindex(gene_id, fill_value="unknown")
    if not (chromosomes == "unknown").all():
        return chromosomes.to_numpy(dtype=str)
    blocks = np.array_split(np.arange(len(gene_id)), N_BLOCKS)
    return np.repeat([f"block {i + 1}" for i in range(N_BLOCKS)], [len(b) for b in blocks])
