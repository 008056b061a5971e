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

from dc2lib.datasets import HistoneDataset
from dc2lib.errors import DataError
from dc2lib.labels import label

Setting = Mapping[str, float | int | str]


@dataclass(frozen=True)
class Genes:
    """Genes to learn from or to be judged by.

    Attributes
    ----------
    counts
        uint16 ``(gene, bin, mark)``, upstream first.
    label
        0 or 1 ``(gene,)``.
    expression
        log2 of RPKM plus 1, float64 ``(gene,)``.
    """

    counts: np.ndarray
    label: np.ndarray
    expression: np.ndarray

    def __len__(self) -> int:
        return len(self.label)

    def take(self, chosen: np.ndarray) -> Genes:
        """The genes given by an index array or a mask."""
        return replace(
            self,
            counts=self.counts[chosen],
            label=self.label[chosen],
            expression=self.expression[chosen],
        )


@dataclass(frozen=True)
class Fitted:
    """A fitted system.

    Attributes
    ----------
    score
        Takes counts ``(gene, bin, mark)``, gives a number a gene ``(gene,)``; higher means more
        likely class 1.
    parameters
        Fitted numbers that a prediction reads: coefficients, thresholds and values of leaves,
        support vectors with their weights.
    about
        What a reader may want to see of the fit: arrays by name.
    """

    score: Callable[[np.ndarray], np.ndarray]
    parameters: int
    about: Mapping[str, np.ndarray] = field(default_factory=dict)


def genes_of(dataset: HistoneDataset, labels: str, split: str | None = None) -> Genes:
    """The genes of a cell type, or of one split of it, with bins along the gene.

    Raises
    ------
    DataError
        If expression or strands are missing.
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

    Raises
    ------
    DataError
        If a score is not finite.
    """
    if not (np.isfinite(valid_score).all() and np.isfinite(score).all()):
        raise DataError("a system gave a score that is not finite: its fit diverged")
    curve = make_pipeline(StandardScaler(), LogisticRegression(C=1e6))
    curve.fit(np.asarray(valid_score, np.float64)[:, None], valid_label)
    return curve.predict_proba(np.asarray(score, np.float64)[:, None])[:, 1]
