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
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlparse

import nbformat
from dc2book.find_the_error import class_files
from dc2book.record.images import lighter_base64
from dc2book.record.recording import GLUE_PREFIX
from dc2book.record.showing import FIGURE_MIME, TABLE_MIME
from myst_nb.core.variables import format_plain_text
from sphinx.directives.code import LiteralIncludeReader

from dc2lib.files import atomic_write
from tools.compare import recorded
from tools.errors import BuildError

ROOT = Path(__file__).resolve().parents[1]
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
DIRECTIVE = re.compile(
    r"^(?P<fence>:{3,}|`{3,})\{(?P<kind>[a-z-]+)\} *(?P<title>[^\n]*)\n"
    r"(?P<options>(?::[a-z-]+:[^\n]*\n)*)(?P<body>.*?)^(?P=fence) *$", re.DOTALL | re.MULTILINE)
ROLE = re.compile(r"\{(?P<kind>[a-z:]+)\}`(?P<words>[^`<]+?)(?: *<[^`>]+>)?`")
UNSEEN = re.compile(r"^(?:\([\w-]+\)=|<!-- figure: .* -->)\n", re.MULTILINE)
LINK = re.compile(r"\[([^\]]*)\]\((\w+)\.md(#[^)]*)?\)")
FOLDED = "<details><summary>{}</summary>\n\n{}\n\n</details>"
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
    try:
        repository = config["repository"].get("url") or ""
        pages = config["html"].get("baseurl") or ""
    except (TypeError, KeyError, AttributeError):
        raise BuildError(
            "_config.yml is no configuration of this book: expected names with values, among them"
            " repository (url, ...) and html (baseurl, ...); `git diff _config.yml` shows changes"
        ) from None
    owner, _, name = environment.get("GITHUB_REPOSITORY", "").partition("/")
    if name:
        repository = repository or f"https://github.com/{owner}/{name}"
        pages = pages or f"https://{owner.lower()}.github.io/{name}"
    return Addresses(repository.rstrip("/"), f"{pages.rstrip('/')}/" if pages else "")


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
    source = f"git+{url}" if urlparse(url).scheme in ("https", "http", "ssh") else ""
    first = next((i for i, cell in enumerate(cells) if cell.cell_type == "code"), len(cells))
    install = nbformat.v4.new_code_cell(
        INSTALL.format(source=source), id="install-dc2lib", metadata={"tags": ["install"]}
    )
    cells.insert(first, install)
    return nbformat.writes(notebook).encode()


def readable(executed: bytes, pages: str = "", solutions: bool = True) -> bytes:
    """Return an executed notebook whose text any notebook program shows: no roles, no directives.

    Values that prose takes from the run are written out, shown code is copied in, and figures and
    tables have name and caption below them; ``pages`` is the address of the book, or empty.
    """
    notebook = nbformat.reads(executed.decode(), as_version=4)
    outputs = [one for cell in notebook.cells for one in cell.get("outputs", []) if "data" in one]
    glued = {about["name"]: one.data.get(f"{GLUE_PREFIX}text/plain", "") for one in outputs
             if (about := one.metadata.get("scrapbook"))}
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            text = cell.source if solutions else SOLUTION.sub("", cell.source)
            cell.source = plain_markdown(text, glued, pages)
        for output in list(cell.get("outputs", [])):
            data = output.get("data", {})
            if shown := data.get(FIGURE_MIME) or data.get(TABLE_MIME):
                caption = plain_markdown(f"**{shown['name']}.** {shown['caption']}", glued, pages)
                below = nbformat.v4.new_output("display_data", {"text/markdown": caption})
                cell.outputs.insert(cell.outputs.index(output) + 1, below)
    return nbformat.writes(notebook).encode()


def plain_markdown(text: str, glued: Mapping[str, str], pages: str) -> str:
    """Return a chapter's MyST Markdown without what only this book understands."""

    def directive(found: re.Match[str]) -> str:
        kind, title, body = found["kind"], found["title"], found["body"].strip()
        options = dict(re.findall(r'^:([a-z-]+): *"?(.*?)"?$', found["options"], re.MULTILINE))
        if kind == "literalinclude":
            path = next(one for one in (ROOT / "book" / title, ROOT / title) if one.exists())
            options |= {"dedent": None} if "dedent" in options else {}
            code = LiteralIncludeReader(str(path), options, SimpleNamespace(source_encoding="utf8"))
            return f"```python\n{code.read()[0].rstrip()}\n```"
        body = plain_markdown(body, glued, pages)
        if kind == "quiz":
            asked, *told = re.split(r"^- (?=\[[ x]\])", body, flags=re.MULTILINE)
            answers = "\n".join(f"- {one[4:].partition(chr(10) * 2)[0].rstrip()}" for one in told)
            told = [f"- {'Right' if one[1] == 'x' else 'Wrong'}: {one[4:]}" for one in told]
            return f"**Question.** {asked}{answers}\n\n{FOLDED.format('Answers', ''.join(told))}"
        if kind in ("solution", "dropdown") or options.get("class") == "dropdown":
            return FOLDED.format("Solution" if kind == "solution" else title, body)
        if kind == "grid":
            return body
        head = f"**{'Exercise: ' if kind == 'exercise' else ''}{title}**"
        return "\n".join(f"> {line}".rstrip() for line in [head, "", *body.splitlines()])

    def role(found: re.Match[str]) -> str:
        kind, words = found["kind"], found["words"]
        if kind == "glue:text":
            name, _, form = words.partition(":")
            value = glued.get(name, f"`{name}`")
            if value == "nan":
                return "not computed here"
            return format_plain_text(value, form) if name in glued else value
        if kind == "numref":
            return f"{'Table' if words.startswith('tab-') else 'Figure'} *{words[4:]}*"
        if kind.startswith("cite"):
            cited = re.findall(r"([a-z]+)(\d*)\w*", words)
            named = "; ".join(f"{name.title()} {year}".strip() for name, year in cited)
            return named if kind == "cite:t" else f"({named})"
        return words

    text = ROLE.sub(role, DIRECTIVE.sub(directive, UNSEEN.sub("", text)))
    text = re.sub(r"\[\](?=\((\w+)\.md)", lambda name: f"[{name[1].replace('_', ' ')}]", text)
    return LINK.sub(rf"[\1]({pages}\2.html\3)" if pages else r"\1", text)


def without_solutions(executed: bytes, pages: str = "") -> bytes:
    """Return an executed notebook as it is handed to a class: no solutions, no outputs."""
    notebook = nbformat.reads(readable(executed, pages, solutions=False).decode(), as_version=4)
    notebook.cells = [one for one in notebook.cells if "solution" not in _tags(one)]
    notebook.cells = [one for one in notebook.cells if one.source.strip()]
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return nbformat.writes(notebook).encode()


def class_bundle(executed: bytes, pages: str = "") -> bytes:
    """Return the exercises in finding errors as one zip file: a notebook and the files it reads.

    It has no solutions, ends before the takeaways, and needs nothing of this book.
    """
    notebook = nbformat.reads(without_solutions(executed, pages).decode(), as_version=4)
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
    html: Path, executed: Mapping[str, Path], sources: Mapping[str, Path], known: Addresses
) -> None:
    """Put notebook, source and data of each executed chapter beside the pages that link to them."""
    folder = html / DOWNLOADS
    folder.mkdir(exist_ok=True)
    for name, run in executed.items():
        notebook = (run / "executed.ipynb").read_bytes()
        plain = readable(notebook, known.pages)
        (folder / f"{name}.ipynb").write_bytes(notebook_to_take(plain, known.repository))
        (folder / f"{name}.md").write_bytes(sources[name].read_bytes())
        if b"{exercise}" in notebook:
            student = notebook_to_take(without_solutions(notebook, known.pages), known.repository)
            (folder / f"{name}-student.ipynb").write_bytes(student)
        if name == CLASS_CHAPTER:
            (folder / f"{name}-class.zip").write_bytes(class_bundle(notebook, known.pages))
        archive = data_archive(run / "figures")
        if archive is not None:
            (folder / f"{name}-data.zip").write_bytes(archive)


def merged_results(runs: Mapping[str, Path], path: Path) -> int:
    """Write the recorded results of executed chapters into one JSON file; return their number."""
    rows = [row for run in runs.values() for row in recorded(run)]
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
