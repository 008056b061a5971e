"""Pair each chapter with a Jupyter notebook beside it; an edit of either half goes to the other.

The notebook remembers what both halves held when they were last the same.  So a half that changed
is known whatever the files' times say, and where both did, neither is overwritten.
"""

from __future__ import annotations

import sys
from pathlib import Path

import jupytext
import nbformat
from jupytext.combine import combine_inputs_with_outputs
from jupytext.config import load_jupytext_config
from nbformat import NotebookNode

from dc2lib.files import atomic_write
from tools.chapters import digest, is_chapter, page_sources, read_text
from tools.errors import BuildError, exit_code

ROOT = Path(__file__).resolve().parents[1]
FORMAT = "md:myst"
PAIRED = "dc2lib_paired"  # in the notebook's metadata: digest of what both halves held
OURS = "dc2lib"  # in the metadata of both: what a chapter says about itself


def pair(source: Path) -> None:
    """Make the notebook of a chapter, or carry what changed in one half of a pair to the other.

    Outputs of the notebook stay. BuildError if both halves changed, or the notebook cannot be read;
    both stay as they are.
    """
    path = source.with_suffix(".ipynb")
    written = _chapter(source)
    if not path.exists():
        _write_notebook(written, path)
        return
    opened = _notebook(path)
    halves = _content(written), _content(opened)
    before = opened.metadata.get(PAIRED)
    if halves[0] == halves[1] == before:
        return
    if before not in halves and halves[0] != halves[1]:
        raise BuildError(
            f"{source} and {path.name} were both changed since they were paired; nothing was "
            f"overwritten. Move one of them elsewhere or undo its changes (git checkout {source}), "
            "run `make notebooks` again, and bring over what it held"
        )
    if halves[0] == before:
        opened.metadata["kernelspec"] = written.metadata["kernelspec"]
        text = jupytext.writes(opened, FORMAT, config=load_jupytext_config(str(source)))
        with atomic_write(source) as unfinished:
            unfinished.write_text(text, encoding="utf-8")
        written = _chapter(source)
    both = combine_inputs_with_outputs(written, opened, FORMAT)
    both.metadata.pop(OURS, None)  # jupytext takes the notebook's
    both.metadata.update({OURS: written.metadata[OURS]} if OURS in written.metadata else {})
    _write_notebook(both, path)


def _chapter(source: Path) -> NotebookNode:
    return jupytext.reads(read_text(source), fmt=FORMAT)


def _notebook(path: Path) -> NotebookNode:
    try:
        return nbformat.read(path, as_version=4)
    except Exception as error:
        raise BuildError(
            f"{path} is no notebook that can be read ({error}): repair it, or move it elsewhere "
            "and run `make notebooks` again"
        ) from error


def _write_notebook(notebook: NotebookNode, path: Path) -> None:
    notebook.metadata[PAIRED] = _content(notebook)
    with atomic_write(path) as unfinished:
        nbformat.write(notebook, unfinished)


def _content(notebook: NotebookNode) -> str:
    """Digest of all that a chapter can hold: cells, their metadata, what it says about itself."""
    cells = jupytext.writes(NotebookNode(notebook | {"metadata": {}}), FORMAT)
    return digest([cells, notebook.metadata.get(OURS)])


def main() -> None:
    """Pair the chapters of this repository, every one that can be; BuildError names the others."""
    problems = []
    for source in filter(is_chapter, page_sources(ROOT).values()):
        try:
            pair(source)
        except BuildError as error:
            problems.append(str(error))
    if problems:
        raise BuildError("\n".join(problems))


if __name__ == "__main__":
    sys.exit(exit_code(main))
