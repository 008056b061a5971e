"""The ledger: every claim of the paper, what was recorded about it, and a verdict by a fixed rule.

The claims are data (`dc2book.claims.paper`), the values come from recorded results, and nothing is
typed: a verdict changes when a result changes::

    ledger(dc2book.record.results())[["claim", "verdict", "reason"]]
"""

from dc2book.claims.paper import CLAIMS, CONDITIONS
from dc2book.claims.reference import Reference, load_reference
from dc2book.claims.tables import evidence_table, narrow_verdicts, summary_table, verdict_counts
from dc2book.claims.verdicts import VERDICTS, ledger

__all__ = [
    "CLAIMS",
    "CONDITIONS",
    "VERDICTS",
    "Reference",
    "evidence_table",
    "ledger",
    "load_reference",
    "narrow_verdicts",
    "summary_table",
    "verdict_counts",
]
