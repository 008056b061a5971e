"""What readers take away runs elsewhere, and addresses are set in one place."""

import inspect
import io
import json
import re
import subprocess
import sys
import zipfile

import nbformat
import pytest

from tools import errors, publish

URL = "https://github.com/someone/deepchrome-book"


def executed_notebook():
    new = nbformat.v4
    cells = [
        new.new_markdown_cell("# A chapter"),
        new.new_code_cell('data = "auto"  # where from', metadata={"tags": ["parameters"]}),
        new.new_code_cell(
            '# Parameters\nprofile = "quick"\ndata = "roadmap"\nseed = 3\ncells = "liver"\n',
            metadata={"tags": ["injected-parameters"]},
        ),
        new.new_code_cell("1 + 1", outputs=[new.new_output("stream", text="2")]),
    ]
    return nbformat.writes(new.new_notebook(cells=cells)).encode()


def taken(url=URL):
    return nbformat.reads(publish.notebook_to_take(executed_notebook(), url).decode(), as_version=4)


def test_the_first_code_cell_installs_dc2lib_or_says_what_to_do(monkeypatch):
    nbformat.validate(taken())
    called = []
    monkeypatch.setattr(subprocess, "run", lambda command, check: called.append(command))
    exec(taken().cells[1].source.replace('"dc2lib"', '"absent_dc2lib"'), {})
    assert called == [[sys.executable, "-m", "pip", "install", "--quiet", f"git+{URL}"]]
    with pytest.raises(ModuleNotFoundError, match="clone the repository"):
        exec(taken(url="").cells[1].source.replace('"dc2lib"', '"absent_dc2lib"'), {})


def test_injected_data_becomes_what_every_machine_has():
    injected = taken().cells[3].source.splitlines()
    assert injected[2].startswith('data = "auto"  # roadmap in the executed build')
    assert injected[1] == 'profile = "quick"' and injected[3] == "seed = 3"
    assert injected[4].startswith('cells = ""  # liver in the executed build')
    assert taken().cells[2].source == 'data = "auto"  # where from'
    assert taken().cells[4].outputs[0]["text"] == "2"


def exercise_notebook():
    new = nbformat.v4
    cells = [
        new.new_markdown_cell("# Exercises\n\n:::{exercise} One\n:label: ex\nDo it.\n:::\n"),
        new.new_code_cell("profile = 1", metadata={"tags": ["injected-parameters"]}),
        new.new_code_cell("import dc2lib", metadata={"tags": ["hide-input", "setup"]}),
        new.new_code_cell(
            "import io\nread = pd.read_csv(io.StringIO(expression_file), sep='\\t')\n"
            "genes = list(csv.DictReader(StringIO(gene_file)))"
        ),
        new.new_code_cell("2", outputs=[new.new_output("stream", text="2")], execution_count=3),
        new.new_code_cell("3", metadata={"tags": ["solution"]}),
        new.new_markdown_cell(
            ":::{solution} ex\n:class: dropdown\nLike this.\n:::\n\nNext.\n\n"
            "## Key takeaways\n\nAll."
        ),
        new.new_code_cell("provenance()", metadata={"tags": ["remove-input"]}),
    ]
    return nbformat.writes(new.new_notebook(cells=cells)).encode()


def test_a_class_gets_the_notebook_without_solutions_and_outputs():
    cells = nbformat.reads(
        publish.without_solutions(exercise_notebook()).decode(), as_version=4).cells
    text = "\n".join(cell.source for cell in cells)
    assert "Do it." in text and "Next." in text
    assert "Like this." not in text
    assert "3" not in [cell.source for cell in cells]
    assert not [cell for cell in cells if cell.get("outputs")]


def test_the_exercises_in_finding_errors_run_from_their_files_alone(tmp_path, monkeypatch):
    archive = zipfile.ZipFile(io.BytesIO(publish.class_bundle(exercise_notebook())))
    archive.extractall(tmp_path)
    monkeypatch.chdir(tmp_path)
    cells = nbformat.read(tmp_path / "find_the_error.ipynb", as_version=4).cells
    names = {}
    for cell in cells:
        if cell.cell_type == "code":
            exec(cell.source, names)
    assert len(names["genes"]) == 30
    assert names["read"].iloc[:, -1].isna().all()  # the error is still in the file
    text = "\n".join(cell.source for cell in cells)
    assert "dc2lib" not in text and "All." not in text and "Next." in text


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("{glue:text}`n:,` {term}`genes <gene>`, {numref}`fig-all` {cite:p}`singh2016deepchrome`",
         "1,500 genes, Figure *all* (Singh 2016)"),
        ("[the audit](audit.md#x), [](data.md)", "[the audit](https://b.org/audit.html#x), "
         "[data](https://b.org/data.html)"),
        ("(here)=\n<!-- figure: all -->\nText", "Text"),
        ("{glue:text}`x:.0%` of {glue:text}`z:.0f`", "not computed here of `z`"),
        (":::{exercise} One\n:label: ex\nDo *it*.\n\nAll.\n:::\nNext",
         "> **Exercise: One**\n>\n> Do *it*.\n>\n> All.\nNext"),
        ("::::{admonition} Hint\n:class: dropdown\n:::{tip} Look\n{term}`Here`.\n:::\n::::",
         "<details><summary>Hint</summary>\n\n> **Look**\n>\n> Here.\n\n</details>"),
        (":::{quiz}\nWhy?\n\n- [ ] A.\n\n  No.\n- [x] B.\n\n  Yes.\n:::",
         "**Question.** Why?\n\n- A.\n- B.\n\n<details><summary>Answers</summary>\n\n"
         "- Wrong: A.\n\n  No.\n- Right: B.\n\n  Yes.\n\n</details>"),
        ('```{literalinclude} tools/errors.py\n:start-at: "def "\n:end-at: "def "\n```',
         f"```python\n{re.search('def .*', inspect.getsource(errors))[0]}\n```"),
        ("```python\nx = {1: `2`}\n```", "```python\nx = {1: `2`}\n```"),
    ],
)
def test_text_to_take_away_holds_nothing_that_only_the_book_understands(written, read):
    assert publish.plain_markdown(written, {"n": "1500", "x": "nan"}, "https://b.org/") == read


def test_prose_of_a_notebook_to_take_holds_the_values_of_its_run_and_its_figures_captions():
    new, glued = nbformat.v4, f"{publish.GLUE_PREFIX}text/plain"
    outputs = [
        new.new_output("display_data", {glued: "0.25"}, metadata={"scrapbook": {"name": "n"}}),
        new.new_output("display_data", {publish.FIGURE_MIME: {"name": "f", "caption": "All."}}),
    ]
    cells = [new.new_markdown_cell("{glue:text}`n:.1%`"), new.new_code_cell("", outputs=outputs)]
    executed = nbformat.writes(new.new_notebook(cells=cells)).encode()
    taken = nbformat.reads(publish.readable(executed).decode(), as_version=4).cells
    assert taken[0].source == "25.0%"
    assert taken[1].outputs[2].data == {"text/markdown": "**f.** All."}
    assert nbformat.reads(publish.without_solutions(executed), 4).cells[0].source == "25.0%"


def test_the_archive_holds_the_csv_files_and_is_the_same_each_time(tmp_path):
    assert publish.data_archive(tmp_path) is None
    (tmp_path / "waves.csv").write_text("x,y\n1,2\n")
    (tmp_path / "waves.svg").write_text("<svg/>")
    (tmp_path / ".scores.csv").write_text("half")
    archive = publish.data_archive(tmp_path)
    (stored,) = zipfile.ZipFile(io.BytesIO(archive)).infolist()
    assert (stored.filename, stored.compress_type) == ("waves.csv", zipfile.ZIP_DEFLATED)
    assert publish.data_archive(tmp_path) == archive


def test_results_of_chapters_are_merged_in_order(tmp_path):
    runs = {}
    for name in ("first", "second"):
        runs[name] = tmp_path / name
        runs[name].mkdir()
        (runs[name] / "results.jsonl").write_text(json.dumps({"key": name}) + "\n")
    assert publish.merged_results(runs, tmp_path / "results.json") == 2
    rows = json.loads((tmp_path / "results.json").read_text())
    assert [row["key"] for row in rows] == ["first", "second"]
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize(
    ("repository", "pages", "running", "expected"),
    [
        ("", None, None, ("", "")),
        ("", "", "Some/book", ("https://github.com/Some/book", "https://some.github.io/book/")),
        ("https://x.org/a/b/", "https://x.org/p", "c/d", ("https://x.org/a/b", "https://x.org/p/")),
    ],
)
def test_addresses_are_those_of_the_configuration_else_those_of_github(
    repository, pages, running, expected
):
    config = {"repository": {"url": repository}, "html": {"baseurl": pages}}
    environment = {"GITHUB_REPOSITORY": running} if running else {}
    known = publish.addresses(config, environment)
    assert (known.repository, known.pages) == expected


@pytest.mark.parametrize("config", [["html"], None, {}, {"repository": {}, "html": "x"}])
def test_a_configuration_that_is_none_is_told(config):
    with pytest.raises(errors.BuildError, match=r"_config\.yml"):
        publish.addresses(config)
