"""Verdicts on the claims, computed from recorded results by one rule.

Under each condition the claim's quantity is an interval.  The claim *holds* there if the interval
lies within the claim's region, *fails* if it lies wholly outside, and is *open* otherwise.  Claims
that involve labels are judged with probabilities as scores:

- replicated: holds under released and under numeric labels;
- depends on the labels: holds under one and fails under the other;
- not replicated: holds under neither, and fails under at least one;
- cannot be judged on this data: everything else (nothing recorded, open intervals, too few cell
  types, or simulated levels where measured ones are asked for).

Claims without labels are replicated where they hold and not replicated where they fail.
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from dc2book.claims.paper import CLAIMS, CONDITIONS, Claim
from dc2book.claims.recorded import RecordedValue, recorded_value

REPLICATED = "replicated"
NOT_REPLICATED = "not replicated"
DEPENDS = "depends on the labels"
UNJUDGED = "cannot be judged on this data"
VERDICTS = (REPLICATED, NOT_REPLICATED, DEPENDS, UNJUDGED)
DECISIVE = ("released", "numeric")
OUTCOMES = {"holds": "holds", "fails": "fails", "open": "open", "missing": "nothing recorded"}


def ledger(results: pd.DataFrame, reference: pd.DataFrame | None = None) -> pd.DataFrame:
    """Every claim, judged on this build's results and, apart from them, on the reference run's.

    Parameters
    ----------
    results, reference
        Recorded results, as `dc2book.record.results`.

    Returns
    -------
    DataFrame
        One row a claim and run: claim, run ("build" or "reference"), words, where, paper, quantity,
        chapter, one text column a condition ("released_score", "released", "numeric", "any"; empty
        where nothing was recorded), data, verdict, reason, simulated, spare (how far the tightest
        interval that decides stays within the region; negative where it leaves it, NaN where
        nothing was recorded).
    """
    runs = {"build": results} | ({} if reference is None else {"reference": reference})
    return pd.DataFrame([
        _row(claim, run, recorded) for run, recorded in runs.items() for claim in CLAIMS
    ])


def outcome(value: RecordedValue | None, holds: tuple[float, float]) -> str:
    """``"holds"``, ``"fails"``, ``"open"``, or ``"missing"`` where nothing was recorded.

    Examples
    --------
    >>> one = RecordedValue(0.02, 0.015, 0.025, 1, 1, ("roadmap",), True)
    >>> outcome(one, (0, 1)), outcome(one, (-0.01, 0.01)), outcome(one, (0.02, 1))
    ('holds', 'fails', 'open')
    """
    if value is None:
        return "missing"
    low, high = holds
    if low <= value.low and value.high <= high:
        return "holds"
    return "fails" if value.high < low or value.low > high else "open"


def verdict(outcomes: Mapping[str, str]) -> tuple[str, str]:
    """Verdict and its reason from the outcome under each condition.

    Examples
    --------
    >>> verdict({"released": "holds", "numeric": "fails"})
    ('depends on the labels', 'holds under released labels, fails under numeric labels')
    """
    if "any" in outcomes:
        only = outcomes["any"]
        named = {"holds": REPLICATED, "fails": NOT_REPLICATED}.get(only, UNJUDGED)
        return named, OUTCOMES[only]
    pair = [outcomes.get(name, "missing") for name in DECISIVE]
    reason = ", ".join(
        f"{OUTCOMES[one]} under {name} labels" for name, one in zip(DECISIVE, pair, strict=True)
    )
    match sorted(set(pair)):
        case ["holds"]:
            return REPLICATED, "holds under both label rules"
        case ["fails"]:
            return NOT_REPLICATED, "fails under both label rules"
        case ["fails", "holds"]:
            return DEPENDS, reason
        case ["fails", "open"]:
            return NOT_REPLICATED, reason
        case ["missing"]:
            return UNJUDGED, OUTCOMES["missing"]
    return UNJUDGED, reason


def _row(claim: Claim, run: str, results: pd.DataFrame) -> dict[str, object]:
    values = {name: recorded_value(results, query) for name, query in claim.queries.items()}
    known = [one for name, one in values.items() if one is not None and name != "released_score"]
    named, reason = verdict({name: outcome(one, claim.holds) for name, one in values.items()})
    sources = sorted({source for one in known for source in one.data_source})
    cells = min((one.cells for one in known), default=claim.min_cells)
    if known and claim.measured and "simulated" in sources:
        named, reason = UNJUDGED, "the simulator sets it"
    elif cells < claim.min_cells:
        named, reason = UNJUDGED, f"needs {claim.min_cells} cell types, has {cells}"
    low, high = claim.holds
    return {
        "claim": claim.id,
        "run": run,
        "words": claim.words,
        "where": claim.where,
        "paper": claim.paper,
        "quantity": claim.quantity,
        "chapter": claim.chapter,
        **{name: str(values.get(name) or "") for name in CONDITIONS},
        "data": ", ".join(sources),
        "verdict": named,
        "reason": reason,
        "simulated": "simulated" in sources,
        "spare": min((min(one.low - low, high - one.high) for one in known),
                     default=float("nan")),
    }
