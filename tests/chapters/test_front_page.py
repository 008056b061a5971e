"""The front page states findings that recorded results can turn, and shows claims of the list."""

import pandas as pd
import pytest
from dc2book import front_page
from dc2book.claims import CLAIMS, load_reference
from dc2book.front_page import NOT_COMPUTED

SCORES = {"labels": "numeric", "scoring": "probability", "recipe": "tuned", "orientation": "gene"}


def auroc(chapter, value, source="roadmap", **tags):
    return {"key": "auroc", "chapter": chapter, "value": value, "low": value - 0.01,
            "high": value + 0.01, "n": 5000, "cell": "E012", "data_source": source, **tags}


def ladder(windows):
    return pd.DataFrame([
        auroc("architectures", 0.92, model="linear", **SCORES),
        auroc("architectures", 0.95, model="deepchrome_max", **SCORES),
        auroc("linear_baseline", windows, model="window_regression", windows=10, **SCORES),
    ])


@pytest.mark.parametrize(("windows", "holds"), [(0.945, True), (0.93, False)])
def test_most_of_the_lead_is_position_and_strand(windows, holds):
    assert front_page.findings(ladder(windows))["position-not-depth"] is holds
    shown = front_page.texts(ladder(windows))
    assert shown["windows"] == f"{windows:.3f} [{windows - 0.01:.3f}, {windows + 0.01:.3f}]"


def test_the_reference_run_bears_out_every_sentence_of_the_front_page():
    reference = load_reference()
    assert all(front_page.findings(reference.results).values())
    assert NOT_COMPUTED not in front_page.texts(reference.results).values()


def test_what_was_not_computed_is_said():
    nothing = pd.DataFrame()
    found = front_page.findings(nothing)
    assert found["position-not-depth"] is None
    assert found["labels-are-text"] is found["gains-where-flipped"] is True
    assert front_page.texts(nothing)["network"] == "not computed yet"
    assert set(front_page.picture_rows(nothing)["name"]) == {"gain_yes", "gain_no"}


def test_simulated_cell_types_are_no_finding():
    simulated = ladder(0.945).assign(data_source="simulated")
    assert front_page.findings(simulated)["position-not-depth"] is None


@pytest.mark.parametrize(("text", "holds"), [(0.002, True), (0.03, False)])
def test_the_relabelled_cell_types_are_shown_beside_the_released_runs(text, holds):
    tags = {"study": "five_marks", "model": "deepchrome_average", "experiment": "inclusive_all"}
    rows = pd.DataFrame([
        {**auroc("cross_cell", value, trained_on=labels, **tags), "key": "relabelling_gain"}
        for labels, value in (("lexicographic", text), ("numeric", 0.001))
    ])
    assert front_page.findings(rows)["flips-alone-make-no-gain"] is holds
    simulated = rows.assign(data_source="simulated")
    assert front_page.findings(simulated)["flips-alone-make-no-gain"] is None


@pytest.mark.parametrize(("elsewhere", "holds"), [(0.95, True), (0.9, False)])
def test_expression_elsewhere_against_the_own_marks(elsewhere, holds):
    tags = {"labels": "numeric", "genes": "all"}
    rows = pd.DataFrame([
        auroc("cross_cell", 0.93, predictor="own", study="five_marks", **tags),
        auroc("cross_cell", 0.5, predictor="own", study="fifteen", **tags),
        auroc("cross_cell", elsewhere, predictor="expression_elsewhere", **tags),
        auroc("cross_cell", 0.1, predictor="expression_elsewhere", labels="numeric",
              genes="varying"),
    ])
    assert front_page.findings(rows)["elsewhere-as-good"] is holds


def test_headlines_are_claims_of_the_list():
    assert set(front_page.HEADLINES) <= {claim.id for claim in CLAIMS}


@pytest.mark.parametrize("holds", [True, False])
def test_a_finding_of_a_chapter_is_read_where_it_was_measured(holds):
    rows = pd.DataFrame([
        {"key": "finding", "chapter": "ground_truth", "name": name, "value": value,
         "data_source": source}
        for name, value, source in (("optimisation-not-worse", holds, "roadmap"),
                                    ("methods-differ", not holds, "roadmap"),
                                    ("optimisation-not-worse", not holds, "simulated"))])
    assert front_page.findings(rows)["optimised-not-worse"] is holds
    simulated = rows.assign(data_source="simulated")
    assert front_page.findings(simulated)["optimised-not-worse"] is None
