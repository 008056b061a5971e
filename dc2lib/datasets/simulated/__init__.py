"""Simulated cell types: what a real one looks like, with the truth known.

A gene's expression has a part that all cell types share, a part of its lineage and one of its cell
type. Its histone marks follow expression with the strength, scatter and profiles measured on
Roadmap's E012 and E013 (``figures.json``), and reads are counted along the genome. A planted rule
turns this round: marks are drawn first, each on its own, and the rule decides about expression.

>>> simulate(n_cells=1, n_genes=60, rule="one_mark").truth.signs
{'H3K4me3': 1}
"""

from __future__ import annotations

from dc2lib.datasets.simulated.design import RULES, Activity, Rule
from dc2lib.datasets.simulated.study import iter_cells, simulate, stored_simulation

__all__ = ["RULES", "Activity", "Rule", "iter_cells", "simulate", "stored_simulation"]
