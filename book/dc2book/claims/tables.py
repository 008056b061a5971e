"""The scorecard as tables and counts: for the claims chapter, the front page and the README."""

from __future__ import annotations

import math

import pandas as pd

from dc2book.architectures import NOT_CONVERGED
from dc2book.claims.paper import CONDITIONS
from dc2book.claims.recorded import NONE
from dc2book.claims.verdicts import CONTRADICTED, DEPENDS, SUPPORTED, UNDECIDED

KINDS = (SUPPORTED, CONTRADICTED, DEPENDS.strip(), UNDECIDED)


def summary_table(card: pd.DataFrame) -> pd.DataFrame:
    """One row per claim: its words, the paper's number, verdict and number of cell types."""
    return pd.DataFrame({
        "claim": card["words"],
        "paper": card["paper"].replace("", NONE),
        "verdict": card["verdict"],
        "cell types": [str(n) if n else NONE for n in card["cells"]],
    })


def scorecard_table(card: pd.DataFrame, build: pd.DataFrame | None = None) -> pd.DataFrame:
    """One row per claim: where the paper makes it, verdict, conditions and what would tell more.

    ``card``: as `dc2book.claims.scorecard`. ``build``: the same of another run, whose verdicts get
    a column of their own.
    """
    shown = summary_table(card).drop(columns="paper")
    shown["claim"] = [f"{row.words} *({row.where}{row.paper and f'; {row.paper}'})*"
                      for row in card.itertuples()]
    more = [f"; would tell more: {one}" if one else "" for one in card["missing"]]
    shown.insert(3, "which conditions", card["conditions"] + more)
    if build is not None:
        shown.insert(3, "this build", build["verdict"])
    return shown


def values_table(values: pd.DataFrame, card: pd.DataFrame) -> pd.DataFrame:
    """One row per claim: what was compared, where the claim holds, its value by condition."""
    flags = {name: f" ({name})" for name in ("simulated", NOT_CONVERGED)}
    known = values[values["text"].fillna("") != ""]
    known = known.sort_values("condition", key=lambda names: names.map(list(CONDITIONS).index))
    titles = known["condition"].map({name: one.title for name, one in CONDITIONS.items()})
    text = "*" + titles + "* " + known["text"] + known["outcome"].map(flags).fillna("")
    by_claim = text.groupby(known["claim"]).agg("; ".join)
    regions = values.drop_duplicates("claim").set_index("claim")[["region_low", "region_high"]]
    where = {claim: _region_text(*ends) for claim, ends in regions.T.items()}
    return pd.DataFrame({
        "quantity": card["quantity"] + " (`" + card["claim"] + "`)",
        "holds": card["claim"].map(where),
        "value by condition": card["claim"].map(by_claim).fillna(NONE),
    })


def _region_text(low: float, high: float) -> str:
    """The region in which a claim holds, in words.

    >>> _region_text(-0.2, 0.2), _region_text(0.5, math.inf), _region_text(-math.inf, 0)
    ('from -0.2 to 0.2', 'above 0.5', 'below 0')
    """
    if math.isinf(high):
        return f"above {low:g}"
    return f"below {high:g}" if math.isinf(low) else f"from {low:g} to {high:g}"


def count_verdicts(card: pd.DataFrame) -> pd.DataFrame:
    """How many claims got each kind of verdict: columns kind, estimate.

    >>> count_verdicts(pd.DataFrame({"verdict": ["supported"] * 2}))["estimate"].tolist()
    [2, 0, 0, 0]
    """
    return pd.DataFrame([
        {"kind": kind.split()[0], "estimate": int(card["verdict"].str.startswith(kind).sum())}
        for kind in KINDS
    ])


def verdict_counts(card: pd.DataFrame) -> str:
    """How many claims got each kind of verdict, in words.

    >>> verdict_counts(pd.DataFrame({"verdict": ["supported", "depends on the labels"] * 2}))
    '2 supported, 2 dependent on the conditions'
    """
    counts = count_verdicts(card).itertuples(index=False)
    names = {"depends": "dependent on the conditions"}
    return ", ".join(f"{n} {names.get(kind, kind)}" for kind, n in counts if n)
