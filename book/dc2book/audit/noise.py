"""What wrong labels do to AUROC: a ceiling, an identity, and a simulation that checks both.

Let a share ``high`` of the genes be truly high, and let a share ``flipped`` of all genes be high
but labelled low (the text rule moves labels in this direction only, as long as the median is below
10).  The observed positives are then the kept high genes, the observed negatives are the true low
genes and the flipped ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from dc2lib.errors import DataError
from dc2lib.evaluation.scores import auroc


def class_ceiling(high: float, flipped: float) -> float:
    """AUROC on the observed labels of a score that knows every gene's true class and no more.

    Kept high genes beat all true low genes and tie with the flipped ones:
    ``(low + flipped / 2) / (low + flipped)`` with ``low = 1 - high``.

    Parameters
    ----------
    high, flipped : float
        Shares of all genes.

    Raises
    ------
    DataError
        If the shares are impossible.

    Examples
    --------
    >>> class_ceiling(0.5, 0.0)
    1.0
    >>> round(class_ceiling(0.5, 0.25), 4)
    0.8333
    """
    return expected_auroc(1.0, high, flipped)


def expected_auroc(true_auroc: float, high: float, flipped: float) -> float:
    """AUROC on observed labels of a score with a given AUROC on the true labels.

    Holds where the flips do not depend on the score: a flipped gene then scores like a kept one, so
    half of those pairs come out right: ``(low * true_auroc + flipped / 2) / (low + flipped)``.

    Raises
    ------
    DataError
        If the shares are impossible.
    """
    if not (0 < high < 1 and 0 <= flipped < high):
        raise DataError(f"shares high={high}, flipped={flipped}: expected 0 <= flipped < high < 1")
    low = 1 - high
    return (low * true_auroc + flipped / 2) / (low + flipped)


@dataclass(frozen=True)
class Decomposition:
    """Where the AUROC on observed labels comes from; an identity, whatever the score.

    Attributes
    ----------
    observed : float
        AUROC on the observed labels.
    kept_over_low : float
        How often a kept high gene scores above a true low gene.
    kept_over_flipped : float
        How often a kept high gene scores above a flipped one.
    flipped_over_low : float
        How often a flipped gene scores above a true low gene: what the score knows of it all the
        same.
    weight_flipped : float
        Share of flipped genes among the observed negatives;
        ``observed = (1 - weight_flipped) * kept_over_low + weight_flipped * kept_over_flipped``.
    """

    observed: float
    kept_over_low: float
    kept_over_flipped: float
    flipped_over_low: float
    weight_flipped: float


def decompose(scores: np.ndarray, true: np.ndarray, observed: np.ndarray) -> Decomposition:
    """Split the AUROC on observed labels into pairs with true low and with flipped genes.

    Parameters
    ----------
    scores : array (gene,)
    true, observed : 0/1 arrays (gene,)

    Raises
    ------
    DataError
        If a truly low gene is labelled high, or no gene is flipped.
    """
    scores, true, observed = np.asarray(scores), np.asarray(true), np.asarray(observed)
    if ((true == 0) & (observed == 1)).any():
        raise DataError("a truly low gene is labelled high: the decomposition has no such flips")
    kept, flipped, low = observed == 1, (true == 1) & (observed == 0), true == 0
    if not flipped.any():
        raise DataError("no gene is flipped: there is nothing to decompose")
    return Decomposition(
        observed=auroc(observed, scores),
        kept_over_low=_above(scores[kept], scores[low]),
        kept_over_flipped=_above(scores[kept], scores[flipped]),
        flipped_over_low=_above(scores[flipped], scores[low]),
        weight_flipped=float(flipped.sum() / (flipped.sum() + low.sum())),
    )


def simulate_ceiling(
    high: float, flipped: float, *, separation: float | None = None, n_genes: int = 100_000,
    seed: int = 0,
) -> tuple[float, float]:
    """Draw scores and flips at random; AUROC on the true and on the observed labels.

    Parameters
    ----------
    high, flipped : float
        Shares of all genes.
    separation : float, optional
        Distance of the classes' normal scores in standard deviations; None: the score is the true
        class itself.
    """
    rng = np.random.default_rng(seed)
    true = (rng.random(n_genes) < high).astype(int)
    observed = np.where((true == 1) & (rng.random(n_genes) < flipped / high), 0, true)
    score = true.astype(float)
    if separation is not None:
        score = score * separation + rng.standard_normal(n_genes)
    return auroc(true, score), auroc(observed, score)


def separation_of(true_auroc: float) -> float:
    """Distance of two equal normal distributions that have this AUROC."""
    return float(np.sqrt(2) * stats.norm.ppf(true_auroc))


def _above(first: np.ndarray, second: np.ndarray) -> float:
    labels = np.r_[np.ones(len(first), int), np.zeros(len(second), int)]
    return auroc(labels, np.r_[first, second])
