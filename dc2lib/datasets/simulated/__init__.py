"""Simulated cell types: what a real one looks like, with the truth known.

A gene's expression has a part that all cell types share, a part of its lineage and one of its cell
type. Its histone marks follow expression with the strength, scatter and profiles measured on
Roadmap's E012 and E013 (``figures.json``), and reads are counted along the genome.

>>> simulate(n_cells=1, n_genes=60).cells["S001"].mark_level.shape
(60, 5)
"""

from __future__ import annotations

from dc2lib.datasets.simulated.study import Design, iter_cells, simulate, stored_simulation

__all__ = ["Design", "iter_cells", "simulate", "stored_simulation"]
