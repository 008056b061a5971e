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

from dc2book.claims.lookup import Found, find
from dc2book.claims.paper import CLAIMS, CONDITIONS, Claim

REPLICATED = "replicated"
NOT_REPLICATED = "not replicated"
DEPENDS = "depends on the labels"
UNJUDGED = "cannot be judged on this data"
VERDICTS = (REPLICATED, NOT_REPLICATED, DEPENDS, UNJUDGED)
JUDGED = ("released", "numeric")
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
        _judged(claim, run, recorded) for run, recorded in runs.items() for claim in CLAIMS
    ])


def outcome(found: Found | None, holds: tuple[float, float]) -> str:
    """``"holds"``, ``"fails"``, ``"open"``, or ``"missing"`` where nothing was recorded.

    Examples
    --------
    >>> one = Found(0.02, 0.015, 0.025, 1, 1, ("roadmap",), True)
    >>> outcome(one, (0, 1)), outcome(one, (-0.01, 0.01)), outcome(one, (0.02, 1))
    ('holds', 'fails', 'open')
    """
    if found is None:
        return "missing"
    low, high = holds
    if low <= found.low and found.high <= high:
        return "holds"
    return "fails" if found.high < low or found.low > high else "open"


def spare(found: Found, holds: tuple[float, float]) -> float:
    """How far an interval stays within a region, at its nearer end.

    Examples
    --------
    >>> spare(Found(-0.75, -1.25, -0.25, 1, 1, ("mnist",), True), (float("-inf"), 0))
    0.25
    """
    low, high = holds
    return min(found.low - low, high - found.high)


def verdict(outcomes: Mapping[str, str]) -> tuple[str, str]:
    """Verdict and its reason from the outcome under each condition.

    Examples
    --------
    >>> verdict({"released": "holds", "numeric": "fails"})
    ('depends on the labels', 'holds under released labels, fails under numeric labels')
    """
    if "any" in outcomes:
        return {"holds": (REPLICATED, "holds"), "fails": (NOT_REPLICATED, "fails")}.get(
            outcomes["any"], (UNJUDGED, _why([outcomes["any"]]))
        )
    pair = [outcomes.get(name, "missing") for name in JUDGED]
    if pair[0] == pair[1] == "holds":
        return REPLICATED, "holds under both label rules"
    if set(pair) == {"holds", "fails"}:
        return DEPENDS, f"{pair[0]} under released labels, {pair[1]} under numeric labels"
    if pair[0] == pair[1] == "fails":
        return NOT_REPLICATED, "fails under both label rules"
    if set(pair) == {"fails", "open"}:
        return NOT_REPLICATED, _why(pair)
    return UNJUDGED, _why(pair)


def _why(outcomes: list[str]) -> str:
    if set(outcomes) == {"missing"}:
        return "nothing recorded"
    if len(outcomes) == 1:
        return OUTCOMES[outcomes[0]]
    return ", ".join(
        f"{OUTCOMES[one]} under {name} labels"
        for name, one in zip(JUDGED, outcomes, strict=True)
    )


def _judged(claim: Claim, run: str, recorded: pd.DataFrame) -> dict[str, object]:
    found = {name: find(recorded, lookup) for name, lookup in claim.lookups.items()}
    known = [one for name, one in found.items() if one is not None and name != "released_score"]
    words, reason = verdict({name: outcome(one, claim.holds) for name, one in found.items()})
    obstacle = _obstacle(claim, known)
    if known and obstacle:
        words, reason = UNJUDGED, obstacle
    sources = sorted({source for one in known for source in one.data_source})
    return {
        "claim": claim.id,
        "run": run,
        "words": claim.words,
        "where": claim.where,
        "paper": claim.paper,
        "quantity": claim.quantity,
        "chapter": claim.chapter,
        **{name: "" if found.get(name) is None else str(found[name]) for name in CONDITIONS},
        "data": ", ".join(sources),
        "verdict": words,
        "reason": reason,
        "simulated": "simulated" in sources,
        "spare": min((spare(one, claim.holds) for one in known), default=float("nan")),
    }


def _obstacle(claim: Claim, known: list[Found]) -> str:
    cells = min((one.cells for one in known), default=0)
    sources = {source for one in known for source in one.data_source}
    if claim.measured and "simulated" in sources:
        return "the simulator sets it"
    if cells < claim.min_cells:
        return f"needs {claim.min_cells} cell types, has {cells}"
    return ""
