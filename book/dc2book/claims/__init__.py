"""The scorecard: every claim of the paper, the evidence on it, and a verdict by a fixed rule.

The claims are data (`dc2book.claims.paper`), the values come from recorded results and from the
authors' released runs, and nothing is typed: a verdict changes when a result changes::

    scorecard(dc2book.record.results())[["claim", "verdict", "conditions"]]
"""

from dc2book.claims.figures import plot_scorecard
from dc2book.claims.paper import CLAIMS, CONDITIONS
from dc2book.claims.reference import Reference, load_reference, reference_sentence
from dc2book.claims.tables import (
    count_verdicts,
    scorecard_table,
    summary_table,
    values_table,
    verdict_counts,
)
from dc2book.claims.verdicts import (
    claim_values,
    scorecard,
)

__all__ = [
    "CLAIMS",
    "CONDITIONS",
    "Reference",
    "claim_values",
    "count_verdicts",
    "load_reference",
    "plot_scorecard",
    "reference_sentence",
    "scorecard",
    "scorecard_table",
    "summary_table",
    "values_table",
    "verdict_counts",
]
