"""Pair each chapter with a Jupyter notebook beside it; the newer half of a pair wins."""

from __future__ import annotations

import sys
from pathlib import Path

import jupytext
import nbformat
from jupytext.cli import jupytext as command

from tools.chapters import is_chapter, page_sources
from tools.errors import exit_code

ROOT = Path(__file__).resolve().parents[1]


def has_drifted(source: Path) -> bool:
    """Return whether the notebook beside a chapter holds other cells than the chapter."""
    pair = source.with_suffix(".ipynb")
    if not pair.exists():
        return False
    written = jupytext.reads(source.read_text(), fmt="md:myst")
    opened = nbformat.read(pair, as_version=4)
    return _cells(written) != _cells(opened)


def pair(source: Path) -> None:
    """Make the notebook of a chapter, or carry the newer half of a drifted pair to the other.

    The chapter is written only where its notebook was edited later; outputs of the notebook stay.
    """
    notebook = source.with_suffix(".ipynb")
    if notebook.exists() and not has_drifted(source):
        return
    if notebook.exists() and notebook.stat().st_mtime > source.stat().st_mtime:
        command(["--quiet", "--to", "md:myst", "--output", str(source), str(notebook)])
        return
    update = ["--update"] if notebook.exists() else []
    command(["--quiet", "--to", "ipynb", *update, "--output", str(notebook), str(source)])


def _cells(notebook: nbformat.NotebookNode) -> list[tuple[str, str, tuple[str, ...]]]:
    return [
        (cell.cell_type, cell.source.strip(), tuple(cell.metadata.get("tags", [])))
        for cell in notebook.cells
    ]


def main() -> None:
    """Pair the chapters of this repository."""
    for source in page_sources(ROOT).values():
        if is_chapter(source):
            pair(source)


if __name__ == "__main__":
    sys.exit(exit_code(main))
