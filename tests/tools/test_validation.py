"""Executed chapters that may not be shown."""

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from tools.validation import FIGURE_MIME, PROVENANCE_MIME, problems

KEY = "f" * 64
PARAMETERS = {"seed": 1}


def display(**data):
    return new_output("display_data", data=data)


def figure(name="waves"):
    return display(
        **{"image/png": "aGVsbG8=", FIGURE_MIME: {"name": name, "alt": "a", "caption": "c"}}
    )


def provenance(key=KEY):
    return display(**{PROVENANCE_MIME: {"hash": key}})


def glued(name):
    return new_output(
        "display_data", data={"text/plain": "1"}, metadata={"scrapbook": {"name": name}}
    )


@pytest.fixture
def write(tmp_path):
    """Write an executed chapter with these outputs in its first cell; return its folder."""

    def write(*outputs, parameters=PARAMETERS, key=KEY, endings=("png", "svg", "csv"), last=None,
              count=1):
        figures = tmp_path / "figures"
        figures.mkdir()
        for ending in endings:
            (figures / f"waves.{ending}").write_text("content")
        cells = [
            new_code_cell("1", outputs=list(outputs), execution_count=count),
            new_code_cell("2", outputs=[last or provenance()], execution_count=2),
        ]
        notebook = new_notebook(cells=cells)
        notebook.metadata["papermill"] = {"parameters": parameters}
        notebook.metadata["dc2lib_run"] = {"hash": key}
        nbformat.write(notebook, tmp_path / "executed.ipynb")
        return tmp_path

    return write


def stderr(text):
    return new_output("stream", name="stderr", text=text)


def test_a_whole_chapter_has_no_problems(write):
    fine = write(figure(), glued("a"), glued("b"), stderr("100%|###| 3/3"))
    assert problems(fine, PARAMETERS, KEY) == []


ERROR = new_output("error", ename="ValueError", evalue="bad", traceback=[])


@pytest.mark.parametrize(
    ("outputs", "about", "problem"),
    [
        ([ERROR], {}, "code cell 1 raised ValueError: bad"),
        ([stderr("x.py:1: UserWarning: hm\n")], {}, "code cell 1 wrote to stderr"),
        ([stderr("Traceback (most recent call last):")], {}, "code cell 1 wrote to stderr"),
        ([figure()], {"endings": ("svg", "csv")}, "announced waves.png, which is missing"),
        ([figure()], {"endings": ("png", "csv")}, "announced waves.svg, which is missing"),
        ([figure()], {"endings": ("png", "svg")}, "announced waves.csv, which is missing"),
        ([display(**{"image/png": "aGVsbG8="})], {}, "without show_figure"),
        ([figure(), figure()], {}, "waves is shown 2 times"),
        ([], {"parameters": {"seed": 2}}, "not the requested {'seed': 1}"),
        ([], {"key": "0" * 64}, "not executed under the current hash"),
        ([], {"last": display(**{"text/plain": "bye"})}, "shows no provenance"),
        ([], {"last": provenance("0" * 64)}, "provenance line names another hash"),
        ([glued("a"), glued("a")], {}, "'a' is glued more than once, in code cells 1, 1"),
        ([], {"count": None}, "code cell 1 was not executed"),
    ],
)
def test_what_may_not_be_shown_is_named(write, outputs, about, problem):
    (one,) = problems(write(*outputs, **about), PARAMETERS, KEY)
    assert problem in one
