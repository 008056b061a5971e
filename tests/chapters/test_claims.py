"""The scorecard: queries, the authors' runs, the verdict rule, tables, the reference run."""

import json
import shutil
from math import inf
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from dc2book import claims
from dc2book.claims import verdicts as rule
from dc2book.claims.authors_runs import authors_values
from dc2book.claims.paper import AUTHORS, CLAIMS, CONDITIONS
from dc2book.claims.recorded import Query, RecordedValue, recorded_value
from dc2book.claims.reference import code_digest, load_reference

import dc2lib
from dc2lib.errors import DataError
from tools import reference as tool
from tools.errors import BuildError
from tools.house import between_marks


def row(key, value, low=None, high=None, chapter="architectures", source="roadmap", **tags):
    return {"key": key, "value": value, "low": low, "high": high, "n": 5000, "chapter": chapter,
            "data_source": source, **tags}


def converged(share=1.0, chapter="architectures"):
    return [row("converged", share, chapter=chapter, model="deepchrome_max", recipe="paper")]


def differences(released, numeric, source="roadmap", share=1.0):
    """Recorded rows about the network and the linear model: (value, half width) a label rule."""
    stages = {"probability_score": released, "numeric_labels": numeric}
    return pd.DataFrame([
        row("stage_lead", value, value - half, value + half, stage=stage, source=source,
            chapter="audit", model="deepchrome_max", reference="linear", cell="E012")
        for stage, (value, half) in stages.items()
    ] + converged(share))


def judged(results, claim="linear_as_good"):
    return claims.scorecard(results).set_index("claim").loc[claim]


# queries ---------------------------------------------------------------------------------------


ROWS = pd.DataFrame([
    row("weight", 0.2, 0.1, 0.3, mark="a", cell="E012"),
    row("weight", 0.4, 0.35, 0.45, mark="a", cell="E013"),
    row("weight", -0.5, -0.9, -0.1, mark="b", cell="E012"),
    row("weight", 1.0, mark="c"),
    row("words", "text", mark="a"),
])


def test_a_mean_averages_values_and_both_ends():
    found = recorded_value(ROWS, Query("architectures", "weight", {"mark": "a"}))
    assert (found.estimate, found.low, found.high) == pytest.approx((0.3, 0.225, 0.375))
    assert (found.cells, found.data_source) == (2, ("roadmap",))


@pytest.mark.parametrize(
    ("combine", "triple"),
    [("hull", (-0.5, -0.9, 0.45)), ("lowest", (-0.5, -0.9, -0.1)), ("highest", (0.4, 0.35, 0.45))],
)
def test_other_combinations(combine, triple):
    query = Query("architectures", "weight", {"mark": ("a", "b")}, combine, ("mark", "cell"))
    found = recorded_value(ROWS, query)
    assert (found.estimate, found.low, found.high) == pytest.approx(triple)


def test_rows_that_belong_together_are_averaged_first():
    query = Query("architectures", "weight", {"mark": ("a", "b")}, "highest", per=("mark",))
    found = recorded_value(ROWS, query)
    assert (found.estimate, found.low, found.high) == pytest.approx((0.3, 0.225, 0.375))


def test_differences_take_the_ends_farthest_apart():
    query = Query("architectures", "weight", {"mark": "a", "cell": "E013"},
                    minus=Query("architectures", "weight", {"mark": "b"}))
    found = recorded_value(ROWS, query)
    assert (found.estimate, found.low, found.high) == pytest.approx((0.9, 0.45, 1.35))


def test_what_was_not_recorded_is_none():
    assert recorded_value(ROWS, Query("architectures", "weight", {"mark": "z"})) is None
    assert recorded_value(ROWS, Query("data", "weight", {"mark": "a"})) is None
    assert recorded_value(ROWS, Query("architectures", "words", {"mark": "a"})) is None
    no_such_tag = Query("architectures", "weight", {"mark": "a", "colour": "red"})
    assert recorded_value(ROWS, no_such_tag) is None
    assert recorded_value(pd.DataFrame(), Query("architectures", "weight")) is None
    untagged = recorded_value(ROWS, Query("architectures", "weight", {"cell": None}))
    assert untagged.estimate == 1
    assert not untagged.has_interval


def gains(values, **tags):
    return pd.DataFrame([
        row("gain", value, value - 0.001, value + 0.001, cell=f"E{number:03d}", **tags)
        for number, value in enumerate(values)
    ])


def test_from_five_cell_types_on_the_cell_type_is_the_unit():
    values = [0.01, 0.02, 0.03, 0.04, 0.05]
    found = recorded_value(gains(values), Query("architectures", "gain"))
    half = 2.7764451 * np.std(values, ddof=1) / np.sqrt(5)
    assert (found.low, found.estimate, found.high) == pytest.approx(
        (0.03 - half, 0.03, 0.03 + half))
    assert found.cells == 5
    few = recorded_value(gains(values[:4]), Query("architectures", "gain"))
    assert (few.low, few.high) == pytest.approx((0.024, 0.026))


def test_a_recorded_mean_over_cell_types_goes_first():
    rows = pd.concat([gains([0.1, 0.3]), pd.DataFrame([row("gain", 0.2, 0.0, 0.4, cell="mean")])])
    found = recorded_value(rows, Query("architectures", "gain"))
    assert (found.estimate, found.low, found.high, found.cells) == (0.2, 0.0, 0.4, 2)


def test_measured_rows_go_before_simulated_ones():
    rows = pd.concat([gains([0.1]), gains([0.9, 0.8]).assign(data_source="simulated")])
    assert recorded_value(rows, Query("architectures", "gain")).estimate == 0.1
    made_up = recorded_value(rows.iloc[1:], Query("architectures", "gain"))
    assert made_up.data_source == ("simulated",)


def test_the_share_of_cell_types_with_a_positive_value_has_wilsons_interval():
    rows = gains([0.1] * 6 + [-0.2], mark="H3K4me3")
    found = recorded_value(rows, Query("architectures", "gain", {}, "positive_share", ("mark",)))
    assert (found.estimate, found.low, found.high) == pytest.approx(
        (6 / 7, 0.4868728, 0.9743212), abs=1e-6)
    assert found.cells == 7
    other = pd.concat([rows, gains([0.1] * 2 + [-0.2] * 5, mark="H3K4me1")])
    both = recorded_value(other, Query("architectures", "gain", {}, "positive_share", ("mark",)))
    assert both == found  # of two marks that with the larger share, and not a mean of both


def test_a_tag_decides_only_where_rows_have_it():
    query = Query("architectures", "gain", prefer={"study": "five_marks"})
    rows = pd.concat([gains([0.1], study="five_marks"), gains([0.5], study="fifteen")])
    assert recorded_value(rows, query).estimate == 0.1
    assert recorded_value(gains([0.5]), query).estimate == 0.5


def test_size_without_sign():
    assert abs(RecordedValue(-0.1, -0.2, -0.05, 1, ())).low == 0.05
    assert abs(RecordedValue(-0.1, -0.2, 0.05, 1, ())).low == 0
    assert abs(RecordedValue(-0.1, -0.2, 0.05, 1, ())).high == 0.2


# the authors' runs -----------------------------------------------------------------------------


@pytest.mark.parametrize(("claim", "estimate", "low", "high", "cells"), [
    ("network_level", 0.770, 0.770, 0.770, 55),
    ("linear_level", 0.776, 0.776, 0.776, 56),
    ("all_cells_help", 0.039, 0.028, 0.051, 55),
    ("cell_type_independent", 0.038, 0.028, 0.051, 55),
    ("correlation_unrelated", 0.014, -0.138, 0.153, 55),
    ("promoter_weights", 54 / 56, 0.879, 0.990, 56),
    ("enhancer_weights", 40 / 56, 0.585, 0.816, 56),
    ("repressor_weights", 1 / 56, 0.003, 0.094, 56),
])
def test_the_released_runs_are_evidence(claim, estimate, low, high, cells):
    found = authors_values()[claim]
    assert (found.estimate, found.low, found.high) == pytest.approx(
        (estimate, low, high), abs=0.0016)
    assert (found.cells, found.data_source) == (cells, ("published",))


def test_the_released_variants_are_open_at_the_margin():
    values = claims.claim_values(pd.DataFrame()).set_index(["claim", "condition"])
    assert values.loc[("variants_alike", AUTHORS), "outcome"] == "open"


# verdicts --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("released", "numeric", "expected"),
    [
        ((0.001, 0.004), (0.002, 0.004), "supported"),
        ((0.03, 0.005), (0.04, 0.005), "contradicted"),
        ((0.001, 0.004), (0.04, 0.005), "depends on the labels"),
        ((0.04, 0.005), (0.001, 0.004), "depends on the labels"),
        ((0.01, 0.01), (0.04, 0.005), "contradicted"),
        ((0.01, 0.01), (0.001, 0.004), "supported"),
        ((0.01, 0.01), (0.01, 0.01), "undecided"),
    ],
)
def test_the_verdict_follows_from_the_intervals(released, numeric, expected):
    assert judged(differences(released, numeric))["verdict"] == expected


@pytest.mark.parametrize("open_one", ["released", "numeric", AUTHORS])
def test_an_open_condition_treats_both_directions_alike(open_one):
    others = [name for name in ("released", "numeric", AUTHORS) if name != open_one]
    for outcome, named in (("holds", "supported"), ("fails", "contradicted")):
        assert rule.verdict({open_one: "open", **dict.fromkeys(others, outcome)}) == named


@pytest.mark.parametrize(("outcomes", "expected"), [
    ({"released": "holds", "numeric": "fails"}, "labels"),
    ({"numeric_tuned": "holds", "numeric_strand": "fails"}, "strand"),
    ({"numeric": "holds", "numeric_tuned": "fails"}, "budget"),
    ({AUTHORS: "holds", "released": "fails"}, "cell types"),
    ({AUTHORS: "holds", "released_tuned": "fails", "numeric_tuned": "fails"},
     "budget or cell types"),
    ({"released": "holds", "numeric": "fails", "released_tuned": "fails", "numeric_tuned": "holds"},
     "labels or budget"),
])
def test_what_a_verdict_depends_on_is_what_tells_the_conditions_apart(outcomes, expected):
    assert rule.verdict(outcomes) == f"depends on the {expected}"


def test_the_released_score_alone_decides_nothing():
    assert rule.verdict({"released_score": "fails"}) == "undecided"
    assert rule.verdict({"released_score": "fails", "numeric": "holds"}) == "supported"


def test_fits_that_did_not_converge_cannot_decide():
    late = judged(differences((0.04, 0.001), (0.04, 0.001), share=0.5))
    assert late["verdict"] == "undecided"
    assert "not converged: released labels (1), numeric labels (1)" in late["conditions"]
    assert "longer training" in late["missing"]
    unknown = differences((0.04, 0.001), (0.04, 0.001))
    unknown = judged(unknown[unknown["key"] != "converged"])
    assert "convergence not recorded: released labels" in unknown["conditions"]
    never = dict.fromkeys(("released", "numeric"), "not converged")
    assert rule.verdict(never) == "undecided (not converged)"


def test_only_the_label_rule_whose_fits_are_late_is_left_out():
    rows = differences((0.04, 0.001), (0.001, 0.001))
    shares = [row("converged", share, model="deepchrome_max", recipe="paper", labels=labels)
              for labels, share in (("lexicographic", 0.2), ("numeric", 1.0))]
    rows = pd.concat([rows[rows["key"] != "converged"], pd.DataFrame(shares)])
    assert judged(rows)["verdict"] == "supported"


def test_without_a_run_the_authors_runs_judge():
    table = claims.scorecard(pd.DataFrame()).set_index("claim")
    assert len(table) == len(CLAIMS)
    assert table.loc["all_cells_help", "verdict"] == "supported"
    assert table.loc["all_cells_help", "cells"] == 55
    assert table.loc["counts_are_enough", "verdict"] == "undecided"
    assert table.loc["counts_are_enough", "conditions"].startswith("nothing recorded")


def test_a_gain_below_the_margin_is_no_better():
    (claim,) = (one for one in CLAIMS if one.id == "all_cells_help")
    for low, high, outcome in ((-0.003, 0.002, "fails"), (0.02, 0.05, "holds"), (0, 0.05, "open")):
        value = RecordedValue((low + high) / 2, low, high, 7, ("roadmap",))
        assert rule.evidence(value, claim.region) == outcome


def test_simulated_cell_types_decide_nothing():
    found = judged(differences((0.04, 0.005), (0.04, 0.005), source="simulated"))
    assert found["verdict"] == "undecided"
    assert "simulated: released labels (1)" in found["conditions"]
    assert "measured cell types" in found["missing"]


def test_a_mean_over_few_cells_is_not_compared_with_the_papers_mean():
    tags = {"model": "linear", "recipe": "paper", "restarts": "best_of_all",
            "scoring": "probability"}
    def rows(cells):
        return pd.DataFrame([
            row("auroc", 0.9, 0.89, 0.91, chapter="linear_baseline", labels=labels,
                cell=f"E{number:03d}", **tags)
            for labels in ("lexicographic", "numeric") for number in range(cells)
        ])
    few = judged(rows(2), "linear_level")
    assert few["verdict"] == "supported"  # by the authors' runs
    assert "too few cell types: released labels (2), numeric labels (2)" in few["conditions"]
    many = judged(rows(20), "linear_level")
    assert many["verdict"] == "depends on the cell types"


def test_the_probe_is_judged_by_the_pairs_of_both_generators():
    ranges = {"histone_gan": (0.2, 0.4), "histone_likelihood": (-0.3, -0.1)}
    rows = pd.DataFrame([
        row("mark_activation", 0.1, *ends, chapter="gan_probe", mark="H3K4me1", labels=labels,
            model=model, cell="E012", unit="reads", **{"class": "high"})
        for labels in ("lexicographic", "numeric")
        for model, ends in {**ranges, "both_generators": (-0.3, 0.4)}.items()
    ])
    assert judged(rows, "probe_enhancer")["verdict"] == "undecided"
    of_one = rows[rows["model"] == "histone_gan"].drop(columns="model")
    assert judged(of_one, "probe_enhancer")["verdict"] == "supported"


@pytest.mark.parametrize(("ends", "expected", "n"), [
    ((0.1, 0.3), "supported", 2), ((-0.1, 0.3), "supported", 1),
    ((-0.3, -0.1), "depends on the cell types", 2)])
def test_the_probe_of_peaks_is_evidence_beside_that_of_reads(ends, expected, n):
    rows = pd.DataFrame([
        row("mark_activation", sum(range_) / 2, *range_, chapter="gan_probe", mark="H3K4me3",
            labels=labels, model="both_generators", cell=cell, unit=unit, **{"class": "high"})
        for labels in ("lexicographic", "numeric")
        for cell, unit, range_ in (("E012", "reads", (0.2, 0.4)), ("E003", "peak signal", ends))
    ])
    found = judged(rows, "probe_high")
    assert (found["verdict"], found["cells"]) == (expected, n)


@pytest.mark.parametrize(("random", "expected"), [(0.2, "supported"), (0.4, "supported"),
                                                  (0.31, "contradicted")])
def test_random_inputs_may_differ_in_either_direction(random, expected):
    rows = pd.DataFrame([
        row("mean_positive_probability", value, value - 0.001, value + 0.001, chapter="gan_probe",
            input=kind, labels=labels, cell="E012", unit="reads")
        for labels in ("lexicographic", "numeric")
        for kind, value in (("real", 0.3), ("random", random))
    ])
    found = judged(rows, "random_unlike_real")
    assert (found["verdict"], found["cells"]) == (expected, 1)


@pytest.mark.parametrize(
    ("interval", "region", "expected"),
    [((1, 0.5, 1.5), (0, inf), "holds"), ((1, 0.5, 1.5), (2, 3), "fails"),
     ((1, 0.5, 1.5), (1, 3), "open"), ((0, 0, 0), (0, 1), "holds")],
)
def test_outcomes(interval, region, expected):
    assert rule.evidence(RecordedValue(*interval, 1, ()), region) == expected
    assert rule.evidence(None, region) == "nothing recorded"


def test_the_claims_are_complete_and_can_be_queried():
    assert len({one.id for one in CLAIMS}) == len(CLAIMS) >= 20
    assert len({one.words for one in CLAIMS}) == len(CLAIMS)
    for one in CLAIMS:
        assert one.region[0] < one.region[1]
        assert set(one.queries) <= set(CONDITIONS)
        assert one.where.startswith(("abstract", "contribution", "section"))
        assert len(one.short) <= 42  # on one line of the picture


# the reference run -----------------------------------------------------------------------------


ABOUT = {"date": "2026-01-01", "version": "0.1.0", "profile": "quick", "cells": ["E012"],
         "commit": "0", "data_source": "roadmap", "chapters": {}, "versions": {}}


def test_a_reference_run_is_written_small_and_read_back(tmp_path):
    rows = [
        {"key": "auroc", "value": 0.123456789012, "low": None, "high": None, "n": 3,
         "chapter": "data", "profile": "quick", "data_source": "roadmap", "hash": "abc",
         "fingerprint": "x", "parameters": {"seed": 0}, "seeds": {}, "versions": {"a": "1"},
         "cell": "E012"},
    ]
    tool.write_reference(rows, ABOUT | {"code": code_digest()}, tmp_path / "reference")
    kept = json.loads((tmp_path / "reference" / "results.json").read_text())
    assert kept == [{"key": "auroc", "value": 0.1234568, "n": 3, "chapter": "data",
                     "data_source": "roadmap", "cell": "E012"}]
    found = load_reference(tmp_path / "reference")
    assert len(found.results) == 1
    assert not found.stale
    assert found.sentence() == "E012; run on 2026-01-01; version 0.1.0; profile quick"
    assert sorted(path.name for path in (tmp_path / "reference").iterdir()) == [
        "provenance.json", "results.json"
    ]


def test_chapters_of_an_earlier_run_stay_with_what_produced_them(tmp_path):
    old = [{"key": "a", "value": n, "chapter": name} for n, name in enumerate(("data", "mnist"))]
    before = ABOUT | {"code": "old", "chapters": {"data": {"hash": "1"}, "mnist": {"hash": "2"}}}
    tool.write_reference(old, before, tmp_path)
    run = {"date": "2026-02-02", "cells": ["E012", "E013"], "profile": "reference", "code": "new"}
    after = ABOUT | run | {"chapters": {"data": run | {"hash": "3"}}}
    rows, about = tool.with_earlier([{"key": "a", "value": 5, "chapter": "data"}], after,
                                    ["mnist"], tmp_path)
    assert [(row["chapter"], row["value"]) for row in rows] == [("data", 5), ("mnist", 1)]
    kept = about["chapters"]["mnist"]
    assert (kept["hash"], kept["date"], kept["cells"]) == ("2", "2026-01-01", ["E012"])
    tool.write_reference(rows, about, tmp_path)
    found = load_reference(tmp_path)
    assert found.earlier == ["mnist"]
    assert "E012, E013; run on 2026-02-02 (mnist on 2026-01-01);" in found.sentence()
    about["chapters"]["audit"] = kept | {"date": "2026-01-15"}
    tool.write_reference(rows, about, tmp_path)
    assert "(audit, mnist on 2026-01-01 to 2026-01-15);" in (
        load_reference(tmp_path).sentence().replace("mnist, audit", "audit, mnist"))
    with pytest.raises(BuildError, match="no earlier run of gan_probe"):
        tool.with_earlier(rows, after, ["gan_probe"], tmp_path)


def test_no_or_broken_reference_run(tmp_path):
    assert load_reference(tmp_path) is None
    with pytest.raises(BuildError, match="recorded nothing"):
        tool.write_reference([], ABOUT, tmp_path)
    (tmp_path / "results.json").write_text("[")
    with pytest.raises(DataError, match="restore it from git"):
        load_reference(tmp_path)


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    return shutil.copytree(Path(dc2lib.__file__).parent, tmp_path_factory.mktemp("own") / "dc2lib")


@pytest.mark.parametrize(
    ("file", "decides"),
    [("models/deepchrome.py", True), ("training/fit.py", True), ("fast/fused_step.py", True),
     ("evaluation/scores.py", True), ("labels.py", True), ("label_audit.py", False),
     ("probing/optimise.py", False)],
)
def test_the_digest_follows_the_decisive_modules(library, file, decides):
    before, text = code_digest(library), (library / file).read_text()
    (library / file).write_text(f"{text}\nADDED = 1\n")
    assert (code_digest(library) != before) == decides
    (library / file).write_text(text)
    assert code_digest(library) == before


def test_a_reference_run_that_contradicts_the_front_page_says_so():
    rows = [row("judge_lead", value, value - 0.05, value + 0.1, chapter="mnist_visualization",
                judge="a", source="mnist", method=method)
            for method, value in (("a", 0.1), ("b", 0.02))]
    assert tool._front_page_findings(rows[:1]) == []
    assert tool._front_page_findings(rows) == [
        "index: finding sampled-not-optimised does not hold"]


# the README ------------------------------------------------------------------------------------


def test_a_chapter_executed_alone_takes_along_those_whose_results_it_reads():
    def job(name, *needs):
        return SimpleNamespace(name=name, needs=needs)

    jobs = [job("data"), job("nets", "data"), job("audit", "nets", "elsewhere"), job("other")]
    known = {one.name: one for one in jobs}
    names = [one.name for one in tool._with_needed([known["audit"]], known)]
    assert names == ["data", "nets", "audit"]


def test_the_readme_shows_the_committed_reference_run():
    readme = (tool.build.ROOT / "README.md").read_text()
    block = tool.readme_block(tool.build.ROOT)
    assert readme == between_marks(readme, tool.BEGIN, tool.END, block), (
        "the README's table differs from book/reference: python -m tools.reference --readme"
    )


def test_the_block_is_made_of_the_reference_run(tmp_path):
    (tmp_path / "book").mkdir()
    assert "No reference run" in tool.readme_block(tmp_path)
    rows = [{key: word for key, word in one.items() if word == word}
            for one in differences((0.001, 0.004), (0.04, 0.005)).to_dict("records")]
    tool.write_reference(rows, ABOUT | {"code": "any"}, tmp_path / "book" / "reference")
    text = tool.readme_block(tmp_path)
    assert "| claim | paper | verdict | cell types |" in text
    assert "| 0.77 against 0.77 | depends on the labels | 1 |" in text
    assert "E012, 2026-01-01" in text
    whole = f"before\n{tool.BEGIN}\nwhat stood here\n{tool.END}\nafter\n"
    (tmp_path / "README.md").write_text(whole)
    tool.write_readme(tmp_path)
    written = (tmp_path / "README.md").read_text()
    assert written.startswith("before\n")
    assert written.endswith("\nafter\n")
    assert "what stood here" not in written
    with pytest.raises(BuildError, match="needs the lines"):
        between_marks("no marks", tool.BEGIN, tool.END, "text")
