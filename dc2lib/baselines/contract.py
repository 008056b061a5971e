"""What every system takes and gives, so that one table can hold them all.

A system is a function ``fit(train, valid, setting, seed)`` that returns a `Fitted`.  It sees the
same genes as every other system and gives one number a gene, on any scale; `to_probability` turns
the numbers of all systems into probabilities in the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from dc2lib.datasets import HistoneDataset, published
from dc2lib.errors import DataError
from dc2lib.labels import label

Setting = Mapping[str, float | int | str]
SPLITS = ("released", "chromosome", "random")
PARTS = ("test", "valid", "train")
N_BLOCKS = 20  # in which simulated genes are put, in place of chromosomes


@dataclass(frozen=True)
class Genes:
    """Genes to learn from or to be judged by."""

    counts: np.ndarray  #: uint16 (gene, bin, mark), upstream first
    label: np.ndarray  #: 0 or 1 (gene,)
    expression: np.ndarray  #: log2 of RPKM plus 1, float64 (gene,)

    def __len__(self) -> int:
        return len(self.label)

    def take(self, chosen: np.ndarray) -> Genes:
        """The genes given by an index array or a mask."""
        return Genes(self.counts[chosen], self.label[chosen], self.expression[chosen])


@dataclass(frozen=True)
class Fitted:
    """A fitted system.

    `score` takes counts ``(gene, bin, mark)`` and gives ``(gene,)``, higher for more likely class
    1; `parameters` are the fitted numbers that a prediction reads (coefficients, thresholds and
    values of leaves, support vectors with their weights); `about` holds arrays for readers.
    """

    score: Callable[[np.ndarray], np.ndarray]
    parameters: int
    about: Mapping[str, np.ndarray] = field(default_factory=dict)


def genes_of(dataset: HistoneDataset, labels: str, split: str | None = None) -> Genes:
    """The genes of a cell type, or of one split of it, with bins along the gene.

    Raises DataError if expression or strands are missing.
    """
    part = dataset if split is None else dataset.take(split)
    return Genes(part.gene_oriented(), label(part, labels), np.log2(np.asarray(part.rpkm) + 1))


def log_counts(counts: np.ndarray) -> np.ndarray:
    """Logarithm of counts plus 1, float32, same shape."""
    return np.log1p(counts.astype(np.float32))


def flat_log_counts(counts: np.ndarray) -> np.ndarray:
    """Logarithm of counts plus 1 of every mark in every bin, float32 ``(gene, bin * mark)``."""
    return log_counts(counts).reshape(len(counts), -1)


def log_totals(counts: np.ndarray) -> np.ndarray:
    """Logarithm of each mark's total count plus 1, float64 ``(gene, mark)``."""
    return np.log(counts.sum(1, dtype=np.float64) + 1)


def to_probability(
    valid_score: np.ndarray, valid_label: np.ndarray, score: np.ndarray
) -> np.ndarray:
    """Probability of class 1 by a logistic curve of the score, fitted on the validation genes.

    Two numbers, the same way for every system; the order of the genes stays the same unless the
    scores point the wrong way.  Source: Platt 1999, Probabilistic outputs for support vector
    machines.

    Raises DataError if a score is not finite.
    """
    if not (np.isfinite(valid_score).all() and np.isfinite(score).all()):
        raise DataError("a system gave a score that is not finite: its fit diverged")
    curve = make_pipeline(StandardScaler(), LogisticRegression(C=1e6))
    curve.fit(np.asarray(valid_score, np.float64)[:, None], valid_label)
    return curve.predict_proba(np.asarray(score, np.float64)[:, None])[:, 1]


def resplit(dataset: HistoneDataset, split: str, seed: int = 0) -> HistoneDataset:
    """The same genes in other parts, of about the sizes of the released ones.

    The split ``"released"`` changes nothing; ``"chromosome"`` gives whole chromosomes, in an order
    drawn with the seed, to the part that lacks most; ``"random"`` draws genes.  Raises DataError if
    it is unknown.
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
