"""Tables of a study: recovery by method, rule and aspect; similarity; AUROC of the models."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats

from dc2book.ground_truth.recovery import (
    above_chance,
    recovery,
    share_interval,
    similarity,
    truth_of,
)
from dc2book.ground_truth.replicates import Replicate
from dc2lib.evaluation.scores import auroc
from dc2lib.evaluation.statistics import Interval

RULES_SHOWN = ("one_mark", "two_marks", "position", "two_groups")


def score_table(replicates: Sequence[Replicate], marks: Sequence[str]) -> pd.DataFrame:
    """Every score of every replicate: rule, seed, method, aspect, value."""
    rows = [
        (one.plan.rule, one.plan.seed, method, aspect, value)
        for one in replicates
        for method, attribution in one.attributions.items()
        for aspect, value in recovery(attribution, truth_of(one.plan.rule, marks)).items()
    ]
    return pd.DataFrame(rows, columns=["rule", "seed", "method", "aspect", "value"])


def recovery_table(
    trained: Sequence[Replicate], untrained: Sequence[Replicate], marks: Sequence[str]
) -> pd.DataFrame:
    """Mean score over seeds with its interval, beside that of untrained networks.

    Columns rule, method, aspect, value, low, high, n, above_chance, untrained, untrained_low,
    untrained_high.
    """
    by = ["rule", "method", "aspect"]
    before = {key: group["value"] for key, group in score_table(untrained, marks).groupby(by)}
    rows = []
    for key, group in score_table(trained, marks).groupby(by, sort=False):
        one, start = share_interval(group["value"]), share_interval(before[key])
        rows.append(
            dict(zip(by, key, strict=True))
            | {"value": one.estimate, "low": one.low, "high": one.high, "n": one.n}
            | {"above_chance": above_chance(group["value"])}
            | {"untrained": start.estimate, "untrained_low": start.low}
            | {"untrained_high": start.high}
        )
    return pd.DataFrame(rows)


def mean_by_rule(table: pd.DataFrame, column: str = "value") -> pd.DataFrame:
    """Mean over the aspects that a method can be asked about, by method (row) and rule (column)."""
    mean = table.groupby(["method", "rule"], sort=False)[column].mean().unstack()
    return mean[[rule for rule in RULES_SHOWN if rule in mean.columns]]


def score_difference(
    replicates: Sequence[Replicate], marks: Sequence[str], first: str, second: str
) -> Interval:
    """Mean over worlds of one method's score minus another's, over the aspects that both have.

    Student's interval over worlds, all rules together.
    """
    wide = score_table(replicates, marks).pivot(
        index=["rule", "seed", "aspect"], columns="method", values="value"
    )
    gap = (wide[first] - wide[second]).dropna().groupby(level=["rule", "seed"]).mean()
    return mean_interval(gap)


def similarity_table(
    trained: Sequence[Replicate], untrained: Sequence[Replicate]
) -> pd.DataFrame:
    """Correlation of a trained network's attribution with those of another and an untrained one.

    The replicates of both are paired by rule and seed: the untrained network is the one from which
    training started, explained on the same genes.

    Returns
    -------
    DataFrame
        Columns rule, method, seed, other_seed (correlation with the next seed's trained network),
        untrained.
    """
    before = {(one.plan.rule, one.plan.seed): one for one in untrained}
    rows = []
    for rule in dict.fromkeys(one.plan.rule for one in trained):
        ones = [one for one in trained if one.plan.rule == rule]
        for one, following in zip(ones, ones[1:] + ones[:1], strict=True):
            others = following.attributions, before[rule, one.plan.seed].attributions
            rows += [
                (rule, method, one.plan.seed, *(similarity(own, other[method]) for other in others))
                for method, own in one.attributions.items()
            ]
    return pd.DataFrame(rows, columns=["rule", "method", "seed", "other_seed", "untrained"])


def model_table(replicates: Sequence[Replicate]) -> pd.DataFrame:
    """Test AUROC of every model in every replicate: rule, seed, model, auroc."""
    rows = [
        (one.plan.rule, one.plan.seed, model, auroc(one.labels, values))
        for one in replicates
        for model, values in one.scores.items()
    ]
    return pd.DataFrame(rows, columns=["rule", "seed", "model", "auroc"])


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
    return mean_interval(wide[first] - wide[second])
