"""The checked parameters of a simulated study."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from numbers import Integral, Real

import numpy as np

from dc2lib.datasets.simulated.expression import Shares
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
    shares: Shares
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


def checked_design(
    *,
    n_cells: int,
    n_genes: int,
    seed: int,
    marks: Sequence[str],
    rule: str | Rule | Callable[[Activity], np.ndarray] | None,
    shared_rule: bool,
    rule_divergence: float,
    lineage_specific: float,
    cell_specific: float,
    n_lineages: int,
    signal: float,
    library_size: float | np.ndarray,
    library_spread: float,
    blend: float | None,
    split_fractions: tuple[float, float, float],
    order_drift: bool,
) -> Design:
    """A design, or a DataError that says which parameter is wrong and what was expected."""
    n_cells = _whole("n_cells", n_cells, 1, MAX_CELLS)
    n_genes = _whole("n_genes", n_genes, 10, MAX_GENES)
    marks = (marks,) if isinstance(marks, str) else tuple(marks)
    mark_index(marks)
    specific = _between("lineage_specific", lineage_specific, 0, 1)
    specific += _between("cell_specific", cell_specific, 0, 1)
    if specific > 1:
        raise DataError(
            f"lineage_specific + cell_specific = {specific:g}: they are shares of the variance of"
            " expression, expected 1 at most together."
        )
    rule = resolve_rule(rule)
    _check_marks_of_rule(rule, marks)
    return Design(
        n_cells=n_cells,
        n_genes=n_genes,
        seed=_whole("seed", seed, 0, 2**63 - 1),
        marks=marks,
        rule=rule,
        shared_rule=bool(shared_rule),
        rule_divergence=_between("rule_divergence", rule_divergence, 0, 10),
        shares=Shares(1 - specific, float(lineage_specific), float(cell_specific)),
        n_lineages=_whole("n_lineages", n_lineages, 1, MAX_CELLS),
        signal=_between("signal", signal, 0, 1),
        library_size=_checked_library_size(library_size, n_cells, marks),
        library_spread=_between("library_spread", library_spread, 0, 2),
        blend=None if blend is None else _between("blend", blend, 0, 1),
        split_fractions=_checked_fractions(split_fractions),
        order_drift=bool(order_drift),
    )


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


def _check_marks_of_rule(rule: Rule | None, marks: tuple[str, ...]) -> None:
    if rule is None:
        return
    needed = [*rule.signs]
    needed += [PROMOTER_MARK] if rule.positions else []
    needed += [GROUP_MARK] if rule.groups else []
    for mark in needed:
        if mark not in marks:
            raise DataError(f"Rule {rule.name!r} needs {mark}; marks = {', '.join(marks)}.")
