"""Run each executed solution of a chapter on its own: its parameters and setup, then that cell.

    .venv/bin/python tests/book/run_solutions.py data --profile smoke --data simulated
"""

import argparse
import contextlib
import io
import sys
import time
from pathlib import Path

import jupytext
import nbformat

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tools.chapters import chosen_parameters, read_chapter, read_profile  # noqa: E402

CHAPTERS = ("data", "mnist_visualization", "architectures", "linear_baseline", "cross_cell",
            "gan_probe", "audit", "ground_truth", "related_work")
SETUP = {"parameters", "setup"}


def tagged(notebook: nbformat.NotebookNode, tags: set[str]) -> list[nbformat.NotebookNode]:
    """Return the code cells that carry one of the tags."""
    return [cell for cell in notebook.cells if tags & set(cell.metadata.get("tags", []))]


def solutions(chapter: str) -> list[nbformat.NotebookNode]:
    """Return the cells tagged ``solution`` of a chapter."""
    return tagged(jupytext.read(ROOT / "book" / f"{chapter}.md"), {"solution"})


def run_solutions(name: str, profile: str, data: str) -> None:
    """Run the solutions one by one, each in a fresh namespace; stop at the first that fails."""
    import matplotlib

    matplotlib.use("Agg")
    chapter = read_chapter(name, ROOT / "book" / f"{name}.md")
    parameters = chosen_parameters(chapter, profile, read_profile(ROOT, profile), data)
    first, *setup = tagged(chapter.notebook, SETUP)
    cells = tagged(chapter.notebook, {"solution"})
    for number, cell in enumerate(cells, start=1):
        started = time.perf_counter()
        namespace: dict[str, object] = {"__name__": "__main__"}
        exec(first.source, namespace)
        namespace |= parameters
        for code in (*setup, cell):
            with contextlib.redirect_stdout(io.StringIO()):
                exec(compile(code.source, f"{name}, solution {number}", "exec"), namespace)
        print(f"{name}: {number} of {len(cells)} solutions, {time.perf_counter() - started:.1f} s",
              flush=True)


def main() -> None:
    """Run the solutions of the chapters named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("chapters", nargs="*", default=[*CHAPTERS, "find_the_error"])
    parser.add_argument("--profile", default="smoke")
    parser.add_argument("--data", default="simulated")
    options = parser.parse_args()
    for name in options.chapters:
        run_solutions(name, options.profile, options.data)


if __name__ == "__main__":
    main()
