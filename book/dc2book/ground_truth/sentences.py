"""The study's outcomes in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from dc2book.ground_truth.methods import METHODS
from dc2book.mnist.study import joined
from dc2lib.evaluation.statistics import Interval

CHANCE = 0.5
HIGH = 0.9
SPELT_OUT = 3


def complete_in_words(table: pd.DataFrame) -> str:
    """Which methods show every aspect in every world above chance.

    `table` is that of `dc2book.ground_truth.tables.recovery_table`.
    """
    failed = set(table.loc[~table["above_chance"].astype(bool), "method"])
    asked = list(dict.fromkeys(table["method"]))
    everywhere = [method for method in asked if method not in failed]
    if not everywhere:
        return "no method shows what it can be asked for in every world"
    if len(everywhere) == 1:
        return f"{_named(everywhere)} shows what it can be asked for in every world"
    return f"{_named(everywhere, asked)} show what they can be asked for in every world"


def missing_in_words(table: pd.DataFrame) -> str:
    """What methods do not show above chance: ``GAN probe (marks: two marks)``.

    Counts in place of places where many methods miss something.
    """
    missed = table.assign(missed=~table["above_chance"].astype(bool))
    failed = {
        method: group
        for method, group in missed.groupby("method", sort=False)
        if group["missed"].any()
    }
    silent = [
        method for method, group in failed.items() if len(group) > 1 and group["missed"].all()
    ]
    partly = {method: group for method, group in failed.items() if method not in silent}
    few = len(partly) <= SPELT_OUT
    asked = list(dict.fromkeys(table["method"]))
    parts = [f"everything, by {_named(silent, asked)}"] if silent else []
    parts += [
        f"{METHODS[method]} ({_places(group[group['missed']])})"
        if few
        else f"{METHODS[method]} ({group['missed'].sum()} of {len(group)})"
        for method, group in partly.items()
    ]
    unit = "" if few or not partly else " (aspects and worlds of those that it can be asked for)"
    return "; ".join(parts) + unit if parts else "nothing"


def blind_in_words(table: pd.DataFrame) -> str:
    """Which methods name the right marks of a network that has learned nothing, by world."""
    asked = table[table["aspect"] == "marks"]
    high = asked[asked["untrained"] >= HIGH]
    if high.empty:
        return "no method names the right marks of networks before training"
    among = list(dict.fromkeys(asked["method"]))
    parts = [
        f"in {rule.replace('_', ' ')} by {_named(list(group['method']), among)}"
        for rule, group in high.groupby("rule", sort=False)
    ]
    return f"the right marks are named before any training {'; '.join(parts)}"


def differences_in_words(differences: Mapping[str, Interval], other: str) -> str:
    """Which methods score higher or lower than another one, by how much, with paired intervals."""
    above = [m for m, gap in differences.items() if gap.low > 0]
    below = [m for m, gap in differences.items() if gap.high < 0]
    level = [m for m in differences if m not in {*above, *below}]

    def listed(found: list[str]) -> str:
        gaps = [differences[method] for method in found]
        return joined(
            [
                f"{METHODS[method]} ({gap.estimate:+.2f}, {gap.low:+.2f} to {gap.high:+.2f})"
                for method, gap in zip(found, gaps, strict=True)
            ]
        )

    parts = [
        f"{listed(found)} score{'s' if len(found) == 1 else ''} {word} than the {METHODS[other]}"
        for found, word in ((above, "higher"), (below, "lower"))
        if found
    ]
    if level:
        differ = "differs" if len(level) == 1 else "differ"
        parts.append(
            f"{listed(level)} {differ} from it by no more than chance allows"
            if parts
            else f"{listed(level)} {differ} from the {METHODS[other]} by no more than chance allows"
        )
    return "; ".join(parts) or f"none differs clearly from the {METHODS[other]}"


def similar_in_words(table: pd.DataFrame) -> str:
    """Which methods' pictures are as like an untrained network's as another trained one's.

    `table` is that of `dc2book.ground_truth.tables.similarity_table`.
    """
    means = table.groupby("method", sort=False)[["other_seed", "untrained"]].mean()
    same = means.index[means["untrained"] >= means["other_seed"]]
    if not len(same):
        return "every method's picture is more like another trained network's than the untrained's"
    return f"{_named(same)} fail{'s' if len(same) == 1 else ''} the check"


def silence_in_words(null: pd.DataFrame, level: float) -> str:
    """Whether any method reports more findings on the null rule than its threshold allows."""
    loud = null[null["low"] > level]
    n = int(null["n"].iloc[0])
    if loud.empty:
        return (
            f"on {n} null worlds no method is shown to report more findings than allowed;"
            f" the most is {null['value'].max():.2f}"
        )
    parts = [
        f"{METHODS[row.method]} by {row.statistic} "
        f"({row.value:.2f}, {row.low:.2f} to {row.high:.2f})"
        for row in loud.itertuples()
    ]
    return f"on {n} null worlds more findings than allowed come from {joined(parts)}"


def power_in_words(planted: pd.DataFrame, statistic: str) -> str:
    """Which methods see that there is something to find, and which hardly ever do."""
    part = planted[planted["statistic"] == statistic]
    shares = part.groupby("method", sort=False)["value"].mean()
    seeing, mute = shares.index[shares >= HIGH], shares.index[shares < CHANCE]
    among = list(shares.index)
    words = f"by {statistic} {_named(seeing, among) if len(seeing) else 'no method'} almost always"
    words += f" report{'s' if len(seeing) < 2 else ''} a planted rule"
    if len(mute):
        words += f", {_named(mute, among)} in less than half of the worlds"
    return words


def _places(group: pd.DataFrame) -> str:
    return "; ".join(
        f"{aspect}: {joined(_rules(part))}" for aspect, part in group.groupby("aspect", sort=False)
    )


def _rules(group: pd.DataFrame) -> list[str]:
    return [rule.replace("_", " ") for rule in group["rule"]]


def _named(methods: Sequence[str], among: Sequence[str] = ()) -> str:
    """Names as a list; where nearly all of `among` are meant, those left out."""
    others = [method for method in among if method not in set(methods)]
    if len(methods) <= SPELT_OUT or not among or len(others) > SPELT_OUT:
        return joined([METHODS[method] for method in methods])
    return f"all methods but {_named(others)}" if others else "all methods"
