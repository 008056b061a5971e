"""Rules over discretised marks (Ho et al. 2015).

Source: Ho, Hassen and Le 2015, Combinatorial roles of DNA methylation and histone modifications on
gene expression (Springer, pages 123-135).  There: methylation of DNA beside the marks, and
several regions of a gene.  Methylation and regions beyond 5 kb are not in the released data; five
mark totals stand in, each cut at its quantiles.

A rule is up to three conditions, "this mark is at this level"; the best rule by weighted relative
accuracy is taken, the genes that it covers lose weight, and the search goes on (subgroup discovery
with weighted covering: Lavrac et al. 2004, JMLR 5:153).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations, product

import numpy as np

from dc2lib.baselines.contract import Fitted, Genes, Setting
from dc2lib.baselines.karlic import log_totals

CANDIDATES: tuple[Setting, ...] = (
    {"levels": 3, "rules": 30},
    {"levels": 5, "rules": 30},
    {"levels": 4, "rules": 60},
)
LENGTH = 3
KEEP = 0.7


@dataclass(frozen=True)
class Rule:
    """Conditions ``(feature, level)``, all of which must hold, and the positive share they found.

    ``log_odds`` is that of the share of positives among the training genes covered, with one
    positive and one negative added, against all training genes; ``covered`` their number.
    """

    conditions: tuple[tuple[int, int], ...]
    log_odds: float
    covered: int

    def covers(self, levels: np.ndarray) -> np.ndarray:
        """Which rows of ``(gene, feature)`` the rule holds for, bool ``(gene,)``."""
        return np.all([levels[:, feature] == level for feature, level in self.conditions], axis=0)


def fit(train: Genes, valid: Genes, setting: Setting, seed: int) -> Fitted:
    """Rules for both classes; a gene's score is the mean log odds of the rules that cover it."""
    totals = log_totals(train.counts)
    cuts = np.quantile(totals, np.linspace(0, 1, int(setting["levels"]) + 1)[1:-1], axis=0)
    rules = learn(levels_of(totals, cuts), train.label, int(setting["rules"]))
    sides = sum(len(rule.conditions) + 1 for rule in rules)
    return Fitted(
        lambda counts: votes(rules, levels_of(log_totals(counts), cuts)),
        parameters=sides + cuts.size,
        about={
            "rules": [list(map(list, rule.conditions)) for rule in rules],
            "log_odds": np.array([rule.log_odds for rule in rules]),
            "covered": np.array([rule.covered for rule in rules]),
        },
    )


def levels_of(values: np.ndarray, cuts: np.ndarray) -> np.ndarray:
    """Level of each value: how many cuts ``(cut, feature)`` it lies above, ``(gene, feature)``."""
    return (values[:, None, :] > cuts).sum(1)


def learn(levels: np.ndarray, label: np.ndarray, n_rules: int, length: int = LENGTH) -> list[Rule]:
    """Rules by weighted covering, alternately for class 1 and class 0.

    Parameters
    ----------
    levels
        Whole numbers from 0 ``(gene, feature)``.
    n_rules, length
        At most so many rules of at most so many conditions.
    """
    bodies = _bodies(levels, length)
    covers = np.stack([Rule(body, 0, 0).covers(levels) for body in bodies]).astype(np.float32)
    base = _log_odds(label.sum(), len(label))
    weights = {1: np.ones(len(label), np.float32), 0: np.ones(len(label), np.float32)}
    rules: dict[int, Rule] = {}
    for turn in range(2 * n_rules):
        aim = 1 - turn % 2
        weight = weights[aim]
        quality = covers @ (weight * ((label == aim) - np.average(label == aim, weights=weight)))
        best = int(quality.argmax())
        if quality[best] <= 0:
            continue
        here = covers[best] > 0
        weight[here & (label == aim)] *= KEEP
        gain = _log_odds(label[here].sum(), here.sum()) - base
        rules[best] = Rule(bodies[best], float(gain), int(here.sum()))
        if len(rules) == n_rules:
            break
    return list(rules.values())


def votes(rules: list[Rule], levels: np.ndarray) -> np.ndarray:
    """Mean log odds of the rules that cover each gene, 0 where none does, ``(gene,)``."""
    covers = np.stack([rule.covers(levels) for rule in rules])
    odds = np.array([rule.log_odds for rule in rules])
    return odds @ covers / np.maximum(covers.sum(0), 1)


def in_words(conditions: list[list[int]], marks: tuple[str, ...], n_levels: int) -> str:
    """A rule's conditions for readers, such as ``H3K4me3 high and H3K27me3 low``."""
    names = {0: "low", n_levels - 1: "high"}
    return " and ".join(
        f"{marks[feature]} {names.get(level, f'at level {level + 1} of {n_levels}')}"
        for feature, level in conditions
    )


def _bodies(levels: np.ndarray, length: int) -> list[tuple[tuple[int, int], ...]]:
    known = [np.unique(column).tolist() for column in levels.T]
    return [
        tuple(zip(chosen, values, strict=True))
        for size in range(1, length + 1)
        for chosen in combinations(range(levels.shape[1]), size)
        for values in product(*(known[feature] for feature in chosen))
    ]


def _log_odds(positive: int, n: int) -> float:
    return float(np.log((positive + 1) / (n - positive + 1)))
