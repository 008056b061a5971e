"""The chapters as they are written: headers, parameters, style, and their notebooks."""

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import jupytext
import pytest
import yaml
from sphinx.directives.code import LiteralIncludeReader

from tools.build import Request, plan_build
from tools.chapters import is_chapter, page_names
from tools.errors import BuildError
from tools.notebooks import pair

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "book" / f"{name}.md" for name in page_names(ROOT / "_toc.yml")]
CHAPTERS = [page for page in PAGES if page.exists() and is_chapter(page)]
PROFILES = sorted((ROOT / "book" / "profiles").glob("*.yml"))
each_chapter = pytest.mark.parametrize("source", CHAPTERS, ids=lambda path: path.stem)


def code_cells(source):
    notebook = jupytext.reads(source.read_text(), fmt="md:myst")
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def read_header(source):
    return yaml.safe_load(source.read_text()[4:].split("\n---", 1)[0])


def plain_code(cell):
    lines = cell.source.splitlines()
    return "\n".join(line for line in lines if not line.lstrip().startswith(("%", "!")))


def tags(cell):
    return cell.metadata.get("tags", [])


def test_the_listed_pages_are_those_that_exist():
    assert sorted(PAGES) == sorted((ROOT / "book").glob("*.md"))


@pytest.mark.parametrize("profile", PROFILES, ids=lambda path: path.stem)
def test_profiles_set_declared_parameters_only(profile):
    prints = {"cells": "", "mnist": "", "reference": "", "speed": ""}
    plan_build(ROOT, Request(profile=profile.stem), "simulated", prints)


@each_chapter
def test_the_first_code_cell_holds_explained_parameters(source):
    first = code_cells(source)[0]
    assert "parameters" in tags(first)
    for statement in ast.parse(first.source).body:
        assert isinstance(statement, ast.Assign), ast.unparse(statement)
        last_line = first.source.splitlines()[statement.end_lineno - 1]
        assert re.search(r"  # \S", last_line), f"{last_line!r} does not say what it means"


@each_chapter
def test_the_chapter_says_what_one_learns_and_ends_with_its_provenance(source):
    header, text = read_header(source), source.read_text()
    assert header["jupytext"]["formats"] == "md:myst,ipynb"
    assert header["kernelspec"]["name"] == "python3"
    assert "provenance(" in code_cells(source)[-1].source
    if source != PAGES[0]:
        assert "What you will learn" in text
        assert "Key takeaways" in text


@each_chapter
def test_chapters_hold_no_long_functions(source):
    for cell in code_cells(source):
        for node in ast.walk(ast.parse(plain_code(cell))):
            if isinstance(node, ast.FunctionDef):
                length = node.end_lineno - node.lineno + 1
                assert length <= 12, f"{node.name} has {length} lines: move it into dc2book"


@each_chapter
def test_what_a_chapter_shows_of_the_code_is_there_short_and_narrow(source):
    config = SimpleNamespace(source_encoding="utf8")
    text = source.read_text()
    for file, body in re.findall(r"```\{literalinclude\} (\S+)\n(.*?)```", text, re.DOTALL):
        options = dict(re.findall(r'^:([\w-]+): *"?(.*?)"?$', body, re.MULTILINE))
        options |= {"dedent": None} if "dedent" in options else {}
        (path,) = [root / file for root in (ROOT, ROOT / "book") if (root / file).exists()]
        shown = LiteralIncludeReader(str(path), options, config).read()[0].splitlines()
        assert len(shown) <= 25, f"{file} {options}: {len(shown)} lines; show a smaller piece"
        wide = [line for line in shown if len(line) > 80]
        assert not wide, f"{file} {options}: wider than a page, {wide}"


def test_the_code_of_the_chapters_is_clean(tmp_path):
    for source in CHAPTERS:
        code = "".join(f"{plain_code(cell)}\n\n\n" for cell in code_cells(source))
        (tmp_path / f"{source.stem}.py").write_text(code)
    command = [sys.executable, "-m", "ruff", "check", "--quiet", "--output-format=concise",
               "--config", str(ROOT / "pyproject.toml"), "--no-cache",
               "--extend-ignore", "B018,B905,E402,I001,N999,W391", str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout


@pytest.fixture
def lone_chapter(tmp_path):
    """A chapter without a notebook."""
    (tmp_path / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text())
    source = tmp_path / "chapter.md"
    source.write_text(
        "---\njupytext:\n  formats: md:myst,ipynb\nkernelspec:\n  display_name: Python 3\n"
        "  name: python3\ndc2lib:\n  depends: all\n---\n\n# A\n\n"
        "```{code-cell} ipython3\nx = 1\n```\n"
    )
    return source


@pytest.fixture
def notebook(lone_chapter):
    """Its notebook, which was made of it."""
    pair(lone_chapter)
    return lone_chapter.with_suffix(".ipynb")


def edit(path, *, old="x = 1", new="x = 2", newer=0):
    """Change one half of a pair, and date it after the other."""
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    os.utime(path, (path.stat().st_atime, path.stat().st_mtime + newer))


def test_a_notebook_is_made_and_the_chapter_stays_as_written(lone_chapter):
    before = lone_chapter.read_text()
    pair(lone_chapter)
    assert json.loads(lone_chapter.with_suffix(".ipynb").read_text())["cells"]
    assert lone_chapter.read_text() == before


@pytest.mark.parametrize("newer", [-10, 10])
def test_the_half_that_changed_goes_to_the_other_whichever_is_newer(lone_chapter, notebook, newer):
    edit(notebook, newer=newer)
    pair(lone_chapter)
    assert "x = 2" in lone_chapter.read_text()
    edit(lone_chapter, old="x = 2", new="x = 3", newer=newer)
    pair(lone_chapter)
    assert "x = 3" in notebook.read_text()
    edit(lone_chapter, old="depends: all", new="depends: data", newer=newer)
    pair(lone_chapter)
    assert json.loads(notebook.read_text())["metadata"]["dc2lib"] == {"depends": "data"}


@pytest.mark.parametrize("forgotten", [False, True])
def test_no_edit_is_lost_where_both_halves_changed(lone_chapter, notebook, forgotten):
    if forgotten:  # a notebook of an earlier version, or saved by a program that drops metadata
        content = json.loads(notebook.read_text())
        del content["metadata"]["dc2lib_paired"]
        notebook.write_text(json.dumps(content))
    edit(notebook, new="mine = 1")
    edit(lone_chapter, new="yours = 1")
    before = [path.read_bytes() for path in (lone_chapter, notebook)]
    with pytest.raises(BuildError, match=r"chapter\.md and chapter\.ipynb were both changed"):
        pair(lone_chapter)
    assert [path.read_bytes() for path in (lone_chapter, notebook)] == before


def test_the_same_edit_of_both_halves_is_no_conflict(lone_chapter, notebook):
    edit(notebook)
    edit(lone_chapter)
    pair(lone_chapter)
    edit(lone_chapter, old="x = 2", new="x = 3")
    pair(lone_chapter)
    assert "x = 3" in notebook.read_text()


def test_outputs_and_pictures_of_a_notebook_stay(lone_chapter, notebook):
    content = json.loads(notebook.read_text())
    title, code = content["cells"]
    title["attachments"] = {"a.png": {"image/png": "aGFsbG8="}}
    code["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "one"}]
    notebook.write_text(json.dumps(content))
    edit(lone_chapter, old="# A", new="# A\n\nMore.\n\n+++\n\nMuch more.")
    pair(lone_chapter)
    cells = json.loads(notebook.read_text())["cells"]
    assert [len(cell.get("attachments", ())) for cell in cells] == [1, 0, 0]
    assert "".join(cells[2]["outputs"][0]["text"]) == "one"


def test_a_broken_notebook_is_named_and_stays(lone_chapter):
    notebook = lone_chapter.with_suffix(".ipynb")
    notebook.write_text("<<<<<<< HEAD\n{}")
    with pytest.raises(BuildError, match=r"chapter\.ipynb is no notebook that can be read"):
        pair(lone_chapter)
    assert notebook.read_text().startswith("<<<<<<<")


def test_what_a_chapter_reads_survives_being_saved_as_a_notebook(lone_chapter, notebook):
    edit(notebook)
    edit(notebook, old="Python 3", new="Python 3 (ipykernel)")
    pair(lone_chapter)
    assert read_header(lone_chapter)["dc2lib"] == {"depends": "all"}
    assert "ipykernel" not in lone_chapter.read_text()
