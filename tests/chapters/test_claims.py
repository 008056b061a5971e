"""The ledger: queries, the verdict rule, tables, the reference run, the README's block."""

import json
import shutil
from math import inf
from pathlib import Path

import pandas as pd
import pytest
from dc2book import claims
from dc2book.claims import verdicts as rule
from dc2book.claims.paper import CLAIMS, CONDITIONS
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


def differences(released, numeric, source="roadmap"):
    """Recorded rows about the network and the linear model: (value, half width) a label rule."""
    stages = {"probability_score": released, "numeric_labels": numeric}
    return pd.DataFrame([
        row("stage_lead", value, value - half, value + half, stage=stage, source=source,
            chapter="audit", model="deepchrome_max", reference="linear", cell="E012")
        for stage, (value, half) in stages.items()
    ])


def judged(results, claim="linear_as_good"):
    table = claims.ledger(results)
    return table[table["claim"] == claim].iloc[0]


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
    assert (found.rows, found.cells, found.data_source) == (2, 2, ("roadmap",))


@pytest.mark.parametrize(
    ("combine", "triple"),
    [("hull", (-0.5, -0.9, 0.45)), ("lowest", (-0.5, -0.9, -0.1)), ("highest", (0.4, 0.35, 0.45))],
)
def test_other_combinations(combine, triple):
    found = recorded_value(ROWS, Query("architectures", "weight", {"mark": ("a", "b")}, combine))
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


# verdicts --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("released", "numeric", "expected"),
    [
        ((0.001, 0.004), (0.002, 0.004), rule.REPLICATED),
        ((0.03, 0.005), (0.04, 0.005), rule.NOT_REPLICATED),
        ((0.001, 0.004), (0.04, 0.005), rule.DEPENDS),
        ((0.04, 0.005), (0.001, 0.004), rule.DEPENDS),
        ((0.01, 0.01), (0.04, 0.005), rule.NOT_REPLICATED),
        ((0.01, 0.01), (0.001, 0.004), rule.UNJUDGED),
        ((0.01, 0.01), (0.01, 0.01), rule.UNJUDGED),
    ],
)
def test_the_verdict_follows_from_the_intervals(released, numeric, expected):
    found = judged(differences(released, numeric))
    assert found["verdict"] == expected
    assert found["data"] == "roadmap"
    assert "[" in found["numeric"]


def test_nothing_recorded_cannot_be_judged():
    table = claims.ledger(pd.DataFrame())
    assert set(table["verdict"]) == {rule.UNJUDGED}
    assert set(table["reason"]) == {"nothing recorded"}
    assert len(table) == len(CLAIMS)


def test_a_mean_over_few_cells_is_not_compared_with_the_papers_mean():
    tags = {"model": "linear", "recipe": "paper", "orientation": "genome",
            "scoring": "probability"}
    rows = [row("mean_auroc", 0.77, 0.76, 0.78, labels=labels, **tags)
            for labels in ("lexicographic", "numeric")]
    few = pd.DataFrame(rows).assign(n=2)
    assert "needs 20 cell types, has 2" in judged(few, "linear_level")["reason"]
    assert judged(few.assign(n=56), "linear_level")["verdict"] == rule.REPLICATED
    made_up = few.assign(n=56, data_source="simulated")
    assert "the simulator sets it" in judged(made_up, "linear_level")["reason"]


def test_claims_without_labels():
    rows = pd.DataFrame([
        row("heat_map_similarity", 0.8, chapter="data", split=split, transform="raw")
        for split in ("valid", "test")
    ]).assign(n=56)
    assert judged(rows, "splits_alike")["verdict"] == rule.REPLICATED
    assert judged(rows.assign(value=0.2), "splits_alike")["verdict"] == rule.NOT_REPLICATED


@pytest.mark.parametrize(
    ("interval", "region", "expected"),
    [((1, 0.5, 1.5), (0, inf), "holds"), ((1, 0.5, 1.5), (2, 3), "fails"),
     ((1, 0.5, 1.5), (1, 3), "open"), ((0, 0, 0), (0, 1), "holds")],
)
def test_outcomes(interval, region, expected):
    assert rule.outcome(RecordedValue(*interval, 1, 1, (), True), region) == expected
    assert rule.outcome(None, region) == "missing"


def test_the_claims_are_complete_and_can_be_queried():
    assert len({one.id for one in CLAIMS}) == len(CLAIMS) >= 15
    for one in CLAIMS:
        assert one.holds[0] < one.holds[1]
        assert set(one.queries) <= set(CONDITIONS)
        assert "any" in one.queries or {"released", "numeric"} <= set(one.queries)
        assert one.where.startswith(("abstract", "contribution", "section"))


def test_build_and_reference_stay_apart():
    build = differences((0.001, 0.004), (0.001, 0.004), source="simulated")
    real = differences((0.001, 0.004), (0.04, 0.005))
    table = claims.ledger(build, real)
    one = table[table["claim"] == "linear_as_good"].set_index("run")
    assert one.loc["build", "verdict"] == rule.REPLICATED
    assert one.loc["reference", "verdict"] == rule.DEPENDS
    assert one.loc["build", "data"] == "simulated"
    assert one.loc["reference", "data"] == "roadmap"
    summary = claims.summary_table(table)
    assert list(summary.columns) == ["claim", "this build", "reference run"]
    assert claims.verdict_counts(table, "reference").startswith("1 depends on the labels")
    assert len(claims.evidence_table(table, "reference")) == len(CLAIMS)


def test_verdicts_with_little_to_spare_are_named():
    narrow = claims.ledger(differences((0.001, 0.004), (-0.03, 0.005)))
    assert judged(differences((0.001, 0.004), (-0.03, 0.005)))["spare"] == pytest.approx(0.005)
    text = claims.narrow_verdicts(narrow, "build")
    assert "A linear model of 12" in text and "released labels 0.001 [−0.003, 0.005]" in text
    far = claims.ledger(differences((-0.05, 0.004), (-0.03, 0.005)))
    assert claims.narrow_verdicts(far, "build").startswith("none is replicated")
    assert claims.narrow_verdicts(narrow, "reference").startswith("none")


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
    assert found.sentence() == "E012; 2026-01-01; version 0.1.0; profile quick"
    assert sorted(path.name for path in (tmp_path / "reference").iterdir()) == [
        "provenance.json", "results.json"
    ]


def test_an_outdated_reference_run_says_so(tmp_path):
    tool.write_reference([{"key": "a", "value": 1}], ABOUT | {"code": "old"}, tmp_path)
    found = load_reference(tmp_path)
    assert found.stale
    assert "run `make reference` again" in found.sentence()


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


# the README ------------------------------------------------------------------------------------


def test_the_readme_shows_the_committed_reference_run():
    readme = (tool.build.ROOT / "README.md").read_text()
    block = tool.readme_block(tool.build.ROOT)
    assert readme == between_marks(readme, tool.BEGIN, tool.END, block), (
        "the README's table differs from book/reference: python -m tools.reference --readme"
    )


def test_the_block_is_made_of_the_reference_run(tmp_path):
    (tmp_path / "book").mkdir()
    assert "No reference run" in tool.readme_block(tmp_path)
    rows = differences((0.001, 0.004), (0.04, 0.005)).to_dict("records")
    tool.write_reference(rows, ABOUT | {"code": "any"}, tmp_path / "book" / "reference")
    text = tool.readme_block(tmp_path)
    assert "| claim | reference run |" in text
    assert "| **depends on the labels** (holds under released" in text
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
