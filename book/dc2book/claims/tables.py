"""The ledger as tables: for the claims chapter, the front page and the README."""

from __future__ import annotations

import pandas as pd

from dc2book.claims.verdicts import REPLICATED, VERDICTS

CONDITION_TITLES = {
    "released_score": "released labels and score",
    "released": "released labels",
    "numeric": "numeric labels",
}
RUN_TITLES = {"build": "this build", "reference": "reference run"}
NONE = "–"


def verdict_text(row: pd.Series) -> str:
    """Verdict of one row with its reason; on simulated cell types it says so."""
    named = "simulator" in row["reason"]
    where = "; simulated" if row["simulated"] and not named else ""
    return f"**{row['verdict']}** ({row['reason']}{where})"


def summary_table(judged: pd.DataFrame) -> pd.DataFrame:
    """One row a claim: its words, place and number in the paper, and a verdict column a run.

    Parameters
    ----------
    judged
        As `dc2book.claims.ledger`.
    """
    first = judged[judged["run"] == judged["run"].iloc[0]]
    table = pd.DataFrame({"claim": [_claim_text(row) for _, row in first.iterrows()]})
    for run, rows in judged.groupby("run", sort=False):
        table[RUN_TITLES[run]] = [verdict_text(row) for _, row in rows.iterrows()]
    return table


def _claim_text(row: pd.Series) -> str:
    number = f"; {row['paper']}" if row["paper"] else ""
    return f"{row['words']} *({row['where']}{number})*"


def evidence_table(judged: pd.DataFrame, run: str) -> pd.DataFrame:
    """One row a claim of a run: what was compared, and the value under each condition.

    Parameters
    ----------
    judged
        As `dc2book.claims.ledger`.
    run
        ``"build"`` or ``"reference"``.
    """
    rows = judged[judged["run"] == run]
    table = pd.DataFrame(
        {"quantity": [f"{row['quantity']} (`{row['claim']}`)" for _, row in rows.iterrows()]}
    )
    for name, title in CONDITION_TITLES.items():
        table[title] = rows[name].replace("", NONE).to_numpy()
    no_labels = (rows["any"] != "").to_numpy()
    table.loc[no_labels, CONDITION_TITLES["numeric"]] = [
        f"{value} (no labels)" for value in rows.loc[no_labels, "any"]
    ] if no_labels.any() else NONE
    table["from"] = [
        f"{row['chapter'].replace('_', ' ')} ({row['data']})" if row["data"] else NONE
        for _, row in rows.iterrows()
    ]
    return table


def verdict_counts(judged: pd.DataFrame, run: str) -> str:
    """How many claims got each verdict, in words.

    Examples
    --------
    >>> rows = pd.DataFrame({"run": ["build"] * 2, "verdict": ["replicated"] * 2})
    >>> verdict_counts(rows, "build")
    '2 replicated'
    """
    counts = judged.loc[judged["run"] == run, "verdict"].value_counts()
    return ", ".join(f"{counts[name]} {name}" for name in VERDICTS if name in counts)


def narrow_verdicts(judged: pd.DataFrame, run: str, within: float = 0.01) -> str:
    """Which claims of a run are replicated with little to spare, in words.

    Parameters
    ----------
    judged
        As `dc2book.claims.ledger`.
    run
        ``"build"`` or ``"reference"``.
    within
        How much of the quantity counts as little, in its own unit.
    """
    margin = f"with less than {within:g} to spare, in the unit of each claim"
    rows = judged[(judged["run"] == run) & (judged["verdict"] == REPLICATED)]
    rows = rows[rows["spare"] < within].sort_values("spare")
    if rows.empty:
        return f"none is replicated {margin}"
    clauses = [
        f"“{row['words'].rstrip('.')}” ({row['quantity']}: {_values(row)}"
        f"{'; simulated' if row['simulated'] else ''})"
        for _, row in rows.iterrows()
    ]
    return f"replicated {margin}, {'is' if len(clauses) == 1 else 'are'} {'; '.join(clauses)}"


def _values(row: pd.Series) -> str:
    titles = {"any": ""} | {name: f"{CONDITION_TITLES[name]} " for name in ("released", "numeric")}
    return "; ".join(title + row[name] for name, title in titles.items() if row[name])


def markdown(table: pd.DataFrame) -> str:
    """A table as Markdown, one line a row."""
    lines = [list(table.columns), ["---"] * len(table.columns)]
    lines += [[str(cell) for cell in row] for row in table.itertuples(index=False)]
    return "\n".join(
        f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines
    )
