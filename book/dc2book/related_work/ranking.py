"""Ranks of systems over blocks (cell types and seeds), and what they can and cannot tell.

Source of the tests: Demsar 2006, Statistical comparisons of classifiers over multiple data sets,
Journal of Machine Learning Research 7:1-30.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from dc2book.related_work.scores import Judged
from dc2lib.evaluation.statistics import Interval, compared, holm


@dataclass(frozen=True)
class Ranking:
    """Mean ranks with Friedman's test and Nemenyi's critical difference.

    Attributes
    ----------
    mean_rank : Series
        By system, 1 is best, best first.
    pvalue : float
        Of Friedman's test that all systems rank alike; 1 where it cannot be computed.
    critical : float
        Mean ranks that differ by less are not told apart at 5 %.
    blocks : int
    """

    mean_rank: pd.Series
    pvalue: float
    critical: float
    blocks: int

    def alike(self) -> list[tuple[str, str]]:
        """Longest runs of neighbours, as (first, last), that lie within the critical difference."""
        names, values = list(self.mean_rank.index), self.mean_rank.to_numpy()
        runs = []
        for start in range(len(names)):
            last = int(np.flatnonzero(values - values[start] < self.critical)[-1])
            if last > start and (not runs or last > runs[-1][1]):
                runs.append((start, last))
        return [(names[a], names[b]) for a, b in runs]


def rank(table: pd.DataFrame) -> Ranking:
    """Rank systems by a score, higher being better.

    Parameters
    ----------
    table
        A row a block, a column a system.
    """
    ranks = table.rank(axis=1, ascending=False)
    blocks, systems = table.shape
    pvalue = 1.0
    if blocks > 1 and systems > 2:
        pvalue = float(stats.friedmanchisquare(*table.to_numpy().T).pvalue)
    width = stats.studentized_range.ppf(0.95, systems, np.inf) / np.sqrt(2)
    critical = float(width * np.sqrt(systems * (systems + 1) / (6 * blocks)))
    return Ranking(ranks.mean().sort_values(), pvalue, critical, blocks)


def least_wilcoxon_pvalue(blocks: int) -> float:
    """Smallest two-sided p-value that Wilcoxon's signed-rank test can give on so many blocks.

    Examples
    --------
    >>> least_wilcoxon_pvalue(4)
    0.125
    """
    return 2.0 ** (1 - blocks)


def against(judged: Judged, reference: str) -> pd.DataFrame:
    """Paired differences of AUROC to one system, with p-values corrected by Holm over the systems.

    Columns system, difference, low, high, pvalue (Holm, two-sided, normal from the resamples'
    standard deviation), verdict (see `dc2lib.evaluation.statistics.compared`).
    """
    rows = []
    for system in judged.estimate:
        if system == reference:
            continue
        gap = judged.difference(system, reference)
        draws = judged.draws[system]["auroc"] - judged.draws[reference]["auroc"]
        error = float(draws.std())
        pvalue = 1.0 if error == 0 else float(2 * stats.norm.sf(abs(gap.estimate) / error))
        rows.append({"system": system, "difference": gap.estimate, "low": gap.low}
                    | {"high": gap.high, "pvalue": pvalue, "verdict": compared(gap)})
    table = pd.DataFrame(rows)
    table["pvalue"] = holm(table["pvalue"].to_numpy())
    return table


def ordered_as_published(judged: Judged, orders: list[tuple[str, str, str]]) -> pd.DataFrame:
    """Whether each published order (better, worse, source) is found.

    Columns better, worse, source, difference, verdict: ``"as published"``, ``"reversed"``,
    ``"alike"`` (equivalent within 0.01) or ``"undecided"``.
    """
    words = {"better": "as published", "worse": "reversed", "equivalent": "alike"}
    rows = []
    for better, worse, source in orders:
        gap = judged.difference(better, worse)
        rows.append({"better": better, "worse": worse, "source": source, "difference": gap}
                    | {"verdict": words.get(compared(gap), "undecided")})
    return pd.DataFrame(rows)


def rank_agreement(judged: Judged, other: Judged) -> Interval:
    """Kendall's tau of the systems' AUROCs under two label rules, with its bootstrap interval."""
    names = list(judged.estimate)
    first, second = (
        np.array([one.draws[name]["auroc"] for name in names]) for one in (judged, other)
    )
    taus = [
        stats.kendalltau(a, b).statistic for a, b in zip(first.T, second.T, strict=False)
    ]
    estimate = stats.kendalltau(
        [judged.estimate[n]["auroc"] for n in names], [other.estimate[n]["auroc"] for n in names]
    ).statistic
    low, high = np.quantile(taus, [0.025, 0.975])
    return Interval(float(estimate), float(low), float(high), len(names))


def best_first(judged: Judged, metric: str = "auroc") -> list[str]:
    """Systems by their score, best first."""
    sign = 1 if metric in ("auroc", "average_precision") else -1
    return sorted(judged.estimate, key=lambda name: -sign * judged.estimate[name][metric])
