"""Two runs side by side: what is equal, what differs, what only one of them has."""

import json
import os

import pytest

from tools import compare
from tools.errors import BuildError


def row(key, value, low=None, high=None, chapter="linear_baseline", **tags):
    about = {"profile": "quick", "data_source": "roadmap", "versions": {"numpy": "2.0"}}
    about |= {"parameters": {"seed": 0, "cells": ""}, "hash": "a", "seeds": {"seed": 0}, "n": 9}
    about |= {"fingerprint": "cells abc"}
    result = {"key": key, "value": value, "low": low, "high": high, "chapter": chapter}
    return {**result, **about, **tags}


A = [
    row("auroc", 0.80, 0.78, 0.82, cell="E012", model="linear"),
    row("auroc", 0.90, 0.88, 0.92, cell="E012", model="deepchrome_max"),
    row("verdict", "holds"),
    row("genes", 100),
]
B = [
    row("auroc", 0.81, 0.79, 0.83, cell="E012", model="linear"),
    row("auroc", 0.95, 0.93, 0.97, cell="E012", model="deepchrome_max"),
    row("verdict", "fails"),
    row("cells", 2),
]


def test_values_are_paired_by_chapter_key_and_tags():
    table = compare.compare(A, B).set_index(["key", "tags"])
    linear = table.loc[("auroc", "cell=E012, model=linear")]
    assert linear["difference"] == pytest.approx(0.01)
    assert linear["intervals"] == "overlap"
    network = table.loc[("auroc", "cell=E012, model=deepchrome_max")]
    assert network["difference"] == pytest.approx(0.05)
    assert network["intervals"] == "apart"
    assert table.loc[("verdict", "")]["intervals"] == ""
    assert table["B"].isna().sum() == 1
    assert table["A"].isna().sum() == 1


def test_ignored_tags_do_not_tell_results_apart():
    other = [row("auroc", 0.7, cell="E013", model="linear")]
    assert compare.compare(A[:1], other)["difference"].notna().sum() == 0
    table = compare.compare(A[:1], other, ignored=["cell"])
    assert list(table["tags"]) == ["model=linear"]
    assert table["difference"][0] == pytest.approx(-0.1)


def test_repeated_results_are_paired_in_order():
    twice = [row("auroc", 0.1), row("auroc", 0.2)]
    again = [row("auroc", 0.1), row("auroc", 0.5)]
    assert list(compare.compare(twice, again)["difference"]) == pytest.approx([0.0, 0.3])


def test_a_run_is_equal_to_itself_and_a_key_chooses():
    text = compare.report(A, A)
    assert "4 results in both runs, 4 of them equal; 0 only in A, 0 only in B." in text
    assert "## " not in text
    assert "2 results in both runs" in compare.report(A, B, key="auroc")
    assert "No recorded result" in compare.report(A, B, key="absent")


def test_differing_profiles_data_and_cells_are_named():
    other = [
        {**r, "profile": "smoke", "data_source": "simulated", "cell": "S001",
         "parameters": {"seed": 1, "cells": ""}, "versions": {"numpy": "2.1"}}
        for r in A
    ]
    lines = compare.report(A, other).split("\n\n")[0].splitlines()
    assert "- profile: A quick | B smoke" in lines
    assert "- data source: A roadmap | B simulated" in lines
    assert "- cell: A E012 | B S001" in lines
    assert "- parameters: A linear_baseline.seed = 0 | B linear_baseline.seed = 1" in lines
    assert "- versions: A numpy 2.0 | B numpy 2.1" in lines


def test_missing_values_and_truth_values_have_no_difference():
    table = compare.compare([row("x", None), row("y", True)], [row("x", 1.0), row("y", False)])
    assert table["difference"].isna().all()


def test_runs_are_read_from_files_and_folders(tmp_path):
    (tmp_path / "results.jsonl").write_text("\n".join(map(json.dumps, A)))
    assert len(compare.read_run(tmp_path)) == 4
    (tmp_path / "results.json").write_text(json.dumps(A[:2]))
    assert len(compare.read_run(tmp_path)) == 2
    (tmp_path / "provenance.json").write_text(json.dumps({"profile": "paper", "versions": {}}))
    slim = [{"chapter": "a", "key": "b", "value": 1}]
    (tmp_path / "results.json").write_text(json.dumps(slim))
    assert compare.read_run(tmp_path / "results.json")[0]["profile"] == "paper"


@pytest.mark.parametrize("text", [
    "", "[]", "{}", "[1]", '[{"key": "a"}]', "not json", '[["chapter", "key", "value"]]', "1",
    '[{"chapter": [], "key": "a", "value": 1}]', '[{"chapter": "a", "key": "a", "value": {}}]',
    '[{"chapter": "a", "key": "a", "value": 1, "low": "x", "high": 1}]', "null", "\xff",
    '[{"chapter": "a", "key": "a", "value": 1, "versions": ["numpy"]}]',
])  # fmt: skip
def test_what_holds_no_results_is_refused_by_name(tmp_path, text):
    path = tmp_path / "results.json"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(BuildError, match=r"results\.json holds no"):
        compare.read_run(path)


def test_a_missing_run_is_refused(tmp_path):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    os.mkfifo(tmp_path / "results.json")
    for path in (tmp_path, tmp_path / "absent", tmp_path / "loop", tmp_path / "results.json"):
        with pytest.raises(BuildError, match="is no file"):
            compare.read_run(path)
    (tmp_path / "results.jsonl").write_text(json.dumps(A[0]))
    (tmp_path / "provenance.json").write_text("[1]")
    with pytest.raises(BuildError, match=r"provenance\.json does not say"):
        compare.read_run(tmp_path)
