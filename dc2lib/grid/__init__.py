"""Many fits: each described by a value, run on any executor, kept on disk, never run twice.

A `Fit` says everything that decides its result.  `run_grid` trains what is missing and returns one
`FitRecord` a fit.  A record lies in a file named by a hash of the fit, of the content and labels of
its cell types and of the code that trains it, so an interrupted grid goes on where it stopped and a
changed parameter trains only what it touches.  Workers get the path of the store and map the counts
into memory; no array is sent to them.
"""

from __future__ import annotations

from dc2lib.grid.counts import PooledCounts
from dc2lib.grid.fits import ORIENTATIONS, Fit, FitRecord, fit_key, read_record, signals
from dc2lib.grid.run import GridError, run_grid, trainings
from dc2lib.grid.training import training_genes

__all__ = [
    "ORIENTATIONS",
    "Fit",
    "FitRecord",
    "GridError",
    "PooledCounts",
    "fit_key",
    "read_record",
    "run_grid",
    "signals",
    "training_genes",
    "trainings",
]
