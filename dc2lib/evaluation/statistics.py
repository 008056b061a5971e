"""Intervals, paired comparisons, equivalence and multiple testing.

The unit that is resampled is the gene, or a stretch of the genome with all its genes (``blocks``):
neighbouring genes are alike, so genes drawn one by one make intervals too narrow.  Where several
fits (seeds) of one model are given, the fits are resampled too, so an interval covers both the
choice of test genes and of the seed.

>>> labels, scores = np.tile([0, 1], 50), np.linspace(0, 1, 100)
>>> bootstrap_auroc(labels, scores, blocks=np.arange(100) // 10).n
100
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
from scipy import stats

from dc2lib.evaluation.scores import auroc
from dc2lib.fast.fused_step import compiled

LEVEL = 0.95  # of all intervals
ENDS = ((1 - LEVEL) / 2, (1 + LEVEL) / 2)
MARGIN = 0.01
MIN_CELLS = 5


@dataclass(frozen=True)
class Interval:
    """An estimate with the bounds of its interval and the number of units behind it.

    >>> gap = Interval(0.0123, -0.001, 0.0256, 500)
    >>> print(gap, f"{gap:+.2f}", 0.0 in gap)
    0.012 [-0.001, 0.026] +0.01 [-0.00, +0.03] True
    """

    estimate: float
    low: float
    high: float
    n: int

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high

    def __format__(self, spec: str) -> str:
        spec = spec or ".3f"
        return f"{self.estimate:{spec}} [{self.low:{spec}}, {self.high:{spec}}]"

    def __str__(self) -> str:
        return format(self)


def bootstrap_auroc(
    labels: np.ndarray,
    scores: np.ndarray,
    *,
    blocks: np.ndarray | None = None,
    n_resamples: int = 1000,
    seed: int = 0,
) -> Interval:
    """AUROC with a percentile bootstrap interval over genes (and fits).

    Labels are 0 or 1, ``(gene,)``; scores ``(gene,)``, or ``(fit, gene)``: then the estimate is the
    mean AUROC over the fits and the fits are resampled as well.  ``blocks`` ``(gene,)`` numbers the
    stretch of the genome that each gene lies in (`dc2lib.datasets.gene_windows.genome_blocks`):
    whole stretches are then drawn.
    """
    blocks = None if blocks is None else [blocks]
    return bootstrap_mean_auroc(
        [labels], [scores], blocks=blocks, n_resamples=n_resamples, seed=seed
    )


def paired_auroc_difference(
    labels: np.ndarray,
    scores: np.ndarray,
    other_scores: np.ndarray,
    *,
    blocks: np.ndarray | None = None,
    n_resamples: int = 1000,
    seed: int = 0,
) -> Interval:
    """AUROC of ``scores`` minus AUROC of ``other_scores`` on the same genes, paired bootstrap.

    Scores are ``(gene,)`` or ``(fit, gene)`` and blocks as in `bootstrap_auroc`; the genes drawn
    are the same for both sides, the fits are drawn separately.
    """
    blocks = None if blocks is None else [blocks]
    return bootstrap_mean_auroc(
        [labels], [scores], [other_scores], blocks=blocks, n_resamples=n_resamples, seed=seed
    )


def bootstrap_mean_auroc(
    labels: Sequence[np.ndarray],
    scores: Sequence[np.ndarray],
    other_scores: Sequence[np.ndarray] | None = None,
    *,
    blocks: Sequence[np.ndarray] | None = None,
    paired_fits: bool = False,
    n_resamples: int = 1000,
    seed: int = 0,
) -> Interval:
    """Mean AUROC over cell types, or the mean paired difference, on the same genes or stretches.

    Genes are resampled jointly for all cell types, fits within each; from `MIN_CELLS` cell types on
    the cell types are resampled too, and what that adds is widened by `few_units_factor`.  With
    fewer, the interval speaks of these cell types only.

    Labels are one array ``(gene,)`` a cell type, scores one array ``(fit, gene)``.  Blocks, one
    array ``(gene,)`` a cell type, say which stretch of the genome each gene lies in, the same
    number in all cell types; a drawn stretch brings the genes that each cell type has there.
    Without them genes are drawn one by one, and all cell types must have the same genes in the same
    order.  With ``paired_fits`` the fits of both sides belong together one by one (the same seed)
    and are drawn together.
    """
    n = len(labels[0])
    if blocks is None and any(len(one) != n for one in labels):
        sizes = [len(one) for one in labels]
        raise ValueError(f"the cell types have {sizes} genes: expected equal numbers, or blocks")
    places = [np.arange(n)] * len(labels) if blocks is None else [np.asarray(b) for b in blocks]
    labels = [np.asarray(one) for one in labels]
    places, times, rng = _drawn_blocks(labels, places, n_resamples, seed)
    others = [None] * len(labels) if other_scores is None else other_scores
    draws, estimates = [], []
    for label, first, second, place in zip(labels, scores, others, places, strict=True):
        first = np.atleast_2d(first)
        fits = _drawn_fits(len(first), times, rng)
        draw = _mean_over_fits(label, first, place, times, fits)
        estimate = _mean_auroc(label, first)
        if second is not None:
            second = np.atleast_2d(second)
            if not paired_fits:
                fits = _drawn_fits(len(second), times, rng)
            draw = draw - _mean_over_fits(label, second, place, times, fits)
            estimate -= _mean_auroc(label, second)
        draws.append(draw)
        estimates.append(estimate)
    by_cell = np.stack(draws)
    enough = len(labels) >= MIN_CELLS
    chosen = rng.integers(len(labels), size=by_cell.shape) if enough else None
    return percentile_interval(float(np.mean(estimates)), resampled_means(by_cell, chosen), n)


def resampled_means(by_cell: np.ndarray, chosen: np.ndarray | None) -> np.ndarray:
    """Mean over cell types in each resample, ``(resample,)``, of values ``(cell, resample)``.

    ``chosen``, of the same shape, numbers the cell types drawn; how far the mean over them lies
    from that over all is widened by `few_units_factor`.  None: no cell types are drawn.
    """
    means = by_cell.mean(0)
    if chosen is None:
        return means
    drawn = np.take_along_axis(by_cell, chosen, axis=0).mean(0)
    return means + few_units_factor(len(by_cell)) * (drawn - means)


def paired_auroc_changes(
    stages: Sequence[tuple[np.ndarray, np.ndarray]],
    *,
    blocks: np.ndarray | None = None,
    n_resamples: int = 1000,
    seed: int = 0,
) -> list[tuple[Interval, Interval | None]]:
    """AUROC of each stage, and its change from the stage before (None for the first).

    All on one resampled set of genes; unlike in `paired_auroc_difference` the labels may change
    from stage to stage.  A stage is labels ``(gene,)`` and scores ``(gene,)`` or ``(fit, gene)``,
    all of the same genes in the same order; stages with equally many fits draw the same ones, so
    they are paired by position.  Blocks as in `bootstrap_auroc`.
    """
    labels = [np.asarray(one) for one, _ in stages]
    n = len(labels[0])
    if any(len(one) != n for one in labels):
        raise ValueError(f"the stages have {[len(one) for one in labels]} genes: expected equal")
    place = np.arange(n) if blocks is None else np.asarray(blocks)
    places, times, _ = _drawn_blocks(labels, [place] * len(labels), n_resamples, seed)
    draws, estimates = [], []
    for label, place, (_, scores) in zip(labels, places, stages, strict=True):
        scores = np.atleast_2d(scores)
        fits = _drawn_fits(len(scores), times, np.random.default_rng((seed, len(scores))))
        draws.append(_mean_over_fits(label, scores, place, times, fits))
        estimates.append(_mean_auroc(label, scores))
    own = [percentile_interval(*one, n) for one in zip(estimates, draws, strict=True)]
    changes = [percentile_interval(estimates[i] - estimates[i - 1], draws[i] - draws[i - 1], n)
               for i in range(1, len(own))]
    return list(zip(own, [None, *changes], strict=True))


def bootstrap_mean(
    values: np.ndarray, *, n_resamples: int = 2000, seed: int = 0
) -> Interval:
    """Mean with a percentile bootstrap interval over the values ``(unit,)``."""
    values = np.asarray(values, dtype=np.float64)
    index = np.random.default_rng(seed).integers(len(values), size=(n_resamples, len(values)))
    return percentile_interval(values.mean(), values[index].mean(1), len(values))


def student_interval(
    values: np.ndarray, *, lowest: float = -np.inf, highest: float = np.inf
) -> Interval:
    """Mean with Student's interval over independent values ``(unit,)``: cell types, seeds, worlds.

    The ends stay within ``lowest`` and ``highest``; those of a single value are NaN.

    >>> print(student_interval(np.array([0.1, 0.2, 0.3])))
    0.200 [-0.048, 0.448]
    """
    values = np.asarray(values, dtype=np.float64)
    mean, n = float(values.mean()), len(values)
    if n < 2:
        return Interval(mean, np.nan, np.nan, n)
    half = float(stats.t.ppf(ENDS[1], n - 1) * stats.sem(values))
    return Interval(mean, max(mean - half, lowest), min(mean + half, highest), n)


def few_units_factor(n: int) -> float:
    """By what Student's interval of a mean of n values exceeds the percentiles of its bootstrap.

    The bootstrap of few values is too narrow: their spread is divided by n in place of n - 1, and
    the percentiles are those of a normal distribution.  Source: Hesterberg 2015
    (doi:10.1080/00031305.2015.1089789).

    >>> [round(few_units_factor(n), 2) for n in (5, 7, 15, 56)]
    [1.58, 1.35, 1.13, 1.03]
    """
    return float(stats.t.ppf(ENDS[1], n - 1) / stats.norm.ppf(ENDS[1]) * np.sqrt(n / (n - 1)))


def proportion(successes: int, n: int) -> Interval:
    """Share of successes with Wilson's interval (scipy)."""
    bounds = stats.binomtest(int(successes), int(n)).proportion_ci(LEVEL, method="wilson")
    return Interval(successes / n, float(bounds.low), float(bounds.high), int(n))


def equivalence_test(difference: Interval) -> float:
    """P-value of two one-sided tests of |difference| < `MARGIN`, for a paired bootstrap's interval.

    Normal, with the standard error from the interval's width.  Source: Schuirmann 1987
    (doi:10.1007/BF01068419).
    """
    error = (difference.high - difference.low) / (2 * stats.norm.ppf(ENDS[1]))
    if error == 0:
        return float(abs(difference.estimate) >= MARGIN)
    return float(max(
        stats.norm.sf((difference.estimate + MARGIN) / error),
        stats.norm.cdf((difference.estimate - MARGIN) / error),
    ))  # fmt: skip


def compared(difference: Interval) -> str:
    """What a paired difference shows, in a word: its direction and whether it matters.

    One of ``"better"`` and ``"worse"`` (the interval excludes 0 and reaches beyond the margin),
    ``"equivalent"`` (`equivalence_test` at 5 %) and ``"undecided"``.
    """
    if equivalence_test(difference) < 0.05:
        return "equivalent"
    if difference.low > 0:
        return "better"
    return "worse" if difference.high < 0 else "undecided"


def holm(pvalues: np.ndarray) -> np.ndarray:
    """Holm's adjusted p-values, in the order given (Holm 1979, Scand. J. Statist. 6:65)."""
    pvalues = np.asarray(pvalues, dtype=np.float64)
    order = np.argsort(pvalues)
    factors = np.arange(len(pvalues), 0, -1)
    adjusted = np.minimum(np.maximum.accumulate(pvalues[order] * factors), 1.0)
    result = np.empty_like(adjusted)
    result[order] = adjusted
    return result


def percentile_interval(estimate: float, draws: Sequence[float], n: int) -> Interval:
    """An estimate with the percentiles of its resamples ``(resample,)``, NaN left out, as ends."""
    low, high = np.nanquantile(draws, ENDS)
    return Interval(float(estimate), float(low), float(high), int(n))


def _mean_auroc(labels: np.ndarray, scores: np.ndarray) -> float:
    return float(np.mean([auroc(labels, row) for row in scores]))


def _drawn_fits(n_fits: int, times: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return rng.integers(n_fits, size=(times.shape[1], n_fits))


def _mean_over_fits(
    labels: np.ndarray, scores: np.ndarray, place: np.ndarray, times: np.ndarray, fits: np.ndarray
) -> np.ndarray:
    aurocs = np.stack([_resampled_auroc(labels, row, place, times) for row in scores], axis=1)
    return np.take_along_axis(aurocs, fits, axis=1).mean(1)


def _drawn_blocks(
    labels: Sequence[np.ndarray], blocks: Sequence[np.ndarray], n_resamples: int, seed: int
) -> tuple[list[np.ndarray], np.ndarray, np.random.Generator]:
    """Row of each gene's block ``(gene,)`` a cell type, how often each is drawn, what draws next.

    A block is drawn as often for all cell types, ``(block, resample)``; resamples in which a cell
    type has one class only are left out.
    """
    for one, place in zip(labels, blocks, strict=True):
        if set(np.unique(one).tolist()) != {0, 1}:
            raise ValueError(f"labels hold {np.unique(one).tolist()}: expected both 0 and 1")
        if place.shape != one.shape:
            raise ValueError(f"{len(place)} blocks for {len(one)} genes: expected one a gene")
    known = np.unique(np.concatenate(list(blocks)))
    times, state = _drawn_times(len(known), n_resamples, seed)
    places = [np.searchsorted(known, place) for place in blocks]
    whole = np.ones(n_resamples, bool)
    for one, place in zip(labels, places, strict=True):
        for value in (0, 1):
            whole &= times[np.unique(place[one == value])].any(0)
    rng = np.random.default_rng(seed)
    rng.bit_generator.state = state
    return places, times if whole.all() else times[:, whole], rng


@lru_cache(maxsize=4)
def _drawn_times(n_blocks: int, n_resamples: int, seed: int) -> tuple[np.ndarray, dict]:
    """How often each block is drawn, uint16 ``(block, resample)``, and the generator's next state.

    Cell types with the same test genes share it.
    """
    rng = np.random.default_rng(seed)
    drawn = rng.integers(n_blocks, size=(n_resamples, n_blocks))
    times = np.empty((n_blocks, n_resamples), np.uint16)
    for resample, row in enumerate(drawn):
        times[:, resample] = np.bincount(row, minlength=n_blocks)
    return times, rng.bit_generator.state


def _resampled_auroc(
    labels: np.ndarray, scores: np.ndarray, place: np.ndarray, times: np.ndarray
) -> np.ndarray:
    """AUROC of one score vector in each resample: genes are ranked once, whatever is drawn.

    ``times`` ``(block, resample)`` says how often the blocks are drawn, ``place`` ``(gene,)`` in
    which of them each gene lies.
    """
    order = np.argsort(scores, kind="stable")
    ascending = scores[order]
    ends = np.searchsorted(ascending, ascending, "right")
    counts = np.zeros((3, times.shape[1]), np.int64)
    _compiled_wins()(labels[order] == 1, ends, place[order], times, counts)
    won, below, positives = counts
    return won / (positives * below)


@cache
def _compiled_wins() -> Callable:
    return compiled(count_wins)


def count_wins(
    positive: np.ndarray, ends: np.ndarray, place: np.ndarray, times: np.ndarray, counts: np.ndarray
) -> None:
    """Pairs won, twice, a tie counting one; twice the negative genes; the positive genes.

    These are the rows of ``counts`` ``(3, resample)``.  Genes ascend by score; ``ends`` says where
    the genes that tie with each one end.
    """
    start = 0
    while start < len(ends):
        end = ends[start]
        for part in range(3):  # of a tie: half of the negatives, the positives, the other half
            for gene in range(start, end):
                drawn = times[place[gene]]
                if positive[gene]:
                    if part == 1:
                        for resample in range(times.shape[1]):
                            counts[0, resample] += drawn[resample] * counts[1, resample]
                            counts[2, resample] += drawn[resample]
                elif part != 1:
                    for resample in range(times.shape[1]):
                        counts[1, resample] += drawn[resample]
        start = end
