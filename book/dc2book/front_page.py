"""The front page: which claims it shows, and the steps from the released to the best AUROC."""

from __future__ import annotations

import pandas as pd

from dc2lib.models.deepchrome import MODELS

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


def choices_sentence(table: pd.DataFrame) -> str:
    """How far the steps move the best network, and how far networks lie apart within a step.

    Parameters
    ----------
    table
        One or more tables of :func:`steps`, told apart by the column ``run``.

    Examples
    --------
    >>> rows = [("now", "a", "deepchrome_max", 0.7), ("now", "b", "deepchrome_max", 0.9),
    ...         ("now", "b", "deepchrome_average", 0.91)]
    >>> table = pd.DataFrame(rows, columns=["run", "step", "model", "estimate"])
    >>> choices_sentence(table).split(" apart")[0].split(", ")
    ['Along these steps the networks move by 0.21 AUROC', 'within a step they lie up to 0.01']
    """
    found = []
    for run, part in table.groupby("run", sort=False):
        networks = part[part["model"] != "linear"]
        if networks.empty:
            continue
        by_step = networks.groupby("step", sort=False)["estimate"]
        means = by_step.mean()
        apart = (by_step.max() - by_step.min()).max()
        found.append(
            f"the networks move by {means.max() - means.min():.2f} AUROC, within a step they lie "
            f"up to {apart:.2f} apart{_linear_beside(part, means)} ({run})"
        )
    if not found:
        return "Nothing has been recorded yet"
    first, *others = found
    return "; ".join([f"Along these steps {first}", *others])


def _linear_beside(part: pd.DataFrame, means: pd.Series) -> str:
    linear = part[part["model"] == "linear"].set_index("step")["estimate"]
    gaps = (linear - means).reindex(means.index).dropna()
    if gaps.empty:
        return ""
    first, last = (f"{abs(gap):.2f} {'above' if gap > 0 else 'below'}"
                   for gap in (gaps.iloc[0], gaps.iloc[-1]))
    return f", and the linear model goes from {first} their mean to {last} it"
