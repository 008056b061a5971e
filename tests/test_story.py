"""The front page says what was recorded, and says so where nothing was."""

import pandas as pd
import pytest

from dc2lib import story

COLUMNS = ["key", "value", "low", "high", "n", "chapter", "model", "recipe", "orientation",
           "labels", "scoring", "reference"]


def recorded(rows):
    return pd.DataFrame(rows, columns=COLUMNS)


def gap(value, low, high, recipe="paper", orientation="genome", labels="lexicographic"):
    return ["auroc_difference", value, low, high, 500, "architectures", "deepchrome_max", recipe,
            orientation, labels, "probability", "linear"]


def test_steps_come_in_order_with_their_intervals():
    rows = [
        ["mean_auroc", 0.9, 0.8, 0.95, 2, "architectures", model, recipe, orientation, labels,
         scoring, None]
        for recipe, orientation, labels, scoring in story.STEPS.values()
        for model in ("linear", "deepchrome_max")
    ]
    table = story.steps(recorded(rows[::-1]))
    assert list(dict.fromkeys(table["step"])) == list(story.STEPS)
    assert list(table["model"][:2]) == ["deepchrome_max", "linear"]
    assert (table[["estimate", "low", "high"]].iloc[0] == [0.9, 0.8, 0.95]).all()


def test_the_third_claim_counts_what_the_networks_did():
    rows = [
        gap(0.03, 0.02, 0.04),
        gap(0.0, -0.002, 0.002),
        gap(0.05, 0.04, 0.06, "tuned", "gene", "numeric"),
    ]
    text = story.three_claims(recorded(rows))["what this build finds"].iloc[2]
    assert "of 2 comparisons the network is 1 better, 1 equivalent" in text
    assert "of 1 comparisons the network is 1 better" in text


@pytest.mark.parametrize("claim", [0, 1, 2])
def test_nothing_recorded_is_said(claim):
    empty = recorded([])
    assert "no chapter" in story.three_claims(empty)["what this build finds"].iloc[claim]
    assert story.steps(empty).empty
