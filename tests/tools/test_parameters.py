"""The table of parameters is read from the chapters and the profiles."""

import json

from dc2parameters import costs_markdown

from tools.parameters import costs, parameter_tables


def test_a_row_has_default_and_what_each_profile_sets(book):
    (book / "book" / "profiles" / "smoke.yml").write_text("first:\n  rate: 0.1\n")
    tables = parameter_tables(book)
    assert [table["chapter"] for table in tables] == ["first", "second"]
    rows = {row["name"]: row for row in tables[0]["parameters"]}
    assert rows["rate"]["default"] == 0.5
    assert rows["rate"]["values"] == {"smoke": 0.1, "quick": None}
    assert rows["seed"]["values"] == {"smoke": None, "quick": 3}
    assert rows["profile"]["values"]["smoke"] == "`PROFILE=`"


def write_run(book, chapter, key, **about):
    folder = book / "_build" / "executed" / chapter / key
    folder.mkdir(parents=True)
    parameters = {"profile": about["profile"], "data": "simulated", "seed": 0, "rate": 0.5}
    parameters |= {"words": "", **about.pop("given", {})}
    run = {"chapter": chapter, "parameters": parameters, **about}
    (folder / "run.json").write_text(json.dumps(run))


def test_the_newest_execution_of_each_profile_counts(book):
    write_run(book, "first", "aa", profile="smoke", started=1, duration=9, data_source="simulated")
    write_run(book, "first", "ab", profile="smoke", started=2, duration=7.04, data_source="roadmap")
    write_run(book, "first", "ac", profile="smoke", started=3)
    reference = {
        "profile": "quick",
        "chapters": {"first": {"seconds": 641.2, "data_source": "roadmap"}},
    }
    (book / "book" / "reference").mkdir()
    (book / "book" / "reference" / "provenance.json").write_text(json.dumps(reference))
    found = costs(book)
    assert [(c["profile"], c["seconds"], c["where"]) for c in found] == [
        ("quick", 641.2, "reference run"),
        ("smoke", 7.0, "here"),
    ]
    text = costs_markdown(found)
    row = "| `first` | 7 s (measured cell types) | 11 min (measured cell types, reference run) |"
    assert row in text
    write_run(book, "second", "ba", profile="smoke", started=4, duration=8, data_source="roadmap")
    assert "| one after another | 15 s | 11 min |" in costs_markdown(costs(book))
    reference["profile"] = "reference"
    reference["chapters"]["first"]["profile"] = "quick"
    (book / "book" / "reference" / "provenance.json").write_text(json.dumps(reference))
    assert costs(book)[:2] == found, "a chapter that was kept of an earlier run has its own profile"


def test_a_run_that_trained_what_the_newest_found_is_named(book):
    about = {"profile": "smoke", "data_source": "simulated"}
    write_run(book, "first", "aa", started=1, duration=90, **about)
    write_run(book, "first", "ab", started=2, duration=7, **about)
    (found,) = costs(book)
    assert (found["seconds"], found["longest"]) == (7.0, 90.0)
    assert "| 7 s (up to 2 min, simulated cell types) |" in costs_markdown([found])


def test_an_execution_with_other_parameters_does_not_count(book):
    about = {"profile": "smoke", "data_source": "simulated"}
    write_run(book, "first", "aa", started=1, duration=7, **about)
    write_run(book, "first", "ab", started=2, duration=99, given={"rate": 0.9}, **about)
    write_run(book, "gone", "ac", started=3, duration=1, **about)
    write_run(book, "first", "ad", started=4, duration=1, profile="gone", data_source=None)
    assert [cost["seconds"] for cost in costs(book)] == [7]
