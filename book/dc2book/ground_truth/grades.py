"""Tables of a study: scores by method, rule and aspect; findings; similarity; AUROC of models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy import stats

from dc2book.ground_truth.null_calibration import STATISTICS, Threshold, calibrate, reported
from dc2book.ground_truth.replicates import Replicate
from dc2book.ground_truth.scores import above_chance, recovery, seeds_interval, similarity, truth_of
from dc2lib.evaluation.scores import auroc
from dc2lib.evaluation.statistics import Interval

RULES_SHOWN = ("one_mark", "two_marks", "position", "two_groups")


def scores(studied: Sequence[Replicate], marks: Sequence[str]) -> pd.DataFrame:
    """Every score of every replicate: rule, seed, method, aspect, value."""
    rows = []
    for one in studied:
        truth = truth_of(one.plan.rule, marks)
        for method, picture in one.pictures.items():
            for aspect, value in recovery(picture, truth).items():
                rows.append(
                    {"rule": one.plan.rule, "seed": one.plan.seed, "method": method,
                     "aspect": aspect, "value": value}
                )
    return pd.DataFrame(rows)


def recovery_table(
    trained: Sequence[Replicate], untrained: Sequence[Replicate], marks: Sequence[str]
) -> pd.DataFrame:
    """Mean score over seeds with its interval, beside that of untrained networks.

    Returns
    -------
    DataFrame
        Columns rule, method, aspect, value, low, high, n, shown (whether the scores are above
        chance), untrained, untrained_low, untrained_high.
    """
    by = ["rule", "method", "aspect"]
    other = {key: group["value"] for key, group in scores(untrained, marks).groupby(by)}
    rows = []
    for key, group in scores(trained, marks).groupby(by, sort=False):
        found, blind = seeds_interval(group["value"]), seeds_interval(other[key])
        rows.append(
            dict(zip(by, key, strict=True))
            | {"value": found.estimate, "low": found.low, "high": found.high, "n": found.n}
            | {"shown": above_chance(group["value"])}
            | {"untrained": blind.estimate, "untrained_low": blind.low,
               "untrained_high": blind.high}
        )
    return pd.DataFrame(rows)


def overall(table: pd.DataFrame, column: str = "value") -> pd.DataFrame:
    """Mean over the aspects that a method can be asked about, by method (row) and rule (column)."""
    mean = table.groupby(["method", "rule"], sort=False)[column].mean().unstack()
    return mean[[rule for rule in RULES_SHOWN if rule in mean.columns]]


def score_difference(
    studied: Sequence[Replicate], marks: Sequence[str], first: str, second: str
) -> Interval:
    """Mean over worlds of one method's score minus another's, over the aspects that both have.

    Student's interval over worlds, all rules together.
    """
    wide = scores(studied, marks).pivot(
        index=["rule", "seed", "aspect"], columns="method", values="value"
    )
    gap = (wide[first] - wide[second]).dropna().groupby(level=["rule", "seed"]).mean()
    return mean_interval(gap.to_numpy())


def thresholds(
    permuted: Sequence[Replicate], level: float
) -> dict[tuple[str, str], Threshold]:
    """Threshold of each method and statistic, from networks of permuted labels."""
    return {
        (method, statistic): calibrate(
            [getattr(one.pictures[method], statistic) for one in permuted], level
        )
        for method in permuted[0].pictures
        for statistic in STATISTICS
    }


def findings(
    studied: Mapping[str, Sequence[Replicate]],
    limits: Mapping[tuple[str, str], Threshold],
) -> pd.DataFrame:
    """How often each method reports a finding, by rule and statistic.

    Parameters
    ----------
    studied
        Replicates by name of their rule.

    Returns
    -------
    DataFrame
        Columns rule, method, statistic, value (share of networks), low, high, n.
    """
    rows = []
    for rule, ones in studied.items():
        for (method, statistic), limit in limits.items():
            found = limit.exceeded([getattr(one.pictures[method], statistic) for one in ones])
            interval = reported(found)
            rows.append(
                {"rule": rule, "method": method, "statistic": statistic,
                 "value": interval.estimate, "low": interval.low, "high": interval.high,
                 "n": interval.n}
            )
    return pd.DataFrame(rows)


def statistics_over_threshold(
    studied: Mapping[str, Sequence[Replicate]],
    limits: Mapping[tuple[str, str], Threshold],
) -> pd.DataFrame:
    """Each network's statistic in units of its threshold: group, method, statistic, ratio."""
    return pd.DataFrame(
        [
            {"group": group, "method": method, "statistic": statistic,
             "ratio": getattr(one.pictures[method], statistic) / limit.value}
            for group, ones in studied.items()
            for one in ones
            for (method, statistic), limit in limits.items()
            if limit.value > 0
        ]
    )


def similarity_table(
    trained: Sequence[Replicate], untrained: Sequence[Replicate]
) -> pd.DataFrame:
    """Correlation of a trained network's picture with those of another and of an untrained one.

    The replicates of both are paired by rule and seed: the untrained network is the one from which
    training started, explained on the same genes.

    Returns
    -------
    DataFrame
        Columns rule, method, seed, other_seed (correlation with the next seed's trained network),
        untrained.
    """
    blind = {(one.plan.rule, one.plan.seed): one for one in untrained}
    by_rule: dict[str, list[Replicate]] = {}
    for one in trained:
        by_rule.setdefault(one.plan.rule, []).append(one)
    rows = []
    for rule, ones in by_rule.items():
        for one, following in zip(ones, ones[1:] + ones[:1], strict=True):
            start = blind[rule, one.plan.seed]
            for method, picture in one.pictures.items():
                rows.append(
                    {"rule": rule, "method": method, "seed": one.plan.seed,
                     "other_seed": similarity(picture, following.pictures[method]),
                     "untrained": similarity(picture, start.pictures[method])}
                )
    return pd.DataFrame(rows)


def model_table(studied: Sequence[Replicate]) -> pd.DataFrame:
    """Test AUROC of every model in every replicate: rule, seed, model, auroc."""
    return pd.DataFrame(
        [
            {"rule": one.plan.rule, "seed": one.plan.seed, "model": model,
             "auroc": auroc(one.labels, values)}
            for one in studied
            for model, values in one.scores.items()
        ]
    )


def mean_interval(values: Sequence[float], level: float = 0.95) -> Interval:
    """Mean over worlds with Student's interval; a single world has none but itself."""
    values = np.asarray(values, dtype=np.float64)
    n = len(values)
    mean = float(values.mean())
    if n < 2:
        return Interval(mean, mean, mean, n)
    half = float(stats.t.ppf((1 + level) / 2, n - 1) * stats.sem(values))
    return Interval(mean, mean - half, mean + half, n)


def paired_difference(table: pd.DataFrame, rule: str, first: str, second: str) -> Interval:
    """Mean over worlds of the AUROC of one model minus that of another in the same world."""
    wide = table[table["rule"] == rule].pivot(index="seed", columns="model", values="auroc")
    return mean_interval((wide[first] - wide[second]).to_numpy())
