"""The front page's summary, made of what the chapters recorded."""

from __future__ import annotations

import pandas as pd

from dc2lib.models import MODELS
from dc2lib.statistics import Interval, compared

STEPS = {
    "released labels, released score": ("paper", "genome", "lexicographic", "positive_logit"),
    "released labels, probability": ("paper", "genome", "lexicographic", "probability"),
    "numeric labels, probability": ("paper", "genome", "numeric", "probability"),
    "numeric labels, tuned recipe": ("tuned", "gene", "numeric", "probability"),
}


def steps(recorded: pd.DataFrame) -> pd.DataFrame:
    """Mean AUROC of every model after each change of method, from the architectures chapter.

    Returns
    -------
    DataFrame
        Columns step, model, estimate, low, high.
    """
    rows = recorded[recorded["key"] == "mean_auroc"]
    found = []
    for step, (recipe, orientation, labels, scoring) in STEPS.items():
        part = rows[
            (rows["recipe"] == recipe)
            & (rows["orientation"] == orientation)
            & (rows["labels"] == labels)
            & (rows["scoring"] == scoring)
        ].set_index("model")
        found += [
            {"step": step, "model": model}
            | {"estimate": part.loc[model, "value"]}
            | part.loc[model, ["low", "high"]].to_dict()
            for model in MODELS
            if model in part.index
        ]
    return pd.DataFrame(found, columns=["step", "model", "estimate", "low", "high"])


def three_claims(recorded: pd.DataFrame) -> pd.DataFrame:
    """The paper's three claims, where the book judges them, and what this build finds."""
    return pd.DataFrame(
        [
            {
                "claim of the paper": "Gradient ascent finds adversarial inputs; sampling a GAN "
                "and keeping what the classifier likes best finds realistic ones",
                "what this build finds": _not_yet(recorded, "judge_probability"),
            },
            {
                "claim of the paper": "The relation of marks and expression does not depend on the "
                "cell type",
                "what this build finds": _not_yet(recorded, "transfer_rank_correlation"),
            },
            {
                "claim of the paper": "A linear model of 12 parameters does as well as the network",
                "what this build finds": _twelve_parameters(recorded),
            },
        ]
    )


def _not_yet(recorded: pd.DataFrame, key: str) -> str:
    rows = recorded[recorded["key"] == key]
    if rows.empty:
        return "no chapter of this build has recorded a result"
    return f"{len(rows)} recorded results; see the chapter {rows['chapter'].iloc[0]}"


def _twelve_parameters(recorded: pd.DataFrame) -> str:
    rows = recorded[
        (recorded["key"] == "auroc_difference")
        & (recorded.get("reference") == "linear")
        & (recorded["scoring"] == "probability")
    ]
    if rows.empty:
        return "no chapter of this build has recorded a result"
    parts = []
    for title, recipe, orientation, labels in (
        ("released labels, paper's recipe", "paper", "genome", "lexicographic"),
        ("numeric labels, tuned recipe", "tuned", "gene", "numeric"),
    ):
        part = rows[
            (rows["recipe"] == recipe)
            & (rows["orientation"] == orientation)
            & (rows["labels"] == labels)
        ]
        words = pd.Series(
            [compared(Interval(r.value, r.low, r.high, int(r.n))) for r in part.itertuples()]
        ).value_counts()
        listing = ", ".join(f"{count} {word}" for word, count in words.items())
        parts.append(f"{title}: of {len(part)} comparisons the network is {listing}")
    return "; ".join(parts)
