"""Cell types beside each other: what they share, and whether one can stand in for another.

Correlation of expression (Figure 3), the training sets built from it (section 3.3), the cross-cell
experiments (Figures 5 and 6), every model on every other cell type (Figure 7), what predicts that
transfer, and simulated worlds in which the answer is known.
"""

from __future__ import annotations

from dc2lib.crosscell.correlation import (
    LEAST_CELLS,
    between_cells,
    correlation_summary,
    expression_correlation,
    expression_of,
    fallen_behind,
    genes_by_split,
    mean_with_others,
    one_column_off,
    study_correlation,
)
from dc2lib.crosscell.sets import EXPERIMENTS, exact_sets, training_sets

__all__ = [
    "EXPERIMENTS",
    "LEAST_CELLS",
    "between_cells",
    "correlation_summary",
    "exact_sets",
    "expression_correlation",
    "expression_of",
    "fallen_behind",
    "genes_by_split",
    "mean_with_others",
    "one_column_off",
    "study_correlation",
    "training_sets",
]
