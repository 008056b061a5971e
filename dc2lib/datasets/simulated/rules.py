"""Planted rules: worlds in which it is known what makes a gene highly expressed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from dc2lib.errors import DataError

PROMOTER_MARK = "H3K4me3"
GROUP_MARK = "H3K9me3"  # tells the two groups of genes apart, where a rule has groups
CENTRE = (35, 65)  # bins within 1.5 kb of the TSS
EVERYWHERE = (0, 100)


@dataclass(frozen=True)
class Activity:
    """What a rule may look at, gene by gene.

    Attributes
    ----------
    score : array (gene, mark)
        How strong each mark is, as a standard normal score; marks are independent of each other.
    displaced : bool array (gene,)
        The H3K4me3 peak lies about 3 kb away from the TSS.
    group : int array (gene,)
        0 or 1; shows in the counts as weak or strong H3K9me3 where the rule asks for groups.
    marks : tuple of str
    """

    score: np.ndarray
    displaced: np.ndarray
    group: np.ndarray
    marks: tuple[str, ...]

    def __getitem__(self, mark: str) -> np.ndarray:
        if mark not in self.marks:
            raise DataError(f"The rule needs {mark}; simulate it too: marks = {self.marks}.")
        return self.score[:, self.marks.index(mark)]


@dataclass(frozen=True)
class Rule:
    """A planted rule: the expression that a gene's marks call for, and what a probe should find.

    Attributes
    ----------
    name : str
    expression : callable (Activity) -> array (gene,), or None
        Any scale, only the order counts. None: expression has nothing to do with the marks.
    signs : dict mark -> +1 or -1
        The marks that matter, and whether more of them means higher expression.
    bins : dict mark -> (first, last + 1)
        Where they matter; the windows are symmetric about the TSS.
    groups, positions : bool
        Whether genes fall into two groups that H3K9me3 tells apart; whether half of the H3K4me3
        peaks are displaced.
    """

    name: str
    expression: Callable[[Activity], np.ndarray] | None
    signs: dict[str, int] = field(default_factory=dict)
    bins: dict[str, tuple[int, int]] = field(default_factory=dict)
    groups: bool = False
    positions: bool = False


def one_mark(activity: Activity) -> np.ndarray:
    """High where H3K4me3 is strong."""
    return activity["H3K4me3"]


def two_marks(activity: Activity) -> np.ndarray:
    """High where H3K4me3 is strong and H3K27me3 is not: bivalent promoters are silent."""
    return np.minimum(activity["H3K4me3"], -activity["H3K27me3"])


def position(activity: Activity) -> np.ndarray:
    """High where the H3K4me3 peak lies at the TSS, low where the same peak lies 3 kb away."""
    return -activity.displaced.astype(float)


def two_groups(activity: Activity) -> np.ndarray:
    """H3K4me3 decides for the genes without H3K9me3, H3K36me3 for those with it."""
    return np.where(activity.group == 0, activity["H3K4me3"], activity["H3K36me3"])


RULES = {
    rule.name: rule
    for rule in (
        Rule("one_mark", one_mark, {"H3K4me3": 1}, {"H3K4me3": CENTRE}),
        Rule(
            "two_marks",
            two_marks,
            {"H3K4me3": 1, "H3K27me3": -1},
            {"H3K4me3": CENTRE, "H3K27me3": EVERYWHERE},
        ),
        Rule("position", position, {"H3K4me3": 1}, {"H3K4me3": CENTRE}, positions=True),
        Rule(
            "two_groups",
            two_groups,
            {"H3K4me3": 1, "H3K36me3": 1},
            {"H3K4me3": CENTRE, "H3K36me3": EVERYWHERE},
            groups=True,
        ),
        Rule("null", None),
    )
}


def resolve_rule(rule: str | Rule | Callable[[Activity], np.ndarray] | None) -> Rule | None:
    """A planted rule by name, as it is, or made of a function; None is the calibrated world.

    Raises
    ------
    DataError
        If there is no such rule.
    """
    if rule is None or isinstance(rule, Rule):
        return rule
    if callable(rule):
        return Rule(getattr(rule, "__name__", "rule"), rule)
    if rule not in RULES:
        raise DataError(
            f"Unknown rule {rule!r}: use one of {', '.join(RULES)}, a Rule, a function of an"
            " Activity, or None for the world calibrated to real cell types."
        )
    return RULES[rule]
