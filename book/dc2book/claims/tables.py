"""The ledger as tables and counts: for the claims chapter, the front page and the README."""

from __future__ import annotations

import pandas as pd

from dc2book.claims.recorded import NONE, RUN_TITLES
from dc2book.claims.verdicts import REPLICATED, VERDICTS

CONDITION_TITLES = {
    "released_score": "released labels and score",
    "released": "released labels",
    "numeric": "numeric labels",
}


def summary_table(verdicts: pd.DataFrame) -> pd.DataFrame:
    """One row a claim: its text, place and number in the paper, and a verdict column a run.

    Parameters
    ----------
    verdicts
        As `dc2book.claims.ledger`.
    """
    columns = {}
    for run, rows in verdicts.groupby("run", sort=False):
        columns.setdefault("claim", [_claim_text(row) for _, row in rows.iterrows()])
        columns[RUN_TITLES[run]] = [_verdict_text(row) for _, row in rows.iterrows()]
    return pd.DataFrame(columns)


def evidence_table(verdicts: pd.DataFrame, run: str) -> pd.DataFrame:
    """One row a claim of a run ("build" or "reference"): what was compared, and each value."""
    rows = verdicts[verdicts["run"] == run]
    shown = rows[list(CONDITION_TITLES)].replace("", NONE).rename(columns=CONDITION_TITLES)
    no_labels = rows["any"] != ""
    shown.loc[no_labels, CONDITION_TITLES["numeric"]] = rows["any"][no_labels] + " (no labels)"
    shown.insert(0, "quantity", rows["quantity"] + " (`" + rows["claim"] + "`)")
    chapters = rows["chapter"].str.replace("_", " ") + " (" + rows["data"] + ")"
    shown["from"] = chapters.where(rows["data"] != "", NONE)
    return shown.reset_index(drop=True)


def verdict_counts(verdicts: pd.DataFrame, run: str) -> str:
    """How many claims got each verdict.

    Examples
    --------
    >>> rows = pd.DataFrame({"run": ["build"] * 2, "verdict": ["replicated"] * 2})
    >>> verdict_counts(rows, "build")
    '2 replicated'
    """
    counts = verdicts.loc[verdicts["run"] == run, "verdict"].value_counts()
    return ", ".join(f"{counts[name]} {name}" for name in VERDICTS if name in counts)


def narrow_verdicts(verdicts: pd.DataFrame, run: str, within: float = 0.01) -> str:
    """Which claims of a run are replicated with less than ``within`` to spare, as text."""
    margin = f"with less than {within:g} to spare, in the unit of each claim"
    rows = verdicts[(verdicts["run"] == run) & (verdicts["verdict"] == REPLICATED)]
    rows = rows[rows["spare"] < within].sort_values("spare")
    if rows.empty:
        return f"none is replicated {margin}"
    clauses = [
        f"“{row['words'].rstrip('.')}” ({row['quantity']}: {_values(row)}"
        f"{'; simulated' if row['simulated'] else ''})"
        for _, row in rows.iterrows()
    ]
    return f"replicated {margin}, {'is' if len(clauses) == 1 else 'are'} {'; '.join(clauses)}"


def _claim_text(row: pd.Series) -> str:
    number = f"; {row['paper']}" if row["paper"] else ""
    return f"{row['words']} *({row['where']}{number})*"


def _verdict_text(row: pd.Series) -> str:
    named = "simulator" in row["reason"]
    where = "; simulated" if row["simulated"] and not named else ""
    return f"**{row['verdict']}** ({row['reason']}{where})"


def _values(row: pd.Series) -> str:
    titles = {"any": ""} | {name: f"{CONDITION_TITLES[name]} " for name in ("released", "numeric")}
    return "; ".join(title + row[name] for name, title in titles.items() if row[name])
