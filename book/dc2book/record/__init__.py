"""Recorded results, figures and provenance of one chapter.

The build runs each chapter with the environment variable ``DC2LIB_RESULTS`` naming a JSON Lines
file; the file ``run.json`` beside it says which chapter, profile, data, parameters and hash the
run has.  Without that variable (a notebook opened by hand) everything is shown and glued, and
nothing is written.
"""

from dc2book.record.context import data_folder, run_context, versions
from dc2book.record.display import drawn_data, show_figure, show_table
from dc2book.record.rows import VOCABULARY, provenance, record, results

__all__ = [
    "VOCABULARY",
    "data_folder",
    "drawn_data",
    "provenance",
    "record",
    "results",
    "run_context",
    "show_figure",
    "show_table",
    "versions",
]
