"""Can the model of one cell type stand in for another's?

Correlation of expression, the training sets built from it (section 3.3 of the paper), the
experiments as fits with their tables, every model on every cell type, and what a grid costs.

>>> import pandas as pd
>>> cells = ["E003", "E004", "E005"]
>>> correlation = pd.DataFrame([[1, 0.8, 0.2], [0.8, 1, 0.6], [0.2, 0.6, 1]], cells, cells)
>>> training_sets(correlation, "highly")
{'E003': ('E003', 'E004'), 'E004': ('E003', 'E004'), 'E005': ('E005',)}
"""

from __future__ import annotations

from dc2lib.crosscell.correlation import (
    EXPERIMENTS,
    expression_correlation,
    expression_of,
    genes_by_split,
    one_column_off,
    study_correlation,
    training_sets,
)

__all__ = [
    "EXPERIMENTS",
    "expression_correlation",
    "expression_of",
    "genes_by_split",
    "one_column_off",
    "study_correlation",
    "training_sets",
]
