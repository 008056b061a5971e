"""When does a method report a finding?  Thresholds from classifiers that had nothing to find.

An attribution always shows something.  A method *reports a finding* if its statistic (the size or
the contrast of its attribution) exceeds a threshold that was set on classifiers of permuted labels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy import stats

from dc2book.ground_truth.recovery import share_interval
from dc2book.ground_truth.replicates import Replicate
from dc2lib.errors import DataError

STATISTICS = ("size", "contrast")
Thresholds = Mapping[tuple[str, str], float]
CONFIDENCE = 0.95  # that no more than the level exceed the threshold


def calibrate(statistics: Sequence[float], level: float, confidence: float = CONFIDENCE) -> float:
    """The threshold that networks with nothing to find exceed at most so often.

    The k-th largest of n statistics is exceeded by a share of further networks that follows the
    beta distribution with parameters k and n + 1 - k, whatever the distribution of the statistic
    (Wilks 1941, doi:10.1214/aoms/1177731788); k is as large as level and confidence allow.

    Raises DataError if there are too few networks: at least log(1 - confidence) / log(1 - level).
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
    return float(values[allowed[-1] - 1])


def calibrate_thresholds(permuted: Sequence[Replicate], level: float) -> Thresholds:
    """Threshold of each method and statistic, from networks of permuted labels."""
    return {
        (method, statistic): calibrate(_statistics(permuted, method, statistic), level)
        for method in permuted[0].attributions
        for statistic in STATISTICS
    }


def findings(groups: Mapping[str, Sequence[Replicate]], thresholds: Thresholds) -> pd.DataFrame:
    """How often each method reports a finding, by rule and statistic.

    Columns rule (name of the group), method, statistic, estimate (share of networks), low, high,
    n; only the methods that have a threshold.
    """
    return pd.DataFrame([
        {"rule": rule, "method": method, "statistic": statistic}
        | vars(share_interval(_statistics(ones, method, statistic) > threshold))
        for rule, ones in groups.items() for (method, statistic), threshold in thresholds.items()
    ])


def _statistics(ones: Sequence[Replicate], method: str, statistic: str) -> np.ndarray:
    return np.array([getattr(one.attributions[method], statistic) for one in ones])
