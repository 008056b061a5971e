"""Judges of samples: what each gives real, optimised, sampled and generated digits.

Every judge says a number between 0 and 1 for each sample; means are compared with every class
weighing alike, and confidence of the probed classifier is held against realism.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd
from scipy.special import expit, softmax
from scipy.stats import rankdata

from dc2lib.errors import DataError
from dc2lib.evaluation.generated import nearest_distances
from dc2lib.evaluation.statistics import Interval, bootstrap_mean, percentile_interval
from dc2lib.models.networks import Network, apply_in_batches


@dataclass(frozen=True)
class Judge:
    """A named number between 0 and 1 for each sample: ``probability(samples, targets)``.

    ``targets`` are the classes that the samples are meant to show, ``(sample,)``.
    """

    name: str
    probability: Callable[[np.ndarray, np.ndarray], np.ndarray]


def classifier_judge(name: str, classifier: Network) -> Judge:
    """The probability that a classifier gives to the target class."""

    def probability(samples: np.ndarray, targets: np.ndarray) -> np.ndarray:
        shares = softmax(apply_in_batches(classifier, samples).astype(np.float64), axis=1)
        return shares[np.arange(len(targets)), targets]

    return Judge(name, probability)


def discriminator_judge(name: str, discriminator: Network) -> Judge:
    """The probability that a discriminator gives to "real"."""

    def probability(samples: np.ndarray, targets: np.ndarray) -> np.ndarray:
        return expit(apply_in_batches(discriminator, samples).astype(np.float64).ravel())

    return Judge(name, probability)


def nearest_judge(
    name: str, features: Network, reference: np.ndarray, held_out: np.ndarray
) -> Judge:
    """The share of held-out real samples that lie at least as far from their nearest real sample.

    About 0.5 on average for real samples by construction, and 0 for a sample that lies farther from
    every real one than any held-out sample does.

    Features turn samples into vectors in which distances mean something; the nearest sample is
    sought in ``reference``, and ``held_out`` sets the scale.
    """
    known = apply_in_batches(features, reference)
    scale = np.sort(nearest_distances(apply_in_batches(features, held_out), known))

    def probability(samples: np.ndarray, targets: np.ndarray) -> np.ndarray:
        distance = nearest_distances(apply_in_batches(features, samples), known)
        return 1 - np.searchsorted(scale, distance, side="left") / len(scale)

    return Judge(name, probability)


def ranked(judge: Judge, real: np.ndarray, targets: np.ndarray) -> Judge:
    """A judge's rating as a rank: the share of held-out real samples it rates no higher, ties half.

    Real samples have 0.5 on average by construction, whatever the scale of the judge.
    """
    scale = np.sort(judge.probability(real, targets))

    def probability(samples: np.ndarray, targets: np.ndarray) -> np.ndarray:
        ratings = judge.probability(samples, targets)
        below = [np.searchsorted(scale, ratings, side=side) for side in ("left", "right")]
        return (below[0] + below[1]) / (2 * len(scale))

    return Judge(judge.name, probability)


def rate_samples(
    methods: Mapping[str, tuple[np.ndarray, np.ndarray]], judges: Sequence[Judge]
) -> pd.DataFrame:
    """Each judge's rating of each sample: ``method``, ``sample``, ``target`` and a column a judge.

    ``methods`` holds samples ``(sample, ...)`` and the classes they are meant to show by method; a
    method without samples is left out.
    """
    parts = []
    for method, (samples, targets) in methods.items():
        if len(samples) != len(targets):
            raise DataError(
                f"{method}: {len(samples)} samples and {len(targets)} targets; expected as many"
            )
        if len(samples) == 0:
            continue
        targets = np.asarray(targets)
        ratings = {judge.name: judge.probability(samples, targets) for judge in judges}
        tags = {"method": method, "sample": np.arange(len(samples)), "target": targets}
        parts.append(pd.DataFrame({**tags, **ratings}))
    return pd.concat(parts, ignore_index=True)


def judge_means(ratings: pd.DataFrame, *, seed: int = 0) -> pd.DataFrame:
    """Mean of each judge for each method, every class with the same weight.

    Columns ``method``, ``judge``, ``estimate``, ``low``, ``high`` (bootstrap over the samples
    within classes), ``n``, in the order of the methods and judges.
    """
    judges = [c for c in ratings.columns if c not in ("method", "sample", "target")]
    rows = []
    for method, part in ratings.groupby("method", sort=False):
        for judge in judges:
            classes = [one.to_numpy() for _, one in part.groupby("target")[judge]]
            draws = _balanced(classes, np.random.default_rng(seed))
            rows.append({"method": method, "judge": judge}
                        | vars(percentile_interval(draws[0], draws[1:], len(part))))
    return pd.DataFrame(rows)


def difference_of_means(
    first: np.ndarray,
    second: np.ndarray,
    *,
    strata: tuple[np.ndarray, np.ndarray] | None = None,
    seed: int = 0,
) -> Interval:
    """Mean of the first minus mean of the second, independent samples, percentile bootstrap.

    With ``strata``, ``(sample,)`` each, every stratum has the same weight and draws stay within
    strata.  Strata with fewer than two samples on either side are left out; DataError if none is
    left.
    """
    parts = [np.asarray(part, float) for part in (first, second)]
    groups = strata or [np.zeros(len(part), int) for part in parts]
    split = [
        [part[group == one] for part, group in zip(parts, groups, strict=True)]
        for one in np.unique(groups[0])
    ]
    split = [pair for pair in split if min(map(len, pair)) >= 2]
    if not split:
        raise DataError("no stratum has two samples on either side: draw more samples")
    rng = np.random.default_rng(seed)
    one, other = (_balanced(side, rng) for side in zip(*split, strict=True))
    n = min(sum(map(len, side)) for side in zip(*split, strict=True))
    return percentile_interval(one[0] - other[0], (one - other)[1:], n)


def _balanced(parts: Sequence[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """Mean of the parts' means, and after it 2,000 of bootstrap draws within parts."""
    return np.mean([
        [part.mean(), *part[rng.integers(len(part), size=(2000, len(part)))].mean(1)]
        for part in parts
    ], axis=0)  # fmt: skip


def trend_test(
    dose: np.ndarray,
    response: np.ndarray,
    strata: np.ndarray,
    *,
    n_resamples: int = 1000,
    seed: int = 0,
) -> tuple[Interval, float]:
    """Does the response rise with the dose within strata?

    All three are ``(sample,)``.  Ranks are taken within each stratum, so a stratum whose samples
    all have a higher dose and a higher response (an easy class) adds nothing.

    Returns Spearman's rank correlation within strata, pooled, with a bootstrap interval, and the
    one-sided p-value of a permutation test within strata.  Raises DataError if no stratum holds
    three samples that differ in dose and in response.
    """
    groups = _ranked_groups(np.asarray(dose), np.asarray(response), np.asarray(strata))
    estimate = _pooled(groups)
    rng = np.random.default_rng(seed)
    by_chance = [_pooled([(x, rng.permutation(y)) for x, y in groups]) for _ in range(n_resamples)]
    draws = [_resampled(groups, rng) for _ in range(n_resamples)]
    pvalue = (1 + sum(value >= estimate for value in by_chance)) / (1 + n_resamples)
    n = sum(len(x) for x, _ in groups)
    return percentile_interval(estimate, draws, n), float(pvalue)


def dose_bands(
    dose: np.ndarray, response: np.ndarray, limits: Sequence[float], *, seed: int = 0
) -> pd.DataFrame:
    """Mean response between limits of the dose: columns band (as text), estimate, low, high, n.

    Bands with fewer than two samples are left out.
    """
    between = [f"{low:g} to {high:g}" for low, high in pairwise(limits)]
    names = [f"up to {limits[0]:g}", *between, f"above {limits[-1]:g}"]
    rows = []
    for name, (low, high) in zip(names, pairwise([0.0, *limits, np.inf]), strict=True):
        inside = response[(dose > low) & (dose <= high)]
        if len(inside) >= 2:
            rows.append({"band": name} | vars(bootstrap_mean(inside, seed=seed)))
    return pd.DataFrame(rows, columns=["band", "estimate", "low", "high", "n"])


def _ranked_groups(
    dose: np.ndarray, response: np.ndarray, strata: np.ndarray
) -> list[tuple[np.ndarray, np.ndarray]]:
    groups = []
    for stratum in np.unique(strata):
        rows = strata == stratum
        if rows.sum() >= 3 and np.ptp(dose[rows]) > 0 and np.ptp(response[rows]) > 0:
            groups.append((_centred_ranks(dose[rows]), _centred_ranks(response[rows])))
    if not groups:
        raise DataError(
            "no stratum holds three samples that differ in dose and response: draw more samples"
        )
    return groups


def _centred_ranks(values: np.ndarray) -> np.ndarray:
    ranks = rankdata(values) / len(values)
    return ranks - ranks.mean()


def _pooled(groups: list[tuple[np.ndarray, np.ndarray]]) -> float:
    shared = sum(float(x @ y) for x, y in groups)
    spread = sum(float(x @ x) for x, _ in groups) * sum(float(y @ y) for _, y in groups)
    return shared / np.sqrt(spread) if spread > 0 else 0.0


def _resampled(groups: list[tuple[np.ndarray, np.ndarray]], rng: np.random.Generator) -> float:
    drawn = []
    for x, y in groups:
        rows = rng.integers(len(x), size=len(x))
        drawn.append((x[rows] - x[rows].mean(), y[rows] - y[rows].mean()))
    return _pooled(drawn)
