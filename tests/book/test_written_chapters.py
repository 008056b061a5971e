"""The chapters as they are written: headers, parameters, style, and their notebooks."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import jupytext
import pytest
import yaml

from tools.build import Request, plan_build
from tools.chapters import find_chapters, is_chapter, page_names, page_sources, run_order
from tools.notebooks import has_drifted

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "book" / f"{name}.md" for name in page_names(ROOT / "_toc.yml")]
CHAPTERS = [page for page in PAGES if page.exists() and is_chapter(page)]
PROFILES = sorted((ROOT / "book" / "profiles").glob("*.yml"))

each_chapter = pytest.mark.parametrize("source", CHAPTERS, ids=lambda path: path.stem)


def code_cells(source):
    notebook = jupytext.reads(source.read_text(), fmt="md:myst")
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def plain_code(cell):
    lines = cell.source.splitlines()
    return "\n".join(line for line in lines if not line.lstrip().startswith(("%", "!")))


def tags(cell):
    return cell.metadata.get("tags", [])


def test_every_listed_page_exists():
    assert set(page_sources(ROOT).values()) == set(PAGES)


def test_every_page_is_listed():
    assert sorted(PAGES) == sorted((ROOT / "book").glob("*.md"))


def test_what_chapters_read_can_be_ordered():
    chapters = find_chapters(ROOT)
    assert set(run_order(chapters)) == set(chapters)


@pytest.mark.parametrize("profile", PROFILES, ids=lambda path: path.stem)
def test_profiles_set_declared_parameters_only(profile):
    plan_build(ROOT, Request(profile=profile.stem), "simulated", {"cells": "", "mnist": ""})


@each_chapter
def test_the_header_pairs_the_chapter_with_a_notebook(source):
    header = yaml.safe_load(source.read_text()[4:].split("\n---", 1)[0])
    assert header["jupytext"]["formats"] == "md:myst,ipynb"
    assert header["kernelspec"]["name"] == "python3"


@each_chapter
def test_the_first_code_cell_holds_explained_parameters(source):
    first = code_cells(source)[0]
    assert "parameters" in tags(first)
    for statement in ast.parse(first.source).body:
        assert isinstance(statement, ast.Assign), ast.unparse(statement)
        last_line = first.source.splitlines()[statement.end_lineno - 1]
        assert re.search(r"  # \S", last_line), f"{last_line!r} does not say what it means"


@each_chapter
def test_the_last_code_cell_shows_the_provenance(source):
    assert "provenance(" in code_cells(source)[-1].source


@pytest.mark.parametrize("source", [c for c in CHAPTERS if c != PAGES[0]], ids=lambda path: path.stem)
def test_the_chapter_says_what_one_learns_and_takes_away(source):
    text = source.read_text()
    assert "What you will learn" in text
    assert "Key takeaways" in text


@each_chapter
def test_chapters_hold_no_long_functions(source):
    for cell in code_cells(source):
        code = "\n".join(
            line for line in cell.source.splitlines() if not line.startswith(("%", "!"))
        )
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.FunctionDef):
                length = node.end_lineno - node.lineno + 1
                assert length <= 12, f"{node.name} has {length} lines: move it into dc2lib"


@each_chapter
def test_the_code_of_a_chapter_is_clean(source, tmp_path):
    script = tmp_path / f"{source.stem}.py"
    script.write_text("".join(f"{plain_code(cell)}\n\n\n" for cell in code_cells(source)))
    ignored = "B018,B905,E402,I001,N999,W391"
    options = ["check", "--quiet", "--config", str(ROOT / "pyproject.toml"), "--extend-ignore"]
    ended = subprocess.run(
        [sys.executable, "-m", "ruff", *options, ignored, "--no-cache", str(script)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout


@each_chapter
def test_the_notebook_beside_a_chapter_has_not_drifted(source):
    if not source.with_suffix(".ipynb").exists():
        pytest.skip("no notebook beside it: make notebooks")
    assert not has_drifted(source), f"{source.name} and its notebook differ: make notebooks"


def test_a_drifted_notebook_is_noticed(tmp_path):
    source = tmp_path / "chapter.md"
    source.write_text(
        "---\njupytext:\n  formats: md:myst,ipynb\n"
        "kernelspec:\n  display_name: Python 3\n  name: python3\n---\n\n# A\n\n"
        "```{code-cell} ipython3\nx = 1\n```\n"
    )
    notebook = jupytext.read(source, fmt="md:myst")
    assert not has_drifted(source)
    jupytext.write(notebook, source.with_suffix(".ipynb"))
    assert not has_drifted(source)
    notebook.cells[1].source = "x = 2"
    jupytext.write(notebook, source.with_suffix(".ipynb"))
    assert has_drifted(source)
