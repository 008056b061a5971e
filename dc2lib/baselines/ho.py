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

from dc2lib.baselines.contract import Fitted, Genes, Setting, log_totals

CANDIDATES: tuple[Setting, ...] = (
    {"levels": 3, "rules": 30},
    {"levels": 5, "rules": 30},
    {"levels": 4, "rules": 60},
)
LENGTH = 3
COVERED_WEIGHT = 0.7
ANY = -1


@dataclass(frozen=True)
class Rules:
    """Rules for both classes, in the order in which they were learned.

    The log odds are of the share of positives among the training genes covered, with one positive
    and one negative added, against all training genes.
    """

    conditions: np.ndarray  #: int (rule, feature): the level of each; `ANY` where not asked for
    log_odds: np.ndarray  #: float64 (rule,)
    covered: np.ndarray  #: int (rule,): number of training genes

    def votes(self, levels: np.ndarray) -> np.ndarray:
        """Mean log odds of the rules that cover each gene, 0 where none does, ``(gene,)``."""
        covers = covered_by(self.conditions, levels)
        return self.log_odds @ covers / np.maximum(covers.sum(0), 1)


def fit(train: Genes, valid: Genes, setting: Setting, seed: int) -> Fitted:
    """Rules for both classes; a gene's score is the mean log odds of the rules that cover it."""
    totals = log_totals(train.counts)
    cuts = np.quantile(totals, np.linspace(0, 1, int(setting["levels"]) + 1)[1:-1], axis=0)
    rules = learn(levels_of(totals, cuts), train.label, int(setting["rules"]))
    n_conditions = int((rules.conditions != ANY).sum())
    return Fitted(
        lambda counts: rules.votes(levels_of(log_totals(counts), cuts)),
        parameters=n_conditions + len(rules.conditions) + cuts.size,
        about=vars(rules),
    )


def levels_of(values: np.ndarray, cuts: np.ndarray) -> np.ndarray:
    """Level of each value: how many cuts ``(cut, feature)`` it lies above, ``(gene, feature)``."""
    return (values[:, None, :] > cuts).sum(1)


def learn(levels: np.ndarray, label: np.ndarray, n_rules: int) -> Rules:
    """Rules by weighted covering, alternately for class 1 and class 0.

    Parameters
    ----------
    levels
        Whole numbers from 0 ``(gene, feature)``.
    n_rules
        At most so many rules, of at most `LENGTH` conditions.
    """
    candidates = possible_conditions(levels, LENGTH)
    covers = covered_by(candidates, levels).astype(np.float32)
    base = _log_odds(label.sum(), len(label))
    weights = {1: np.ones(len(label), np.float32), 0: np.ones(len(label), np.float32)}
    rules: dict[int, tuple[float, int]] = {}
    for turn in range(2 * n_rules):
        aim = 1 - turn % 2
        weight = weights[aim]
        quality = covers @ (weight * ((label == aim) - np.average(label == aim, weights=weight)))
        best = int(quality.argmax())
        if quality[best] <= 0:
            continue
        here = covers[best] > 0
        weight[here & (label == aim)] *= COVERED_WEIGHT
        rules[best] = _log_odds(label[here].sum(), here.sum()) - base, int(here.sum())
        if len(rules) == n_rules:
            break
    log_odds, covered = np.array(list(rules.values())).reshape(-1, 2).T
    return Rules(candidates[list(rules)], log_odds, covered.astype(int))


def covered_by(conditions: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Whether each rule holds for each gene, bool ``(rule, gene)``."""
    return np.array([((levels == one) | (one == ANY)).all(1) for one in conditions])


def possible_conditions(levels: np.ndarray, length: int) -> np.ndarray:
    """All conjunctions of at most so many conditions on levels that occur, ``(rule, feature)``."""
    known = [np.unique(column) for column in levels.T]
    rows = []
    for size in range(1, length + 1):
        for features in combinations(range(levels.shape[1]), size):
            for values in product(*(known[feature] for feature in features)):
                row = np.full(levels.shape[1], ANY)
                row[list(features)] = values
                rows.append(row)
    return np.array(rows)


def describe(conditions: np.ndarray, marks: tuple[str, ...], n_levels: int) -> str:
    """One rule's conditions ``(feature,)`` for readers: ``H3K4me3 high and H3K27me3 low``."""
    names = {0: "low", n_levels - 1: "high"}
    return " and ".join(
        f"{mark} {names.get(level, f'at level {level + 1} of {n_levels}')}"
        for mark, level in zip(marks, conditions, strict=True)
        if level != ANY
    )


def _log_odds(positive: int, n: int) -> float:
    return float(np.log((positive + 1) / (n - positive + 1)))
