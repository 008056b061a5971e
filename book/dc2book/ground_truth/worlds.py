"""Worlds with a planted rule: measured signals, and expression that follows what we wrote.

The genes keep their counts, so marks go together as they do in the cell type.  Which marks a rule
reads, and in which direction, is drawn by seed: in as many seeds in a row as there are marks each
mark comes first once, so a method that always names the same mark is right as often as by chance.

>>> sorted(drawn_marks(seed, 5)[0] for seed in range(5))
[0, 1, 2, 3, 4]
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from dc2lib.datasets import HistoneDataset
from dc2lib.datasets.histone import SPLITS
from dc2lib.datasets.simulated.draws import normal_scores

SHARES = (0.5, 0.2, 0.3)
CENTRE = (35, 65)  # bins within 1.5 kb of the TSS
EVERYWHERE = (0, 100)
GENES, NOISE, MARKS_OF_TURN, OTHER_MARKS, DIRECTION = range(5)  # what is drawn from a seed

Expression = Callable[[np.ndarray, np.ndarray, tuple[int, ...]], np.ndarray]


def one_mark(
    total: np.ndarray, centre: np.ndarray, mark: tuple[int, ...]) -> np.ndarray:
    """High where a mark is strong."""
    return total[:, mark[0]]


def two_marks(
    total: np.ndarray, centre: np.ndarray, mark: tuple[int, ...]) -> np.ndarray:
    """High where a mark is strong and another is weak."""
    return np.minimum(total[:, mark[0]], -total[:, mark[1]])


def position(
    total: np.ndarray, centre: np.ndarray, mark: tuple[int, ...]) -> np.ndarray:
    """High where a mark's reads lie near the TSS, however many they are."""
    return centre[:, mark[0]]


def two_groups(
    total: np.ndarray, centre: np.ndarray, mark: tuple[int, ...]) -> np.ndarray:
    """A third mark tells which of two decides."""
    return np.where(total[:, mark[2]] < 0, total[:, mark[0]], total[:, mark[1]])


@dataclass(frozen=True)
class Rule:
    """A planted rule."""

    #: from the strength of the marks and their closeness to the TSS, both normal scores ``(gene,
    #: mark)``, and the numbers of the marks in the order in which the rule reads them
    expression: Expression
    #: of these marks: +1 or -1, or 0 where a mark matters and has no direction
    signs: tuple[int, ...]
    pairs: tuple[tuple[int, int], ...] = ()  # places of marks that act together
    positions: bool = False  # whether it asks where the reads are


RULES = {
    "one_mark": Rule(one_mark, (1,)),
    "two_marks": Rule(two_marks, (1, -1), ((0, 1),)),
    "position": Rule(position, (1,), positions=True),
    "two_groups": Rule(two_groups, (1, 1, 0), ((0, 2), (1, 2))),
}


@dataclass(frozen=True)
class Truth:
    """What the attribution of a perfect classifier should show."""

    matters: np.ndarray  # bool (mark,): the marks that the rule reads
    #: (mark,): +1 or -1 where more of the mark means higher or lower expression; 0: it does not say
    sign: np.ndarray
    #: by mark, first and last + 1 of the bins in which its reads mean what `sign` says
    window: Mapping[int, tuple[int, int]]
    positions: bool  # whether the rule asks where the reads are, and not only how many there are
    #: (mark, mark): marks that the rule reads together; nowhere true if it reads each on its own
    pairs: np.ndarray


@dataclass(frozen=True)
class World:
    """Genes of a cell type with planted labels."""

    counts: np.ndarray  # as in the cell type, bins along the gene, ``(gene, bin, mark)``
    #: ``(gene,)``: 0 or 1, half each; ``"train"``, ``"valid"`` or ``"test"``, drawn
    label: np.ndarray
    split: np.ndarray
    marks: tuple[str, ...]
    truth: Truth | None  # None where the labels have nothing to do with the marks


def planted_world(
    dataset: HistoneDataset, rule: str | Rule, seed: int, n_genes: int, signal: float
) -> World:
    """Genes drawn from a cell type, with expression by a rule (of `RULES`, or ``"null"``).

    ``signal`` is the correlation of expression with what the rule says, both as normal scores; 1
    is a rule without exception.
    """
    chosen = _drawn(seed, GENES).permutation(len(dataset))[:n_genes]
    counts = dataset.gene_oriented()[chosen]
    told, truth = np.zeros(len(counts)), None
    if rule != "null":
        rule = RULES[rule] if isinstance(rule, str) else rule
        mark = drawn_marks(seed, len(dataset.marks))
        turn = int(_drawn(seed, DIRECTION).choice([-1, 1]))
        told = turn * normal_scores(rule.expression(*strengths(counts), mark))
        truth = truth_of(rule, mark, turn)
    noise = _drawn(seed, NOISE).standard_normal(len(counts))
    expression = signal * told + np.sqrt(1 - signal**2) * noise if truth else noise
    ends = np.round(np.cumsum(SHARES) * len(counts)).astype(int)
    return World(
        counts, (expression > np.median(expression)).astype(np.int8),
        np.repeat(SPLITS, np.diff(ends, prepend=0)), tuple(dataset.marks), truth,
    )


def drawn_marks(seed: int, n_marks: int) -> tuple[int, ...]:
    """Numbers of all marks in the order in which a rule reads them."""
    turn, place = divmod(seed, n_marks)
    order = _drawn(turn, MARKS_OF_TURN).permutation(n_marks)
    rest = _drawn(seed, OTHER_MARKS).permutation(np.delete(order, place))
    return (int(order[place]), *rest.tolist())


def truth_of(rule: str | Rule, mark: tuple[int, ...], turn: int = 1) -> Truth:
    """The truth of a rule that reads these marks; ``turn`` -1: with all signs turned."""
    rule = RULES[rule] if isinstance(rule, str) else rule
    n_marks, read = len(mark), mark[: len(rule.signs)]
    sign, matters = np.zeros(n_marks, int), np.zeros(n_marks, bool)
    sign[list(read)], matters[list(read)] = turn * np.array(rule.signs), True
    pairs = np.zeros((n_marks, n_marks), bool)
    for a, b in rule.pairs:
        pairs[mark[a], mark[b]] = pairs[mark[b], mark[a]] = True
    window = CENTRE if rule.positions else EVERYWHERE
    return Truth(matters, sign, {int(m): window for m in np.flatnonzero(sign)},
                 rule.positions, pairs)


def strengths(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Strength of each mark and its closeness to the TSS, normal scores ``(gene, mark)``.

    Closeness is the log ratio of reads within 1.5 kb and further away, less what the totals of all
    marks tell of it (least squares): a model of totals cannot see it.
    """
    total = np.log1p(counts.sum(1, dtype=np.float64))
    first, last = CENTRE
    inside = counts[:, first:last].sum(1, dtype=np.float64)
    ratio = np.log1p(inside) - np.log1p(counts.sum(1, dtype=np.float64) - inside)
    design = np.column_stack([np.ones(len(total)), total, total**2])
    ratio -= design @ np.linalg.lstsq(design, ratio, rcond=None)[0]
    return normal_scores(total), normal_scores(ratio)


def _drawn(seed: int, what: int) -> np.random.Generator:
    return np.random.default_rng((seed, what))


