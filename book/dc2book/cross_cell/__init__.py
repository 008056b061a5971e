"""The chapter on cell types beside each other: its tables, its simulated worlds, its figures.

>>> released_sets_reproduced()["exact"].tolist()
[55, 5, 55, 0]
"""

from dc2book.cross_cell.tables import released_sets_reproduced

__all__ = ["released_sets_reproduced"]
