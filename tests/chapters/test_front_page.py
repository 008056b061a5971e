"""The front page shows steps in order and claims that the ledger has."""

import pandas as pd
from dc2book import front_page
from dc2book.claims import CLAIMS

COLUMNS = ["key", "value", "low", "high", "n", "chapter", "model", "recipe", "orientation",
           "labels", "scoring", "reference"]


def recorded(rows):
    return pd.DataFrame(rows, columns=COLUMNS)


def test_steps_come_in_order_with_their_intervals():
    rows = [
        ["mean_auroc", 0.9, 0.8, 0.95, 2, "architectures", model, recipe, orientation, labels,
         scoring, None]
        for _, recipe, orientation, labels, scoring in front_page.STEPS.itertuples(index=False)
        for model in ("linear", "deepchrome_max")
    ]
    table = front_page.auroc_steps(recorded(rows[::-1]))
    assert list(dict.fromkeys(table["step"])) == front_page.STEPS["step"].tolist()
    assert list(table["model"][:2]) == ["deepchrome_max", "linear"]
    assert (table[["estimate", "low", "high"]].iloc[0] == [0.9, 0.8, 0.95]).all()


def test_nothing_recorded_gives_no_steps():
    assert front_page.auroc_steps(recorded([])).empty


def test_the_linear_model_stands_beside_the_networks():
    rows = [("now", "first", "deepchrome_max", 0.7), ("now", "first", "linear", 0.5),
            ("now", "last", "deepchrome_max", 0.9), ("now", "last", "linear", 0.95)]
    table = pd.DataFrame(rows, columns=["run", "step", "model", "estimate"])
    assert front_page.choices_text(table) == (
        "Along these steps the networks move by 0.20 AUROC, within a step they lie up to 0.00 "
        "apart, and the linear model goes from 0.20 below their mean to 0.05 above it (now)"
    )


def test_headlines_are_claims_of_the_ledger():
    assert set(front_page.HEADLINES) <= {claim.id for claim in CLAIMS}
