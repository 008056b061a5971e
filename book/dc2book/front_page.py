"""The front page: which claims it shows, and the steps from the released to the best AUROC."""

from __future__ import annotations

import pandas as pd

from dc2lib.models.deepchrome import MODELS

STEPS = pd.DataFrame(
    {
        "released labels, released score": ("paper", "genome", "lexicographic", "positive_logit"),
        "released labels, probability": ("paper", "genome", "lexicographic", "probability"),
        "numeric labels, probability": ("paper", "genome", "numeric", "probability"),
        "numeric labels, tuned recipe": ("tuned", "gene", "numeric", "probability"),
    },
    index=["recipe", "orientation", "labels", "scoring"],
).T.rename_axis("step").reset_index()

HEADLINES = (
    "optimised_unrealistic",
    "sampled_realistic",
    "cell_type_independent",
    "correlation_unrelated",
    "linear_as_good",
    "counts_are_enough",
)


def auroc_steps(recorded: pd.DataFrame) -> pd.DataFrame:
    """Mean AUROC of every model after each change of method, from the architectures chapter.

    Returns
    -------
    DataFrame
        Columns step, model, estimate, low, high.
    """
    rows = recorded[recorded["key"] == "mean_auroc"].rename(columns={"value": "estimate"})
    models = pd.DataFrame({"model": list(MODELS)})
    wanted = STEPS.merge(models, how="cross")
    columns = ["step", "model", "estimate", "low", "high"]
    return wanted.merge(rows, on=[*wanted.columns.drop("step")])[columns]


def choices_text(table: pd.DataFrame) -> str:
    """How far the steps move the networks, and how far networks lie apart within a step.

    Parameters
    ----------
    table
        One or more tables of `auroc_steps`, told apart by the column ``run``.

    Examples
    --------
    >>> rows = [("now", "a", "deepchrome_max", 0.7), ("now", "b", "deepchrome_max", 0.9),
    ...         ("now", "b", "deepchrome_average", 0.91)]
    >>> table = pd.DataFrame(rows, columns=["run", "step", "model", "estimate"])
    >>> choices_text(table).split(" apart")[0].split(", ")
    ['Along these steps the networks move by 0.21 AUROC', 'within a step they lie up to 0.01']
    """
    clauses = []
    for run, part in table.groupby("run", sort=False):
        is_linear = part["model"] == "linear"
        networks = part[~is_linear].groupby("step", sort=False)["estimate"]
        if not len(networks):
            continue
        means, apart = networks.mean(), (networks.max() - networks.min()).max()
        gaps = (part[is_linear].set_index("step")["estimate"] - means).reindex(means.index).dropna()
        sides = [f"{abs(gap):.2f} {'above' if gap > 0 else 'below'}" for gap in gaps]
        linear = (f", and the linear model goes from {sides[0]} their mean to {sides[-1]} it"
                  if sides else "")
        clauses.append(
            f"the networks move by {means.max() - means.min():.2f} AUROC, within a step they lie "
            f"up to {apart:.2f} apart{linear} ({run})"
        )
    return f"Along these steps {'; '.join(clauses)}" if clauses else "Nothing has been recorded yet"
