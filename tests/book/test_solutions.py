"""Exercises: how many, and that each executed solution runs on its own.

A cell tagged ``solution`` may use what Python has, what cells tagged ``parameters`` or ``setup``
define, and what it defines itself.  So whoever downloads a notebook runs these cells and then any
one solution.
"""

import ast
import builtins
import re
from pathlib import Path

import jupytext
import pytest
from dc2display import hide_solution
from run_solutions import CHAPTERS, SETUP, run_solutions, solutions, tagged

ROOT = Path(__file__).resolve().parents[2]
# fewer than three where an exercise asks the same
QUESTIONS = {"architectures": 2, "cross_cell": 2, "linear_baseline": 1, "related_work": 1}


def names_of(code: str) -> tuple[set[str], set[str]]:
    """Return the names that code defines and those that it uses, comprehensions included."""
    nodes = list(ast.walk(ast.parse(code)))
    names = [node for node in nodes if isinstance(node, ast.Name)]
    defined = {node.id for node in names if not isinstance(node.ctx, ast.Load)}
    defined |= {node.name for node in nodes if isinstance(node, ast.FunctionDef)}
    defined |= {node.arg for node in nodes if isinstance(node, ast.arg)}
    for node in nodes:
        if isinstance(node, ast.Import | ast.ImportFrom):
            defined |= {(name.asname or name.name).split(".")[0] for name in node.names}
    return defined, {node.id for node in names if isinstance(node.ctx, ast.Load)}


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_there_are_three_to_five_exercises_with_solutions(chapter):
    text = (ROOT / "book" / f"{chapter}.md").read_text()
    exercises = re.findall(r"\{exercise\}[^\n]*\n:label: (\S+)", text)
    assert 3 <= len(exercises) <= 5
    assert set(re.findall(r"\{solution\} (\S+)", text)) == set(exercises)
    assert len(solutions(chapter)) >= 2


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_each_solution_needs_the_setup_only(chapter):
    notebook = jupytext.read(ROOT / "book" / f"{chapter}.md")
    known = set(dir(builtins)) | {"get_ipython"}
    for cell in tagged(notebook, SETUP):
        defined, used = names_of(cell.source)
        assert used <= known | defined, f"setup of {chapter} needs {used - known - defined}"
        known |= defined
    for cell in tagged(notebook, {"solution"}):
        defined, used = names_of(cell.source)
        missing = used - known - defined
        assert not missing, f"{chapter}: {sorted(missing)} in the solution\n{cell.source[:200]}"


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_each_main_chapter_ends_with_questions(chapter):
    text = (ROOT / "book" / f"{chapter}.md").read_text()
    assert text.count(":::{quiz}") == QUESTIONS.get(chapter, 3)


def test_the_teachers_page_lists_every_exercise():
    texts = [page.read_text() for page in (ROOT / "book").glob("*.md")]
    labels = re.findall(r"\{exercise\}[^\n]*\n:label: (\S+)", "\n".join(texts))
    listed = re.findall(r"<(ex-[\w-]+)>", (ROOT / "book" / "teaching.md").read_text())
    assert sorted(listed) == sorted(labels)


def test_solutions_are_folded_on_the_page():
    metadata = {"tags": ["solution"]}
    hide_solution(metadata)
    assert metadata["tags"] == ["solution", "hide-cell"]
    assert metadata["mystnb"]["code_prompt_show"] == "Show the code and its result"


def test_the_front_page_cites_the_paper_as_the_references_do():
    front = (ROOT / "book" / "index.md").read_text()
    (number,) = re.findall(r"eprint\s*= \{([\d.]+)\}", front)
    for file in ("book/references.bib", "CITATION.cff"):
        assert number in (ROOT / file).read_text()
    version = re.findall(r"^version: (\S+)", (ROOT / "CITATION.cff").read_text(), re.MULTILINE)
    assert re.findall(r"version = \{(\S+)\}", front) == version


def test_the_solutions_of_find_the_error_run(capsys):
    run_solutions("find_the_error", "smoke", "simulated")
    assert "2 of 2 solutions" in capsys.readouterr().out
