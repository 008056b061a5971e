"""The ledger: every claim of the paper, what was recorded about it, and a verdict by a fixed rule.

The claims are data (`dc2lib.claims.paper`), the values come from recorded results, and nothing is
typed: a verdict changes when a result changes.
"""

from dc2lib.claims.paper import CLAIMS, CONDITIONS
from dc2lib.claims.reference import Reference, load_reference
from dc2lib.claims.tables import (
    evidence_table,
    markdown,
    narrow_verdicts,
    summary_table,
    verdict_counts,
)
from dc2lib.claims.verdicts import VERDICTS, ledger

__all__ = [
    "CLAIMS",
    "CONDITIONS",
    "VERDICTS",
    "Reference",
    "evidence_table",
    "ledger",
    "load_reference",
    "markdown",
    "narrow_verdicts",
    "summary_table",
    "verdict_counts",
]
