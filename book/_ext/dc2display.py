"""The book's own Sphinx extension: figures and tables of chapters, status, and theme repairs."""

from __future__ import annotations

import importlib.util
import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
from dc2book.claims.reference import Reference, load_reference
from dc2book.record.showing import FIGURE_MIME, MISSING_MIME, TABLE_MIME
from dc2book.style import markdown_table
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.util.docutils import SphinxDirective
from sphinx.util.fileutil import copy_asset

MATHJAX = "mathjax/tex-svg.js"
ASKED_FIGURE = r"<!-- figure: ([a-z0-9_-]+) -->"
ONE = re.compile(r"(?:.* of )?1(?:\.0)?")
COUNTED = "cell types|epochs|fits|genes|models|pairs|runs|seeds|sets|steps|trainings|worlds"
NO_TAGS = {"chapter", "data_source", "key", "value", "low", "high", "n"}


def setup(app: Sphinx) -> dict[str, Any]:
    """Register everything with Sphinx."""
    app.add_directive("chapter-status", ChapterStatus)
    app.connect("config-inited", repair_theme_options, priority=900)
    app.connect("source-read", write_figures_and_tables)
    app.connect("doctree-resolved", drop_thebe_nodes, priority=900)
    app.connect("html-page-context", drop_thebe_files, priority=900)
    app.connect("html-page-context", repair_links, priority=900)
    app.connect("build-finished", copy_mathjax)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}


def repair_theme_options(app: Sphinx, config: Config) -> None:
    """Serve MathJax from the book, one search bar, and a theme mode the theme knows."""
    config.mathjax_path = MATHJAX
    config.html_theme_options["navbar_persistent"] = []
    config.html_context["default_mode"] = "auto"


def copy_mathjax(app: Sphinx, error: Exception | None) -> None:
    """Copy the one MathJax file that the pages load out of sphinx-mathjax-offline."""
    spec = importlib.util.find_spec("sphinx-mathjax-offline")
    if error is not None or spec is None or spec.origin is None:
        return
    source = Path(spec.origin).parent / "static" / MATHJAX
    copy_asset(str(source), str(Path(app.outdir) / "_static" / "mathjax"))


def write_figures_and_tables(app: Sphinx, docname: str, source: list[str]) -> None:
    """Turn what show_figure and show_table left in a notebook into numbered directives.

    A figure stands where the prose asks for it by ``<!-- figure: name -->``, above the code that
    draws it, so that a chapter can begin with its answer.
    """
    chapters = [run["chapter"] for run in chapter_runs(app)]
    if not str(app.env.doc2path(docname)).endswith(".ipynb"):
        source[0] = link_chapters(source[0], chapters)
        return
    notebook = json.loads(source[0])
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            cell["source"] = link_chapters("".join(cell["source"]), chapters)
        elif "solution" in cell["metadata"].get("tags", []):
            hide_solution(cell["metadata"])
    makers = {FIGURE_MIME: figure_markdown, TABLE_MIME: table_markdown}
    outputs = [one for cell in notebook["cells"] for one in cell.get("outputs", [])]
    outputs = [one for one in outputs if "data" in one]
    pull_figures(docname, notebook["cells"], [one["data"] for one in outputs])
    reference = _reference(Path(app.srcdir) / "reference")
    replace_missing(notebook["cells"], outputs, reference_values(reference, docname))
    write_singulars(notebook["cells"], outputs)
    for output in outputs:
        data = output["data"]
        markdown = without_html("".join(data.get("text/markdown", ""))) or None
        for mime, maker in makers.items():
            if mime in data:
                data, markdown = {}, maker(docname, data[mime])
        output["data"] = {kind: data[kind] for kind in data if "vnd.dc2lib" not in kind}
        if "text/html" in data:
            output["data"]["text/html"] = "".join(data["text/html"]).replace(">NaN<", ">–<")
        if markdown is not None:
            output["data"]["text/markdown"] = link_chapters(markdown, chapters)
    source[0] = json.dumps(notebook)


def pull_figures(
    docname: str, cells: Sequence[dict[str, Any]], outputs: Sequence[dict[str, Any]]
) -> None:
    """Put figures where the prose asks for them, and a reference to them where they were drawn."""
    drawn = {one[FIGURE_MIME]["name"]: one for one in outputs if FIGURE_MIME in one}

    def directive(asked: re.Match[str]) -> str:
        output = drawn.get(asked[1])
        if output is None or FIGURE_MIME not in output:
            return ""
        shown = output.pop(FIGURE_MIME)
        output.pop("image/png", None)
        output["text/markdown"] = f"This draws {{numref}}`fig-{shown['name']}`."
        return figure_markdown(docname, shown)

    for cell in cells:
        if cell["cell_type"] == "markdown":
            cell["source"] = re.sub(ASKED_FIGURE, directive, "".join(cell["source"]))


def replace_missing(
    cells: Sequence[dict[str, Any]], outputs: Sequence[dict[str, Any]],
    values: Mapping[str, Any] | None = None,
) -> None:
    """Say what the reference run found where prose asks for a number that is not computed here.

    ``values``: as `reference_values`; without one, and for a figure, the words "not computed here".
    A bracket that holds nothing but a reference to what is not shown goes.
    """
    def instead(role: re.Match[str]) -> str:
        if role[0].startswith(" ("):  # nothing but a reference stands in these brackets
            return ""
        value = (values or {}).get(role["name"])
        if value is None:
            return "not computed here"
        return f"{value:{role['format'] or ''}} (reference run)"

    shown = [re.escape(one["data"][MISSING_MIME]) for one in outputs if MISSING_MIME in one["data"]]
    glued = [re.escape(one["metadata"]["scrapbook"]["name"]) for one in outputs
             if "nan" in one["data"].values()]
    missing = rf"{{numref}}`(?:fig|tab)-(?:{'|'.join(shown)})`"
    roles = [rf" \({missing}\)", missing] if shown else []
    roles.append(rf"{{glue:text}}`(?P<name>{'|'.join(glued)})(?::(?P<format>[^`]*))?`")
    for cell in cells:
        if (shown or glued) and cell["cell_type"] == "markdown":
            cell["source"] = re.sub("|".join(roles), instead, "".join(cell["source"]))


def write_singulars(
    cells: Sequence[dict[str, Any]], outputs: Sequence[dict[str, Any]]
) -> None:
    """Write "1 epoch" where a build has one of what the prose counts in the plural."""
    ones = [re.escape(one["metadata"]["scrapbook"]["name"]) for one in outputs
            if "scrapbook" in one.get("metadata", {})
            and any(ONE.fullmatch(str(value).strip("'")) for value in one["data"].values())]
    counted = re.compile(rf"({{glue:text}}`(?:{'|'.join(ones)})(?::[^`]*)?` (?:{COUNTED}))(?=\W)")
    for cell in cells:
        if ones and cell["cell_type"] == "markdown":
            cell["source"] = counted.sub(lambda found: found[1][:-1], "".join(cell["source"]))


def reference_values(reference: Reference | None, chapter: str) -> dict[str, Any]:
    """What the reference run recorded in a chapter, by the names under which prose asks for it.

    That is the key, or, where it is recorded more than once, the key with the values of its tags,
    in the order of the tags' names.
    """
    if reference is None:
        return {}
    own = reference.results[reference.results["chapter"] == chapter].dropna(subset=["value"])
    tags = sorted(set(own) - NO_TAGS)
    repeated = own["key"].duplicated(keep=False)
    return {
        "_".join([row["key"], *(str(row[tag]) for tag in tags if again and pd.notna(row[tag]))]):
        row["value"]
        for row, again in zip(own.to_dict("records"), repeated, strict=True)
    }


@cache
def _reference(folder: Path) -> Reference | None:
    return load_reference(folder)


def link_chapters(text: str, chapters: Sequence[str]) -> str:
    """Point links and glue that name a chapter's Markdown file at its executed notebook."""
    if not chapters:
        return text
    names = "|".join(map(re.escape, chapters))
    return re.sub(rf"(?<=[(`])({names})\.md(?=[)#]|::)", r"\1.ipynb", text)


def without_html(markdown: str) -> str:
    """What a chapter shows without tags: it comes from data, and a mark may be called like one.

    >>> without_html("the mark <script>alert(1)</script>, p < 0.05")
    'the mark &lt;script>alert(1)&lt;/script>, p < 0.05'
    """
    return re.sub(r"<(?=[A-Za-z/!?])", "&lt;", markdown)


def hide_solution(metadata: dict[str, Any]) -> None:
    """Fold a cell tagged ``solution``, with its outputs, until a reader asks for it."""
    metadata["tags"] = [*metadata["tags"], "hide-cell"]
    metadata["mystnb"] = {
        "code_prompt_show": "Show the code and its result",
        "code_prompt_hide": "Hide the code and its result",
        **metadata.get("mystnb", {}),
    }


def figure_markdown(docname: str, shown: Mapping[str, str]) -> str:
    """Return the MyST directive of one figure, with links to its files in the legend."""
    path = f"figures/{docname}/{shown['name']}"
    return (
        f"```{{figure}} {path}.png\n:name: fig-{shown['name']}\n:alt: {shown['alt']}\n\n"
        f"{without_html(shown['caption'])}\n\n"
        f"{{download}}`Figure as SVG <{path}.svg>` · {{download}}`data as CSV <{path}.csv>`\n```"
    )


def table_markdown(docname: str, shown: Mapping[str, Any]) -> str:
    """Return the MyST directive of one table and the link to its file.

    Its fence is one of tildes, behind which a caption may hold `code`.
    """
    path = f"figures/{docname}/{shown['name']}"
    table = pd.DataFrame(shown["rows"], columns=shown["header"])
    return (
        f"~~~{{table}} {without_html(shown['caption'])}\n:name: tab-{shown['name']}\n\n"
        f"{without_html(markdown_table(table, shown['numeric']))}\n~~~\n\n"
        f"{{download}}`Table as CSV <{path}.csv>`"
    )


class ChapterStatus(SphinxDirective):
    """A table of what each chapter was executed with, and the versions that all ran with."""

    def run(self) -> list[nodes.Node]:
        """Return the table and the versions."""
        runs = chapter_runs(self.env.app)
        results = Path(self.env.srcdir) / "results.json"
        self.env.note_dependency(str(results))
        rows = json.loads(results.read_text(encoding="utf-8") or "[]") if results.exists() else []
        return self.parse_text_to_nodes(f"{status_table(runs)}\n\n{versions_markdown(rows)}")


def status_table(runs: Sequence[Mapping[str, Any]]) -> str:
    """Return one row a chapter: profile, data source, seeds, time, date and hash."""
    rows = [
        {
            "chapter": f"{{doc}}`{run['chapter']}`",
            "profile": run["profile"],
            "data source": run["data_source"] or "–",
            "seeds": ", ".join(f"{k} = {v}" for k, v in (run["seeds"] or {}).items()) or "–",
            "took": f"{run['duration']:.1f} s",
            "executed": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(run["started"])),
            "hash": f"`{run['hash'][:12]}`",
        }
        for run in runs
    ]
    return markdown_table(pd.DataFrame(rows))


def versions_markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the versions under which results were recorded, and by which chapters."""
    used: dict[str, dict[str, None]] = {}
    for row in rows:
        versions = ", ".join(f"{name} {version}" for name, version in row["versions"].items())
        used.setdefault(versions, {})[row["chapter"]] = None
    if len(used) == 1:
        return f"All recorded their results with {next(iter(used))}."
    lines = [f"- {versions}: {', '.join(chapters)}" for versions, chapters in used.items()]
    return "\n".join(["Versions differ between chapters:", "", *lines]) if lines else ""


def drop_thebe_nodes(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Leave out the settings of live code, which the book does not have."""
    for raw in [n for n in doctree.findall(nodes.raw) if "x-thebe-config" in n.astext()]:
        raw.parent.remove(raw)


def drop_thebe_files(
    app: Sphinx, pagename: str, template: str, context: dict[str, Any], doctree: Any
) -> None:
    """Leave out sphinx-thebe's files: Sphinx registers its script twice, which throws."""
    for kind in ("script_files", "css_files"):
        files = context.get(kind, [])
        context[kind] = [file for file in files if "thebe" not in _asset_text(file)]


def repair_links(
    app: Sphinx, pagename: str, template: str, context: dict[str, Any], doctree: Any
) -> None:
    """Point edit links at the chapter's Markdown and Colab at the published notebook.

    Binder opens the notebook beside the Markdown file, which ``postBuild`` makes there.
    """
    branch = app.config.html_theme_options.get("repository_branch", "main")
    book = app.config.html_theme_options.get("path_to_docs", "book")
    for button in _buttons(context.get("header_buttons", [])):
        url = button.get("url", "")
        if "/github/" in url and "colab" in url:
            url = url.replace(
                f"/blob/{branch}/{book}/{pagename}.", f"/blob/gh-pages/_sources/{pagename}."
            )
        elif "/edit/" in url:
            url = url.replace(f"{pagename}.ipynb", f"{pagename}.md")
        button["url"] = url


def _buttons(entries: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for entry in entries:
        yield from _buttons(entry.get("buttons", []))
        if entry.get("url"):
            yield entry


def _asset_text(asset: Any) -> str:
    attributes = getattr(asset, "attributes", {})
    return f"{getattr(asset, 'filename', asset)} {attributes.get('body', '')}"


def chapter_runs(app: Sphinx) -> list[dict[str, Any]]:
    """Return what is known about the run of each executed chapter."""
    path = Path(app.srcdir) / "build.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
