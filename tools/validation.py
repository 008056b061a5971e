"""Refuse executed chapters that are broken, incomplete or stale."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import nbformat

from tools.chapters import digest

FIGURE_MIME = "application/vnd.dc2lib.figure+json"
TABLE_MIME = "application/vnd.dc2lib.table+json"
PROVENANCE_MIME = "application/vnd.dc2lib.provenance+json"
RUN = "run.json"
ALARMS = ("Traceback (most recent call last)", "Warning:", "Error:")


def problems(folder: Path, parameters: Mapping[str, Any], key: str) -> list[str]:
    """Return what is wrong with an executed chapter, naming the cells; empty if it may be shown.

    ``folder``: holds ``executed.ipynb``, ``results.jsonl`` and ``figures/``. ``parameters``: those
    that were to be injected. ``key``: hash that the chapter must have been executed under.
    """
    notebook = nbformat.read(folder / "executed.ipynb", as_version=4)
    return [
        *_stale(notebook, parameters, key),
        *_unexecuted(notebook),
        *_alarming(notebook),
        *_incomplete_shows(notebook, folder / "figures"),
        *_glued_twice(notebook),
        *_without_provenance(notebook, key),
    ]


def file_digests(folder: Path) -> dict[str, str]:
    """Return the digest of each file that an execution leaves but the one that says so."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != RUN)
    return {str(path.relative_to(folder)): digest(path.read_bytes()) for path in files}


def is_whole(folder: Path) -> bool:
    """Return whether all files of an execution are there as they were written."""
    try:
        run = json.loads((folder / RUN).read_text(encoding="utf-8"))
        written = run.pop("files")
        notebook = nbformat.read(folder / "executed.ipynb", as_version=4)
        return written.items() <= file_digests(folder).items() and (
            notebook.metadata["dc2lib_run"] == run
        )
    except Exception:  # whatever a damaged file makes its reader meet
        return False


def outputs(notebook: nbformat.NotebookNode) -> Iterator[tuple[int, nbformat.NotebookNode]]:
    """Yield each output with the number of its cell, counted from 1 over the code cells."""
    for number, cell in enumerate(_code_cells(notebook), start=1):
        for output in cell.get("outputs", []):
            yield number, output


def _code_cells(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def _stale(
    notebook: nbformat.NotebookNode, parameters: Mapping[str, Any], key: str
) -> Iterator[str]:
    injected = notebook.metadata.get("papermill", {}).get("parameters", {})
    if json.dumps(injected, sort_keys=True) != json.dumps(dict(parameters), sort_keys=True):
        yield f"its injected parameters are {injected}, not the requested {parameters}"
    if notebook.metadata.get("dc2lib_run", {}).get("hash") != key:
        yield f"it was not executed under the current hash {key[:12]}"


def _unexecuted(notebook: nbformat.NotebookNode) -> list[str]:
    return [
        f"code cell {number} was not executed"
        for number, cell in enumerate(_code_cells(notebook), start=1)
        if cell.source.strip() and cell.execution_count is None
    ]


def _alarming(notebook: nbformat.NotebookNode) -> Iterator[str]:
    for number, output in outputs(notebook):
        if output.output_type == "error":
            yield f"code cell {number} raised {output.ename}: {output.evalue}"
        text = output.text if output.get("name") == "stderr" else ""
        if any(alarm in text for alarm in ALARMS):
            yield f"code cell {number} wrote to stderr: {text.strip().splitlines()[-1]}"


def _incomplete_shows(notebook: nbformat.NotebookNode, folder: Path) -> Iterator[str]:
    names: Counter[str] = Counter()
    for number, output in outputs(notebook):
        data = output.get("data", {})
        is_figure = FIGURE_MIME in data
        shown = data.get(FIGURE_MIME) or data.get(TABLE_MIME)
        if "image/png" in data and not is_figure:
            yield f"code cell {number} shows an image without show_figure, so without alt"
        if shown is None:
            continue
        names[shown["name"]] += 1
        for ending in ("png", "svg", "csv") if is_figure else ("csv",):
            file = folder / f"{shown['name']}.{ending}"
            if not file.exists() or not file.stat().st_size:
                yield f"code cell {number} announced {file.name}, which is missing or empty"
        if is_figure and not data.get("image/png"):
            yield f"code cell {number} announced figure {shown['name']} without an image"
    yield from (f"the name {name} is shown {n} times" for name, n in names.items() if n > 1)


def _glued_twice(notebook: nbformat.NotebookNode) -> Iterator[str]:
    names: dict[str, list[int]] = {}
    for number, output in outputs(notebook):
        if glued := output.get("metadata", {}).get("scrapbook", {}).get("name"):
            names.setdefault(glued, []).append(number)
    for name, cells in names.items():
        if len(cells) > 1:
            yield (f"{name!r} is glued more than once, in code cells {', '.join(map(str, cells))}; "
                   "give record() another tag or glue=")


def _without_provenance(notebook: nbformat.NotebookNode, key: str) -> list[str]:
    lines = [output.data[PROVENANCE_MIME] for _, output in outputs(notebook)
             if PROVENANCE_MIME in output.get("data", {})]
    if not lines:
        return ["it shows no provenance; its last code cell must call provenance()"]
    return [] if lines[-1]["hash"] == key else ["its provenance line names another hash"]
