"""The library under *DeepChrome 2.0, the book*: histone marks, models, probes, statistics.

Data come from `dc2lib.datasets`, classes from `dc2lib.labels`, networks from `dc2lib.models`; fits
(`training`), scores and intervals (`evaluation`), `probing` and `crosscell` build on these.

>>> from dc2lib.datasets.simulated import simulate
>>> from dc2lib.labels import label
>>> label(simulate(n_cells=1, n_genes=300).datasets["S001"]).shape
(300,)
"""

__version__ = "0.1.0"
