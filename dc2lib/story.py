"""The front page: which claims it shows, and the steps from the released to the best AUROC."""

from __future__ import annotations

import pandas as pd

from dc2lib.models import MODELS

STEPS = {
    "released labels, released score": ("paper", "genome", "lexicographic", "positive_logit"),
    "released labels, probability": ("paper", "genome", "lexicographic", "probability"),
    "numeric labels, probability": ("paper", "genome", "numeric", "probability"),
    "numeric labels, tuned recipe": ("tuned", "gene", "numeric", "probability"),
}

HEADLINES = (
    "optimised_unrealistic",
    "sampled_realistic",
    "cell_type_independent",
    "correlation_unrelated",
    "linear_as_good",
    "counts_are_enough",
)


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
