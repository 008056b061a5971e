"""Executed chapters that may not be shown."""

from __future__ import annotations

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

    def write(*outputs, parameters=PARAMETERS, key=KEY, endings=("png", "svg", "csv"), last=None):
        figures = tmp_path / "figures"
        figures.mkdir()
        for ending in endings:
            (figures / f"waves.{ending}").write_text("content")
        cells = [
            new_code_cell("1", outputs=list(outputs), execution_count=1),
            new_code_cell("2", outputs=[last or provenance()], execution_count=2),
        ]
        notebook = new_notebook(cells=cells)
        notebook.metadata["papermill"] = {"parameters": parameters}
        notebook.metadata["dc2lib_run"] = {"hash": key}
        nbformat.write(notebook, tmp_path / "executed.ipynb")
        return tmp_path

    return write


def found(folder):
    return "; ".join(problems(folder, PARAMETERS, KEY))


def test_a_whole_chapter_has_no_problems(write):
    assert found(write(figure(), glued("a"), glued("b"))) == ""


def test_an_error_output(write):
    error = new_output("error", ename="ValueError", evalue="bad", traceback=[])
    assert "code cell 1 raised ValueError: bad" in found(write(error))


@pytest.mark.parametrize(
    "text", ["x.py:1: UserWarning: hm\n", "Traceback (most recent call last):"]
)
def test_warnings_and_tracebacks_on_stderr(write, text):
    assert "code cell 1 wrote to stderr" in found(
        write(new_output("stream", name="stderr", text=text))
    )


def test_progress_on_stderr_is_fine(write):
    assert found(write(new_output("stream", name="stderr", text="100%|###| 3/3"))) == ""


@pytest.mark.parametrize("missing", ["png", "svg", "csv"])
def test_a_missing_file_of_a_figure(write, missing):
    endings = [ending for ending in ("png", "svg", "csv") if ending != missing]
    assert f"announced waves.{missing}, which is missing" in found(write(figure(), endings=endings))


def test_an_image_without_alternative_text(write):
    assert "without show_figure" in found(write(display(**{"image/png": "aGVsbG8="})))


def test_two_figures_of_one_name(write):
    assert "waves is shown 2 times" in found(write(figure(), figure()))


def test_other_parameters_than_requested(write):
    assert "not the requested {'seed': 1}" in found(write(parameters={"seed": 2}))


def test_another_hash(write):
    assert "not executed under the current hash" in found(write(key="0" * 64))


def test_no_provenance(write):
    assert "shows no provenance" in found(write(last=display(**{"text/plain": "bye"})))


def test_provenance_of_another_run(write):
    assert "provenance line names another hash" in found(write(last=provenance("0" * 64)))


def test_a_name_glued_twice(write):
    assert "'a' is glued more than once, in code cells 1, 1" in found(write(glued("a"), glued("a")))


def test_a_cell_that_was_not_executed(write, tmp_path):
    write()
    notebook = nbformat.read(tmp_path / "executed.ipynb", as_version=4)
    notebook.cells[0].execution_count = None
    nbformat.write(notebook, tmp_path / "executed.ipynb")
    assert "code cell 1 was not executed" in found(tmp_path)
