"""What readers take away from the pages: notebooks that run elsewhere, sources, data of figures."""

from __future__ import annotations

import io
import json
import os
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import nbformat
from dc2book.find_the_error import class_files
from dc2book.record.images import lighter_base64

from dc2lib.files import atomic_write

DOWNLOADS = "_sources"
INSTALL = '''# Installs dc2lib where it is missing, as on Colab.
import importlib.util
import subprocess
import sys

source = {source!r}
if importlib.util.find_spec("dc2lib") is None:
    if not source:
        raise ModuleNotFoundError(
            "dc2lib is not installed: clone the repository of this book and run "
            "`pip install PATH_OF_THE_CLONE` in this environment, then run this cell again"
        )
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", source], check=True)'''
CELLS = re.compile(r'(?P<name>(gan_)?cells) = "(?P<was>[^"]+)"')
DATA_LINE = 'data = "auto"  # {was} in the executed build; auto: roadmap if it is stored here'
ZIP_DATE = (1980, 1, 1, 0, 0, 0)
SOLUTION = re.compile(r"^(:{3,})\{solution\}.*?^\1\s*$", re.DOTALL | re.MULTILINE)
CLASS_CHAPTER = "find_the_error"
CLASS_SETUP = """# The files lie beside this notebook; nothing but pandas is needed.
import csv
from io import StringIO
from pathlib import Path

import pandas as pd

names = ("genes.csv", "median.csv", "expression.tsv", "computed.csv")
files = {name: Path(name).read_text() for name in names}
gene_file, median_file = files["genes.csv"], files["median.csv"]
expression_file = files["expression.tsv"]"""
OF_THE_BUILD = {"parameters", "injected-parameters", "remove-cell", "remove-input"}


@dataclass(frozen=True)
class Addresses:
    """Where the repository and the published pages lie; empty where that is not known.

    ``repository`` is what edit, Binder and Colab links point at; ``pages`` ends with a slash.
    """

    repository: str
    pages: str


def addresses(config: Mapping[str, Any], environment: Mapping[str, str] = os.environ) -> Addresses:
    """Return the addresses that ``_config.yml`` sets, else those of the running GitHub Actions."""
    repository = config["repository"].get("url") or ""
    pages = config["html"].get("baseurl") or ""
    owner, _, name = environment.get("GITHUB_REPOSITORY", "").partition("/")
    if name:
        repository = repository or f"https://github.com/{owner}/{name}"
        pages = pages or f"https://{owner.lower()}.github.io/{name}"
    return Addresses(repository.rstrip("/"), f"{pages.rstrip('/')}/" if pages else "")


def pip_source(url: str) -> str:
    """Return what pip installs dc2lib from; empty if the repository has no address."""
    return f"git+{url}" if urlparse(url).scheme in ("https", "http", "ssh") else ""


def notebook_to_take(executed: bytes, url: str) -> bytes:
    """Return an executed notebook that also runs elsewhere.

    Its first code cell installs dc2lib where that is missing, and the injected data source becomes
    ``auto``, because another machine may hold no store.  Outputs stay, images with fewer colours.
    """
    notebook = nbformat.reads(executed.decode(), as_version=4)
    cells = notebook.cells
    for cell in cells:
        if "injected-parameters" in cell.metadata.get("tags", []):
            cell.source = "\n".join(map(_portable, cell.source.splitlines()))
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                output.data["image/png"] = lighter_base64(output.data["image/png"])
    first = next((i for i, cell in enumerate(cells) if cell.cell_type == "code"), len(cells))
    install = nbformat.v4.new_code_cell(
        INSTALL.format(source=pip_source(url)), id="install-dc2lib", metadata={"tags": ["install"]}
    )
    cells.insert(first, install)
    return nbformat.writes(notebook).encode()


def without_solutions(executed: bytes) -> bytes:
    """Return an executed notebook as it is handed to a class: no solutions, no outputs."""
    notebook = nbformat.reads(executed.decode(), as_version=4)
    notebook.cells = [one for one in notebook.cells if "solution" not in _tags(one)]
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = SOLUTION.sub("", cell.source)
        else:
            cell.outputs, cell.execution_count = [], None
    return nbformat.writes(notebook).encode()


def class_bundle(executed: bytes) -> bytes:
    """Return the exercises in finding errors as one zip file: a notebook and the files it reads.

    It has no solutions, ends before the takeaways, and needs nothing of this book.
    """
    notebook = nbformat.reads(without_solutions(executed).decode(), as_version=4)
    notebook.cells = [one for one in notebook.cells if not OF_THE_BUILD & _tags(one)]
    for cell in notebook.cells:
        if "setup" in _tags(cell):
            cell.source = CLASS_SETUP
        cell.source = cell.source.split("## Key takeaways")[0]
    files = {f"{CLASS_CHAPTER}.ipynb": nbformat.writes(notebook)} | class_files()
    return _zipped({name: text.encode() for name, text in files.items()})


def _tags(cell: nbformat.NotebookNode) -> set[str]:
    return set(cell.metadata.get("tags", []))


def data_archive(figures: Path) -> bytes | None:
    """Return the CSV files of a folder as one zip file, the same bytes for the same files."""
    files = sorted(figures.glob("[!.]*.csv"))
    if not files:
        return None
    return _zipped({file.name: file.read_bytes() for file in files})


def _zipped(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name, ZIP_DATE), content, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def add_downloads(
    html: Path, executed: Mapping[str, Path], sources: Mapping[str, Path], url: str
) -> None:
    """Put notebook, source and data of each chapter beside the pages that link to them.

    Parameters
    ----------
    html
        Folder of the built pages.
    executed
        Folder of the execution of each chapter.
    sources
        Markdown file of each chapter.
    url
        Of the repository; empty where it has none.
    """
    folder = html / DOWNLOADS
    folder.mkdir(exist_ok=True)
    for name, run in executed.items():
        executed_notebook = (run / "executed.ipynb").read_bytes()
        (folder / f"{name}.ipynb").write_bytes(notebook_to_take(executed_notebook, url))
        (folder / f"{name}.md").write_bytes(sources[name].read_bytes())
        if b"{exercise}" in executed_notebook:
            student = without_solutions(executed_notebook)
            (folder / f"{name}-student.ipynb").write_bytes(notebook_to_take(student, url))
        if name == CLASS_CHAPTER:
            (folder / f"{name}-class.zip").write_bytes(class_bundle(executed_notebook))
        archive = data_archive(run / "figures")
        if archive is not None:
            (folder / f"{name}-data.zip").write_bytes(archive)


def merged_results(runs: Mapping[str, Path], path: Path) -> int:
    """Write the recorded results of executed chapters into one JSON file; return their number."""
    rows = [
        json.loads(line)
        for run in runs.values()
        for line in (run / "results.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    with atomic_write(path) as unfinished:
        lines = [json.dumps(row, separators=(",", ":")) for row in rows]
        unfinished.write_text("[\n" + ",\n".join(lines) + "\n]\n", encoding="utf-8")
    return len(rows)


def _portable(line: str) -> str:
    """A line of parameters without what only this machine's store holds."""
    named = CELLS.match(line)
    if named:
        return f'{named["name"]} = ""  # {named["was"]} in the executed build; empty: what is there'
    if not line.startswith("data = "):
        return line
    was = line.removeprefix("data = ").split("#")[0].strip().strip("\"'")
    return line if was == "auto" else DATA_LINE.format(was=was)
