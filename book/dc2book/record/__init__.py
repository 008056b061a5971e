"""Recorded results, findings, figures, tables and provenance of one chapter.

The build runs each chapter with the environment variable ``DC2LIB_RESULTS`` naming a JSON Lines
file; the file ``run.json`` beside it says which chapter, profile, data, parameters and hash the
run has.  Without that variable (a notebook opened by hand) everything is shown and glued, and
nothing is written::

    record("auroc", 0.91, low=0.90, high=0.92, cell="E012", labels="numeric")
    report(table, "table-2", "Test AUROC by model", "auroc", wide="model")
    finding("network-leads", lead.low > 0, says=f"{lead.estimate:+.3f}")
    show_figure(fig, "curves", alt="Two rising lines.", data=table)
"""

from dc2book.record.context import run_context, versions
from dc2book.record.recording import (
    VOCABULARY,
    finding,
    provenance,
    record,
    record_range,
    record_table,
    results,
)
from dc2book.record.showing import not_computed, report, show_figure, show_table

__all__ = [
    "VOCABULARY",
    "finding",
    "not_computed",
    "provenance",
    "record",
    "record_range",
    "record_table",
    "report",
    "results",
    "run_context",
    "show_figure",
    "show_table",
    "versions",
]
