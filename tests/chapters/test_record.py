"""Recorded results, figures, tables and provenance."""

import base64
import json
import math
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from dc2book.record import (
    context,
    finding,
    provenance,
    record,
    recording,
    report,
    results,
    run_context,
    show_figure,
    show_table,
    showing,
    versions,
)
from dc2book.record.recording import failed_findings
from dc2book.record.showing import drawn_data

from dc2lib.errors import DataError

CONTEXT = {
    "chapter": "data",
    "profile": "smoke",
    "data_source": "simulated",
    "fingerprint": "cells simulated",
    "parameters": {"seed": 4, "n_genes": 10},
    "seeds": {"seed": 4},
    "hash": "ab" * 32,
    "started": 1.0,
}
ALT = "A line that rises from one to two."


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Folder of a run, as the build makes it."""
    monkeypatch.setenv("DC2LIB_RESULTS", str(tmp_path / "results.jsonl"))
    (tmp_path / "run.json").write_text(json.dumps(CONTEXT))
    return tmp_path


@pytest.fixture
def shown(monkeypatch):
    """What would be displayed in a notebook: bundles and their metadata."""
    displayed = []
    monkeypatch.setattr(
        context, "display_bundle", lambda bundle, about=None: displayed.append((bundle, about))
    )
    return displayed


@pytest.fixture
def figure():
    fig, axes = plt.subplots()
    axes.plot([0.0, 1.0], [1.0, 2.0], label="rising")
    return fig


def recorded(run):
    return [json.loads(line) for line in (run / "results.jsonl").read_text().splitlines()]


def test_a_column_can_say_the_quantity_and_a_missing_tag_is_left_out(run, shown):
    table = pd.DataFrame({"key": ["auroc", "share"], "split": ["test", None], "n": [3, 4],
                          "estimate": [0.9, 0.5]})
    recording.record_table(table, None, by=["split"], cell="E012")
    recording.record_range("depth", [3, 1, 2], glue="reads")
    rows = [json.loads(line) for line in (run / "results.jsonl").read_text().splitlines()]
    assert [(row["key"], row.get("split"), row["n"]) for row in rows[:2]] == [
        ("auroc", "test", 3), ("share", None, 4)]
    assert [(row["key"], row["value"]) for row in rows[2:]] == [
        ("depth_lowest", 1), ("depth_highest", 3)]
    glued = [about["scrapbook"]["name"] for _, about in shown]
    assert glued == ["auroc_test", "share", "reads_lowest", "reads_highest"]
    with pytest.raises(DataError, match="auroc: rows are not told apart"):
        recording.record_table(table.assign(key="auroc", split="test"), None)


def test_rows_of_a_cell_type_say_how_many_marks_of_which_unit_were_read(run, shown):
    datasets = {"E003": SimpleNamespace(marks=("H3K4me3", "H3K27me3"), unit="peak signal")}
    table = pd.DataFrame({"cell": ["E003", "mean"], "estimate": [0.9, 0.8]})
    recording.record_table(table, "auroc", datasets=datasets)
    recording.record_table(table, "gap", datasets=datasets, marks=1)
    rows = [[row.get("marks"), row.get("unit")] for row in recorded(run)]
    assert rows == [[2, "peak signal"], [None, None], [1, "peak signal"], [1, None]]
    assert [about["scrapbook"]["name"] for _, about in shown][:2] == ["auroc_E003", "auroc_mean"]


def test_a_row_has_its_value_tags_and_provenance(run):
    record("auroc", np.float64(0.9), low=0.8, high=0.95, n=5442, cell="E012", labels="numeric")
    (row,) = recorded(run)
    assert row.pop("versions") == versions()
    expected = {k: v for k, v in CONTEXT.items() if k != "started"}
    assert row == {
        "key": "auroc",
        "value": 0.9,
        "low": 0.8,
        "high": 0.95,
        "n": 5442,
        "cell": "E012",
        "labels": "numeric",
        **expected,
    }


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (np.float32(0.5), 0.5),
        (np.int64(3), 3),
        (np.bool_(True), True),
        (np.array(2.0), 2.0),
        (np.str_("holds"), "holds"),
        ("holds", "holds"),
    ],
)
def test_values_become_plain_python(run, value, plain):
    record("verdict", value)
    assert recorded(run)[0]["value"] == plain
    assert type(recorded(run)[0]["value"]) is type(plain)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, np.float64("nan")])
def test_values_that_are_not_finite_are_refused(run, value):
    with pytest.raises(DataError, match="not finite"):
        record("auroc", value)
    assert not (run / "results.jsonl").exists()


def test_nan_is_stored_as_null_where_allowed(run):
    record("correlation", math.nan, low=math.nan, high=math.nan, allow_nan=True)
    assert recorded(run)[0]["value"] is None
    assert recorded(run)[0]["low"] is None


@pytest.mark.parametrize("value", [[1.0], {"a": 1}, None, np.zeros(2)])
def test_only_single_values_are_recorded(run, value):
    with pytest.raises(DataError, match="expected one number, word or truth value"):
        record("auroc", value)


def test_intervals_have_two_ends_in_order(run):
    with pytest.raises(DataError, match="both low= and high="):
        record("auroc", 0.5, low=0.4)
    with pytest.raises(DataError, match=r"low=0\.6 lies above high=0\.4"):
        record("auroc", 0.5, low=0.6, high=0.4)


@pytest.mark.parametrize(
    "tags",
    [
        {"labels": "text"},
        {"scoring": "softmax"},
        {"recipe": "best"},
        {"class_": "positive"},
        {"split": "testing"},
        {"data_source": "real"},
        {"model": "DeepChrome"},
        {"experiment": "Inclusive All"},
        {"chapter": "data"},
        {"hash": "x"},
        {"cell": ["E003"]},
    ],
)
def test_tags_take_their_fixed_words_only(run, tags):
    with pytest.raises(DataError):
        record("auroc", 0.5, **tags)


def test_class_is_a_tag_and_a_tag_of_none_is_left_out(run):
    record("weight", 0.1, class_="high", mark="H3K4me3", cell=None)
    row = recorded(run)[0]
    assert row["class"] == "high"
    assert row["mark"] == "H3K4me3"
    assert "cell" not in row


def test_glue_is_what_myst_nb_reads(run, shown):
    extract = pytest.importorskip("myst_nb.ext.glue").extract_glue_data_cell
    from nbformat.v4 import new_code_cell, new_output

    record("auroc", 0.25)
    bundle, about = shown[0]
    cell = new_code_cell(outputs=[new_output("display_data", data=bundle, metadata=about)])
    ((name, output),) = extract(cell)
    assert (name, output.data["text/plain"]) == ("auroc", "0.25")
    assert cell.outputs == []


def test_without_a_build_nothing_is_written(tmp_path, monkeypatch, figure):
    monkeypatch.delenv("DC2LIB_RESULTS", raising=False)
    monkeypatch.chdir(tmp_path)
    record("auroc", 0.5)
    show_figure(figure, "rising", ALT)
    provenance()
    assert run_context()["profile"] == "by hand"
    assert list(tmp_path.iterdir()) == []
    shell = SimpleNamespace(user_ns={"profile": "paper"})
    monkeypatch.setattr("dc2book.record.context.notebook_shell", lambda: shell)
    assert run_context()["profile"] == "paper, by hand"  # its sizes were not set


def test_a_figure_is_shown_and_its_files_are_written(run, shown, figure):
    table = pd.DataFrame({"x": [0, 1], "y": [1, 2]})
    show_figure(figure, "rising", f"{ALT}\n", caption="It *rises*", data=table)
    ((bundle, about),) = shown
    description = bundle[showing.FIGURE_MIME]
    assert description == {
        "name": "rising",
        "alt": ALT,
        "caption": "It *rises*. (Simulated cell types; profile smoke.)",
    }
    assert about == {"image/png": {"alt": ALT}}
    folder = run / "figures"
    assert base64.b64decode(bundle["image/png"]) == (folder / "rising.png").read_bytes()
    assert (folder / "rising.svg").read_text().startswith("<?xml")
    assert (folder / "rising.csv").read_text() == "x,y\n0,1\n1,2\n"
    assert sorted(p.suffix for p in folder.iterdir()) == [".csv", ".png", ".svg"]
    assert not plt.fignum_exists(figure.number)


def test_a_figure_drawn_twice_has_the_same_bytes(run):
    contents = []
    for _ in range(2):
        fig, axes = plt.subplots()
        axes.plot([0, 1], [1, 2])
        show_figure(fig, "lines", ALT)
        contents.append([p.read_bytes() for p in sorted((run / "figures").iterdir())])
    assert contents[0] == contents[1]


def test_drawn_data_reads_lines_points_and_images():
    fig, axes = plt.subplots(1, 2)
    axes[0].plot([0, 1], [2, 3], label="line")
    axes[0].scatter([4, 5], [6, 7], label="points")
    axes[1].imshow(np.array([[1.0, 2.0]]))
    table = drawn_data(fig)
    plt.close(fig)
    assert table["kind"].tolist() == ["line"] * 2 + ["points"] * 2 + ["image"] * 2
    assert table["panel"].tolist() == [0] * 4 + [1] * 2
    assert table["x"].tolist() == [0, 1, 4, 5, 0, 1]
    assert table["y"].tolist() == [2, 3, 6, 7, 0, 0]
    assert table["value"].tolist()[-2:] == [1.0, 2.0]


def test_a_table_is_shown_rounded_and_written_in_full(run, shown):
    table = pd.DataFrame({"model": ["linear"], "AUROC": [-0.98765], "parameters": [644177]})
    show_table(table, "scores", "Scores")
    description = shown[0][0][showing.TABLE_MIME]
    assert description["rows"] == [["linear", "−0.988", "644,177"]]
    assert description["numeric"] == [False, True, True]
    assert description["caption"] == "Scores. (Simulated cell types; profile smoke.)"
    assert (run / "figures" / "scores.csv").read_text().splitlines()[1] == "linear,-0.98765,644177"


def test_a_table_shows_the_pages_word_for_a_rule_and_its_file_the_key(run, shown):
    table = pd.DataFrame({"labels": ["lexicographic"], "lexicographic": ["yes"]})
    show_table(table, "rules", "Rules")
    description = shown[0][0][showing.TABLE_MIME]
    assert description["header"] == ["labels", "released"]
    assert description["rows"] == [["released", "yes"]]
    assert pd.read_csv(run / "figures" / "rules.csv").equals(table)


def test_a_caption_names_the_run_that_its_numbers_come_from(run, shown):
    table = pd.DataFrame({"AUROC": [0.5]})
    show_table(table, "kept", "Scores", data_source="roadmap", profile="reference")
    show_table(table, "theirs", "Scores", data_source="published")
    captions = [one[0][showing.TABLE_MIME]["caption"] for one in shown]
    assert captions == [
        "Scores. (Measured cell types; profile reference.)", "Scores. (Published figures.)"
    ]


def test_results_of_other_chapters_are_a_table(run):
    rows_of_others = [{"key": "auroc", "value": 0.5, "chapter": "linear_baseline"}]
    (run / "inputs.json").write_text(json.dumps(rows_of_others))
    assert results().to_dict("records") == rows_of_others


SCORES = pd.DataFrame(
    [
        ("numeric", "linear", 0.8, 0.7, 0.9, 100),
        ("numeric", "network", 0.85, 0.8, 0.9, 100),
        ("lexicographic", "linear", 0.6, np.nan, np.nan, 100),
    ],
    columns=["labels", "model", "estimate", "low", "high", "n"],
)


def test_a_report_shows_records_and_glues_each_row(run, shown):
    report(SCORES, "scores", "Scores", "auroc", digits=2, scoring="probability")
    found = [{name: row.get(name) for name in ("value", "low", "n", "labels", "model", "scoring")}
             for row in recorded(run)]
    assert found[0] == {"value": 0.8, "low": 0.7, "n": 100, "labels": "numeric",
                        "model": "linear", "scoring": "probability"}
    assert [row["low"] for row in found] == [0.7, 0.8, None]
    names = [about["scrapbook"]["name"] for _, about in shown if about]
    assert names == ["auroc_numeric_linear", "auroc_numeric_network", "auroc_lexicographic_linear"]
    table = shown[-1][0][showing.TABLE_MIME]
    assert table["header"] == ["labels", "model", "AUROC"]
    assert table["rows"][0] == ["numeric", "linear", "0.80 [0.70, 0.90]"]
    assert table["rows"][2] == ["released", "linear", "0.60"]
    assert pd.read_csv(run / "figures" / "scores.csv").equals(SCORES)


def test_a_report_may_be_wide_or_laid_out(run, shown):
    report(SCORES, "wide", "Scores", "auroc", wide="model", names={"network": "DeepChrome"})
    table = shown[-1][0][showing.TABLE_MIME]
    assert table["header"] == ["labels", "linear", "DeepChrome"]
    assert [row[0] for row in table["rows"]] == ["numeric", "released"]
    report(SCORES, "laid", "Scores", "auroc", layout=lambda table: table[["model", "text"]].head(1))
    assert shown[-1][0][showing.TABLE_MIME]["rows"] == [["linear", "0.800 [0.700, 0.900]"]]


@pytest.mark.parametrize(
    ("holds", "value", "mark"),
    [(True, True, "holds here too"), (np.bool_(False), False, "here: -0.1"),
     (None, None, "not computed")],
)
def test_a_finding_is_recorded_and_marked(run, shown, holds, value, mark):
    finding("network-leads", holds, says="-0.1")
    (row,) = recorded(run)
    assert (row["key"], row["name"], row["value"]) == ("finding", "network-leads", value)
    glued = {about["scrapbook"]["name"]: bundle for bundle, about in shown}
    assert mark in next(iter(glued["network-leads"].values()))
    assert bool(failed_findings([row])) is (value is not True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        *(({"name": name}, "figure name") for name in ("Table 2", "a/b", "", "../x", "a__b", None)),
        ({"alt": "line"}, "too short"),
        ({"data": pd.DataFrame()}, "no data behind it"),
        ({"data_source": "real"}, "data_source='real'"),
    ],
)
def test_a_figure_that_cannot_be_shown_is_refused(run, figure, options, message):
    with pytest.raises(DataError, match=message):
        show_figure(**{"fig": figure, "name": "rising", "alt": ALT} | options)
    plt.close(figure)


def test_what_is_malformed_is_refused(run):
    for call, message in (
        (lambda: record("Test AUROC", 0.5), "key 'Test AUROC'"),
        (lambda: finding("Network leads", True), "finding 'Network leads'"),
        (lambda: show_table(pd.DataFrame({"a": []}), "scores", "Scores"), "no rows"),
        (results, "make book"),
    ):
        with pytest.raises(DataError, match=message):
            call()


def test_a_caption_can_name_every_source_of_a_cell_type():
    assert set(recording.VOCABULARY["data_source"]) == set(showing.SOURCE_NAMES)
