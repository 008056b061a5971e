"""Grade an attribution against a planted rule, with intervals over seeds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import stats

from dc2book.ground_truth.attributions import Attribution
from dc2book.ground_truth.worlds import Truth
from dc2lib.evaluation.scores import auroc
from dc2lib.evaluation.statistics import Interval


def recovery(attribution: Attribution, truth: Truth | None) -> dict[str, float]:
    """How much of the truth an attribution shows, 0 to 1, by aspect, as far as it can be asked.

    Returns
    -------
    dict
        ``marks``: chance that a mark that matters is stronger than one that does not.
        ``positions``: chance that a bin of the window has more evidence, in the true direction,
        than a bin of the same mark outside; only where the rule asks for positions.
        ``sign``: share of the marks with the true direction, read in the window.
        ``combination``: chance that a pair of marks that act together is stronger than one that
        does not.  Chance alone gives 0.5 each.  Nothing where no rule was planted.
    """
    scores: dict[str, float] = {}
    if truth is None:
        return scores
    if 0 < truth.matters.sum() < len(truth.matters):
        scores["marks"] = auroc(truth.matters.astype(int), attribution.strength)
    if truth.positions and attribution.evidence is not None:
        scores["positions"] = _position_score(attribution.evidence, truth)
    direction = _direction(attribution, truth)
    if direction is not None and truth.sign.any():
        signed = truth.sign != 0
        scores["sign"] = float(np.mean(np.sign(direction[signed]) == truth.sign[signed]))
    upper = np.triu_indices(len(truth.pairs), 1)
    together = truth.pairs[upper]
    if attribution.pairs is not None and together.any() and not together.all():
        scores["combination"] = auroc(together.astype(int), attribution.pairs[upper])
    return scores


def share_interval(values: Sequence[float], level: float = 0.95) -> Interval:
    """Mean of scores between 0 and 1 with the binomial interval for as many successes.

    For scores that are 0 or 1 this is Clopper and Pearson's exact interval
    (doi:10.1093/biomet/26.4.404); scores in between vary less than that, so it is on the wide
    side.  Unlike a bootstrap it does not shrink to a point when all seeds agree.
    """
    values = np.asarray(values, dtype=np.float64)
    n, total = len(values), float(values.sum())
    tail = (1 - level) / 2
    low = 0.0 if total <= 0 else float(stats.beta.ppf(tail, total, n - total + 1))
    high = 1.0 if total >= n else float(stats.beta.ppf(1 - tail, total + 1, n - total))
    return Interval(total / n, low, high, n)


def similarity(first: Attribution, second: Attribution) -> float:
    """Spearman correlation of absolute values, map by map (or mark by mark).

    The measure of Adebayo et al. 2018 (arXiv 1810.03292); 0 if one of them never varies.
    """
    return rank_correlation(first.map_or_strength, second.map_or_strength)


def rank_correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Spearman correlation of all values of two arrays of one shape; 0 if one never varies."""
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return 0.0
    return float(stats.spearmanr(first.ravel(), second.ravel()).statistic)


def _position_score(evidence: np.ndarray, truth: Truth) -> float:
    scores = []
    for mark, (first, last) in truth.window.items():
        inside = np.zeros(evidence.shape[1], int)
        inside[first:last] = 1
        scores.append(auroc(inside, truth.sign[mark] * evidence[mark]))
    return float(np.mean(scores))


def _direction(attribution: Attribution, truth: Truth) -> np.ndarray | None:
    """Signed number a mark; None where there is no sign, or no place in which to read it."""
    if attribution.evidence is None:
        return None if truth.positions else attribution.direction
    if not attribution.signed:
        return None
    direction = attribution.evidence.sum(1)
    for mark, (first, last) in truth.window.items():
        direction[mark] = attribution.evidence[mark, first:last].sum()
    return direction
