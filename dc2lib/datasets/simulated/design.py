"""What a simulated study is asked to be, checked, and what is true of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from numbers import Integral, Real

import numpy as np

from dc2lib.datasets.histone import HistoneDataset
from dc2lib.datasets.simulated.draws import Shares
from dc2lib.datasets.simulated.figures import mark_index
from dc2lib.datasets.simulated.rules import GROUP_MARK, PROMOTER_MARK, Activity, Rule, resolve_rule
from dc2lib.errors import DataError

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
    """What is true of a gene in every cell type.

    Attributes
    ----------
    strand : str array (gene,)
        "+" or "-"; the bins of minus-strand genes run against the gene.
    shared : array (gene,)
        The part of latent expression that all cell types share.
    variability : array (gene,)
        How far the gene departs from it; root mean square 1.
    residual : array (gene, mark)
        Mark strength that expression does not explain, as far as all cell types share it.
    neighbour_draw, neighbour_share : arrays (gene,)
        The draw (0 to 1) that decides whether the H3K4me3 peak is a neighbour's; the share of the
        reads that is then the neighbour's.
    offset : int array (gene,)
        How many bins downstream (upstream: below 0) the neighbour's peak lies.
    group : int8 array (gene,)
        0 or 1, for rules with two groups of genes.
    """

    strand: np.ndarray
    shared: np.ndarray
    variability: np.ndarray
    residual: np.ndarray
    neighbour_draw: np.ndarray
    neighbour_share: np.ndarray
    offset: np.ndarray
    group: np.ndarray


@dataclass(frozen=True)
class MarkState:
    """Expression of one cell type, and what decides about its counts.

    Attributes
    ----------
    expression : array (gene,)
        Latent expression, as a standard normal score; RPKM has the same order.
    mark_score : array (gene, mark)
        Strength of each mark as a standard normal score.
    displaced : bool array (gene,)
        The H3K4me3 peak does not lie at the gene's own TSS.
    focus : array (gene,)
        How far profiles are those of highly expressed genes (1) and not of low ones (0).
    reference_score : array (gene,)
        A ranking of the genes to compare models with. Calibrated world: the probability of high
        expression given the exact strength of every mark and whether the peak is displaced, so
        the most that totals can tell; profiles tell more (`focus`). Planted rule: what the rule
        says, as a normal score. Null: zero.
    """

    expression: np.ndarray
    mark_score: np.ndarray
    displaced: np.ndarray
    focus: np.ndarray
    reference_score: np.ndarray


@dataclass(frozen=True)
class CellTruth(MarkState):
    """What is true of one simulated cell type, beside its MarkState.

    Attributes
    ----------
    lineage : int
    lineage_part, cell_part : arrays (gene,)
        What the lineage and the cell type add to the shared part of expression. With a planted
        rule the three parts make up what the marks do not explain.
    mark_level : array (gene, mark)
        Strength of each mark as expected reads a bin, before the library size.
    library_size : array (mark,)
        Reads relative to a real library.
    blend : array (mark,)
        0: the mark is as in E012; 1: as in E013; between: between.
    rotation : array (mark, mark) or None
        Of the mark scores, where the rule is the cell type's own.
    """

    lineage: int
    lineage_part: np.ndarray
    cell_part: np.ndarray
    mark_level: np.ndarray
    library_size: np.ndarray
    blend: np.ndarray
    rotation: np.ndarray | None


@dataclass(frozen=True)
class SimulationTruth:
    """What is true of a whole study.

    Attributes
    ----------
    genes : GeneTruth
    cells : dict cell -> CellTruth
    rule : str
        Name of the planted rule, or ``"calibrated"``.
    signs : dict mark -> +1 or -1
        The marks that make expression high (+1) or low (-1); empty where there are none.
    bins : dict mark -> (first, last + 1)
        Where they do.
    """

    genes: GeneTruth
    cells: dict[str, CellTruth]
    rule: str
    signs: dict[str, int]
    bins: dict[str, tuple[int, int]]

    def of_cells(self, name: str) -> np.ndarray:
        """Attribute `name` of all cells, stacked along the first axis."""
        return np.stack([getattr(cell, name) for cell in self.cells.values()])


@dataclass(frozen=True)
class SimulatedStudy:
    """Simulated cell types, and the truth about them."""

    datasets: dict[str, HistoneDataset]
    truth: SimulationTruth
