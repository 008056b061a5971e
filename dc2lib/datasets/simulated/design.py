"""What a simulated study is asked to be, checked, its planted rules, and what is true of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from numbers import Integral, Real

import numpy as np

from dc2lib.datasets.histone import HistoneDataset
from dc2lib.datasets.simulated.draws import Shares, mark_index
from dc2lib.errors import DataError

PROMOTER_MARK = "H3K4me3"
GROUP_MARK = "H3K9me3"  # tells the two groups of genes apart, where a rule has groups
CENTRE = (35, 65)  # bins within 1.5 kb of the TSS
EVERYWHERE = (0, 100)


@dataclass(frozen=True)
class Activity:
    """What a rule may look at, gene by gene.

    Scores say how strong each mark is, as standard normal numbers, independent of each other; the
    group shows in the counts as weak or strong H3K9me3 where the rule asks for groups.
    """

    score: np.ndarray  #: (gene, mark)
    displaced: np.ndarray  #: bool (gene,): the H3K4me3 peak lies about 3 kb away from the TSS
    group: np.ndarray  #: int (gene,): 0 or 1
    marks: tuple[str, ...]

    def __getitem__(self, mark: str) -> np.ndarray:
        if mark not in self.marks:
            raise DataError(f"The rule needs {mark}; simulate it too: marks = {self.marks}.")
        return self.score[:, self.marks.index(mark)]


@dataclass(frozen=True)
class Rule:
    """A planted rule: the expression that a gene's marks call for, and what a probe should find.

    The expression (gene,) may have any scale, only the order counts; None means that it has nothing
    to do with the marks.
    """

    name: str
    expression: Callable[[Activity], np.ndarray] | None
    signs: dict[str, int] = field(default_factory=dict)  #: +1 or -1 by mark that matters
    bins: dict[str, tuple[int, int]] = field(default_factory=dict)  #: where: first, last + 1
    groups: bool = False  #: genes fall into two groups that H3K9me3 tells apart
    positions: bool = False  #: half of the H3K4me3 peaks are displaced


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
            "two_marks", two_marks, {"H3K4me3": 1, "H3K27me3": -1},
            {"H3K4me3": CENTRE, "H3K27me3": EVERYWHERE},
        ),
        Rule("position", position, {"H3K4me3": 1}, {"H3K4me3": CENTRE}, positions=True),
        Rule(
            "two_groups", two_groups, {"H3K4me3": 1, "H3K36me3": 1},
            {"H3K4me3": CENTRE, "H3K36me3": EVERYWHERE}, groups=True,
        ),
        Rule("null", None),
    )
}


def resolve_rule(rule: str | Rule | Callable[[Activity], np.ndarray] | None) -> Rule | None:
    """A planted rule by name, as it is, or made of a function; None is the calibrated world.

    Raises DataError if there is no such rule.
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

MAX_GENES = 99_999
MAX_CELLS = 999


@dataclass(frozen=True)
class Design:
    """The parameters of :func:`dc2lib.datasets.simulated.simulate`, checked."""

    n_cells: int
    n_genes: int
    seed: int
    marks: tuple[str, ...]
    rule: Rule | None
    shared_rule: bool
    rule_divergence: float
    lineage_specific: float
    cell_specific: float
    n_lineages: int
    signal: float
    library_size: np.ndarray
    library_spread: float
    blend: float | None
    split_fractions: tuple[float, float, float]
    order_drift: bool

    @property
    def promoter(self) -> int | None:
        """Where H3K4me3 is among the marks; None where it is not."""
        return self.marks.index(PROMOTER_MARK) if PROMOTER_MARK in self.marks else None

    @property
    def shares(self) -> Shares:
        """Shares of the variance of expression; what is not specific is shared."""
        specific = self.lineage_specific + self.cell_specific
        return Shares(1 - specific, self.lineage_specific, self.cell_specific)


def checked_design(
    *,
    marks: Sequence[str],
    rule: str | Rule | Callable[[Activity], np.ndarray] | None,
    **given: object,
) -> Design:
    """A design, or a DataError that says which parameter is wrong and what was expected."""
    marks = (marks,) if isinstance(marks, str) else tuple(marks)
    mark_index(marks)
    whole = {"n_cells": (1, MAX_CELLS), "n_genes": (10, MAX_GENES), "n_lineages": (1, MAX_CELLS)}
    whole |= {"seed": (0, 2**63 - 1)}
    between = dict.fromkeys(("lineage_specific", "cell_specific", "signal"), (0, 1))
    between |= {"rule_divergence": (0, 10), "library_spread": (0, 2)}
    between |= {} if given["blend"] is None else {"blend": (0, 1)}
    given |= {name: _whole(name, given[name], *limits) for name, limits in whole.items()}
    given |= {name: _between(name, given[name], *limits) for name, limits in between.items()}
    specific = given["lineage_specific"] + given["cell_specific"]
    if specific > 1:
        raise DataError(
            f"lineage_specific + cell_specific = {specific:g}: they are shares of the variance of"
            " expression, expected 1 at most together."
        )
    given["library_size"] = _checked_library_size(given["library_size"], given["n_cells"], marks)
    given["split_fractions"] = _checked_fractions(given["split_fractions"])
    return Design(marks=marks, rule=_checked_rule(rule, marks), **given)


def _whole(name: str, value: object, low: int, high: int) -> int:
    if not isinstance(value, Integral) or isinstance(value, bool) or not low <= value <= high:
        raise DataError(f"{name} = {value!r}: expected a whole number from {low:,} to {high:,}.")
    return int(value)


def _between(name: str, value: object, low: float, high: float) -> float:
    if not isinstance(value, Real) or not low <= value <= high:
        raise DataError(f"{name} = {value!r}: expected a number from {low:g} to {high:g}.")
    return float(value)


def _checked_fractions(fractions: object) -> tuple[float, float, float]:
    values = np.asarray(fractions, dtype=float)
    if values.shape != (3,) or not (values >= 0).all() or abs(values.sum() - 1) > 1e-6:
        raise DataError(
            f"split_fractions = {fractions}: expected three shares (train, valid, test), none"
            " negative, that add up to 1."
        )
    return tuple(values.tolist())


def _checked_library_size(value: object, n_cells: int, marks: tuple[str, ...]) -> np.ndarray:
    size = np.asarray(value, dtype=float)
    shape = (n_cells, len(marks))
    if size.shape not in ((), shape) or not (np.isfinite(size) & (size > 0) & (size <= 100)).all():
        raise DataError(
            f"library_size = {value}: expected a number above 0 and at most 100, or an array of"
            f" such numbers with shape (cell, mark) = {shape}."
        )
    return np.broadcast_to(size, shape)


def _checked_rule(rule: object, marks: tuple[str, ...]) -> Rule | None:
    rule = resolve_rule(rule)
    if rule is None:
        return None
    needed = [*rule.signs]
    needed += [PROMOTER_MARK] if rule.positions else []
    needed += [GROUP_MARK] if rule.groups else []
    for mark in needed:
        if mark not in marks:
            raise DataError(f"Rule {rule.name!r} needs {mark}; marks = {', '.join(marks)}.")
    return rule


@dataclass(frozen=True)
class GeneTruth:
    """What is true of a gene in every cell type; arrays (gene,) but for `residual`."""

    strand: np.ndarray  # "+" or "-"; the bins of minus-strand genes run against the gene
    shared: np.ndarray  # the part of latent expression that all cell types share
    variability: np.ndarray  # how far the gene departs from it; root mean square 1
    residual: np.ndarray  # (gene, mark) strength, unexplained by expression, shared by all cells
    neighbour_draw: np.ndarray  # 0 to 1; decides whether the H3K4me3 peak is a neighbour's
    neighbour_share: np.ndarray  # share of the reads that is then the neighbour's
    offset: np.ndarray  # bins downstream (upstream: below 0) to the neighbour's peak
    group: np.ndarray  # 0 or 1, for rules with two groups of genes


@dataclass(frozen=True)
class MarkState:
    """Expression of one cell type, and what decides about its counts.

    `reference_score` is a ranking of the genes to compare models with. Calibrated world: the
    probability of high expression given the exact strength of every mark and whether the peak is
    displaced, so the most that totals can tell; profiles tell more (`focus`). Planted rule: what
    the rule says, as a normal score. Null: zero.
    """

    expression: np.ndarray  # (gene,) latent, as a standard normal score; RPKM has the same order
    mark_score: np.ndarray  # (gene, mark) strength of each mark as a standard normal score
    displaced: np.ndarray  # bool (gene,): the H3K4me3 peak does not lie at the gene's own TSS
    focus: np.ndarray  # (gene,) profiles as those of genes with high (1) or low (0) expression
    reference_score: np.ndarray  # (gene,)


@dataclass(frozen=True)
class CellTruth(MarkState):
    """What is true of one simulated cell type, beside its MarkState.

    With a planted rule the shared part, `lineage_part` and `cell_part` make up what the marks do
    not explain of expression.
    """

    lineage: int
    lineage_part: np.ndarray  # (gene,) what the lineage adds to the shared part of expression
    cell_part: np.ndarray  # (gene,) what the cell type adds
    mark_level: np.ndarray  # (gene, mark) expected reads a bin, before the library size
    library_size: np.ndarray  # (mark,) reads relative to a real library
    blend: np.ndarray  # (mark,) 0: as in E012; 1: as in E013; between: between
    rotation: np.ndarray | None  # (mark, mark) of the mark scores, where the rule is the cell's own


@dataclass(frozen=True)
class SimulationTruth:
    """What is true of a whole study."""

    genes: GeneTruth
    cells: dict[str, CellTruth]
    rule: str  # name of the planted rule, or "calibrated"
    signs: dict[str, int]  # by mark: it makes expression high (+1) or low (-1)
    bins: dict[str, tuple[int, int]]  # by mark: where it does, first and last + 1

    def of_cells(self, name: str) -> np.ndarray:
        """Attribute `name` of all cells, stacked along the first axis."""
        return np.stack([getattr(cell, name) for cell in self.cells.values()])


@dataclass(frozen=True)
class SimulatedStudy:
    """Simulated cell types, and the truth about them."""

    datasets: dict[str, HistoneDataset]
    truth: SimulationTruth
