"""When does a method report a finding?  Thresholds from classifiers that had nothing to find.

A picture always shows something.  A method *reports a finding* if its statistic (the size or the
contrast of its picture) exceeds a threshold that was set on classifiers of permuted labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from dc2lib.errors import DataError
from dc2lib.evaluation.statistics import Interval

LEVEL = 0.1
STATISTICS = ("size", "contrast")


@dataclass(frozen=True)
class Threshold:
    """A finding is a statistic above ``value``; at most a share ``level`` gets there by chance.

    ``n`` networks set it; ``level`` holds with the confidence that `calibrate` was asked for.
    """

    value: float
    level: float
    n: int

    def exceeded(self, statistics: Sequence[float]) -> np.ndarray:
        """Whether each statistic is a finding, bool ``(network,)``."""
        return np.asarray(statistics, dtype=np.float64) > self.value


def calibrate(
    statistics: Sequence[float], level: float = LEVEL, confidence: float = 0.95
) -> Threshold:
    """The threshold that networks with nothing to find exceed at most so often.

    The k-th largest of n statistics is exceeded by a share of further networks that follows the
    beta distribution with parameters k and n + 1 - k, whatever the distribution of the statistic
    (Wilks 1941, doi:10.1214/aoms/1177731788); k is as large as level and confidence allow.

    Raises
    ------
    DataError
        If there are too few networks: at least log(1 - confidence) / log(1 - level).
    """
    values = np.sort(np.asarray(statistics, dtype=np.float64))[::-1]
    n = len(values)
    ranks = np.arange(1, n + 1)
    allowed = ranks[stats.beta.sf(level, ranks, n + 1 - ranks) <= 1 - confidence]
    if not len(allowed):
        needed = int(np.ceil(np.log(1 - confidence) / np.log(1 - level)))
        raise DataError(
            f"{n} networks cannot set a threshold at level {level}: expected {needed} or more;"
            " train more of them or raise the level"
        )
    return Threshold(float(values[allowed[-1] - 1]), level, n)


def reported(found: Sequence[bool], level: float = 0.95) -> Interval:
    """Share of findings with the exact binomial interval of Clopper and Pearson."""
    found = np.asarray(found, dtype=bool)
    bounds = stats.binomtest(int(found.sum()), len(found)).proportion_ci(level, method="exact")
    return Interval(float(found.mean()), float(bounds.low), float(bounds.high), len(found))
