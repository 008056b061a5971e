"""Verdicts on the claims, computed from recorded results by one rule.

Under each condition the claim's quantity is an interval.  The claim *holds* there if the interval
lies within the claim's region, *fails* if it lies wholly outside, and is *open* otherwise.  A
condition gives no evidence where nothing was recorded, on simulated cell types, on too few cell
types for a mean over cell types, and where fits did not converge.  Of the conditions that decide:

- supported: the claim holds under at least one, and fails under none;
- contradicted: it fails under at least one, and holds under none;
- depends on ...: it holds under some and fails under others, which differ in the labels, the budget
  of training, the cell types or whether the strand is given;
- undecided: it neither holds nor fails under any.

Open conditions do not change a verdict.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import pandas as pd

from dc2book.architectures import CONVERGED, NOT_CONVERGED
from dc2book.claims.authors_runs import authors_values
from dc2book.claims.paper import AUTHORS, CLAIMS, CONDITIONS, Claim
from dc2book.claims.recorded import Query, RecordedValue, matching_rows, recorded_value

SUPPORTED = "supported"
CONTRADICTED = "contradicted"
DEPENDS = "depends on the "
UNDECIDED = "undecided"
HOLDS, FAILS, OPEN = "holds", "fails", "open"
ASPECTS = {"labels": "labels", "budget": "budget", "cell_types": "cell types",
           "strand": "strand"}
NOT_CHECKED = "convergence not recorded"
REMEDIES = {
    NOT_CONVERGED: "longer training",
    NOT_CHECKED: "a run that records convergence",
    "too few cell types": "the 56 cell types of the released archive",
    "simulated": "measured cell types",
    "nothing recorded": "a run of its chapter",
    OPEN: "more cell types or seeds",
}


def scorecard(results: pd.DataFrame) -> pd.DataFrame:
    """Every claim with its verdict, judged on recorded results.

    ``results``: as `dc2book.record.results`.

    Returns one row per claim: claim, short, words, where, paper, quantity, chapter, verdict,
    conditions (which decide, as text), cells (the most cell types behind a condition that decides,
    or that is open where none does, those in reads and those as peaks together), missing (what
    would judge the claim where the rest does not).
    """
    values = claim_values(results)
    return pd.DataFrame([_row(claim, values[values["claim"] == claim.id]) for claim in CLAIMS])


def claim_values(results: pd.DataFrame) -> pd.DataFrame:
    """What each claim's quantity is under each condition.

    Columns claim, condition, outcome ("holds", "fails", "open", or why the condition gives no
    evidence), estimate, low, high (NaN where nothing was recorded), n (cell types), data, text,
    region_low, region_high.
    """
    rows = []
    for claim in CLAIMS:
        found = {name: recorded_value(results, query) for name, query in claim.queries.items()}
        of_authors = authors_values().get(claim.id)
        known = {AUTHORS: of_authors} if of_authors is not None else {}
        for condition, value in (known | found).items():
            share = _converged(results, claim, condition)
            rows.append({
                "claim": claim.id, "condition": condition,
                "outcome": evidence(value, claim.region, claim.min_cells, share),
                **_numbers(value), "region_low": claim.region[0], "region_high": claim.region[1],
            })
    return pd.DataFrame(rows)


def evidence(
    value: RecordedValue | None, region: tuple[float, float], min_cells: int = 0,
    converged: float | None = None,
) -> str:
    """``"holds"``, ``"fails"``, ``"open"``, or why the value is no evidence.

    >>> one = RecordedValue(0.02, 0.015, 0.025, 7, ("roadmap",))
    >>> evidence(one, (0, 1)), evidence(one, (-0.01, 0.01)), evidence(one, (0.02, 1))
    ('holds', 'fails', 'open')
    >>> evidence(one, (0, 1), min_cells=20), evidence(one, (0, 1), converged=0.5)
    ('too few cell types', 'not converged')
    """
    if value is None:
        return "nothing recorded"
    if "simulated" in value.data_source:
        return "simulated"
    if value.cells < min_cells:
        return "too few cell types"
    if converged is not None and not converged >= CONVERGED:
        return NOT_CHECKED if math.isnan(converged) else NOT_CONVERGED
    low, high = region
    if low <= value.low and value.high <= high:
        return HOLDS
    return FAILS if value.high < low or value.low > high else OPEN


def verdict(outcomes: Mapping[str, str]) -> str:
    """The verdict from what comes out under each condition of `CONDITIONS`.

    >>> verdict({"released": "holds", "numeric": "open"})
    'supported'
    >>> verdict({"released": "fails", "numeric": "open"})
    'contradicted'
    >>> verdict({"released": "holds", "numeric": "fails"})
    'depends on the labels'
    >>> verdict({"released": "not converged", "numeric": "not converged"})
    'undecided (not converged)'
    """
    deciding = {name: one for name, one in outcomes.items() if CONDITIONS[name].decides}
    decided = {name: one for name, one in deciding.items() if one in (HOLDS, FAILS)}
    match sorted(set(decided.values())):
        case ["holds"]:
            return SUPPORTED
        case ["fails"]:
            return CONTRADICTED
        case []:
            never = deciding and set(deciding.values()) == {NOT_CONVERGED}
            return f"{UNDECIDED} ({NOT_CONVERGED})" if never else UNDECIDED
    return DEPENDS + " or ".join(_aspects(decided))


def _aspects(decided: Mapping[str, str]) -> list[str]:
    """In what conditions under which a claim holds differ from those under which it fails.

    The aspects that alone tell them apart; where none does, all that vary.
    """
    seen: dict[str, dict[str, set[str]]] = {aspect: {} for aspect in ASPECTS}
    for name, one in decided.items():
        for aspect, words in seen.items():
            words.setdefault(getattr(CONDITIONS[name], aspect), set()).add(one)
    varying = {aspect: words for aspect, words in seen.items() if len(words) > 1}
    alone = [aspect for aspect, words in varying.items()
             if all(len(one) == 1 for one in words.values())]
    return [ASPECTS[aspect] for aspect in alone or varying]


def _row(claim: Claim, values: pd.DataFrame) -> dict[str, object]:
    outcomes = dict(zip(values["condition"], values["outcome"], strict=True))
    deciding = values[[CONDITIONS[name].decides for name in values["condition"]]]
    behind = deciding[deciding["outcome"].isin((HOLDS, FAILS))]
    if behind.empty:
        behind = deciding[deciding["outcome"] == OPEN]
    lacking = deciding[~deciding["outcome"].isin((HOLDS, FAILS))]["outcome"]
    return {
        **{name: getattr(claim, name)
           for name in ("short", "words", "where", "paper", "quantity", "chapter")},
        "claim": claim.id,
        "verdict": verdict(outcomes),
        "conditions": _conditions(deciding),
        "cells": _cells(behind),
        "missing": ", ".join(REMEDIES[one] for one in dict.fromkeys(lacking)),
    }


def _cells(values: pd.DataFrame) -> int:
    """The most cell types behind one of these conditions; ours and ours as peaks are different."""
    kinds = values["condition"].map(lambda name: CONDITIONS[name].cell_types)
    most = values.groupby(kinds)["n"].max().to_dict()
    return int(max(most.pop("the paper's", 0), sum(most.values())))


def _conditions(values: pd.DataFrame) -> str:
    """Which conditions say what: "holds: numeric labels (7); open: released labels (7)"."""
    names = [CONDITIONS[row.condition].title + (f" ({row.n})" if row.n else "")
             for row in values.itertuples()]
    of_outcome = pd.Series(names, index=values.index).groupby(values["outcome"], sort=False)
    return "; ".join(f"{outcome}: {', '.join(one)}" for outcome, one in of_outcome)


def _converged(results: pd.DataFrame, claim: Claim, condition: str) -> float | None:
    """Share of the fits behind our own value that levelled off, NaN where it was not recorded.

    None where the claim asks for no convergence there.  Tags that rows do not have are not asked.
    """
    about = CONDITIONS[condition]
    if claim.converged is None or condition == AUTHORS:
        return None
    if "recipe" in claim.converged.tags and about.budget != "paper's recipe":
        return None
    labels = "lexicographic" if about.labels == "released" else "numeric"
    query = claim.converged.with_tags(labels=labels)
    known = {tag: word for tag, word in query.tags.items()
             if tag in results and results.loc[results["key"] == query.key, tag].notna().any()}
    rows = matching_rows(results, Query(query.chapter, query.key, known))
    fits = rows["n"].fillna(1).astype(float) if len(rows) else pd.Series([], dtype=float)
    return float((rows["value"].astype(float) * fits).sum() / fits.sum()) if len(fits) else math.nan


def _numbers(value: RecordedValue | None) -> dict[str, object]:
    one = value or RecordedValue(math.nan, math.nan, math.nan, 0, ())
    return {"estimate": one.estimate, "low": one.low, "high": one.high, "n": one.cells,
            "data": ", ".join(one.data_source), "text": str(value or "")}
