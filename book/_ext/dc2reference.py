"""The directive that shows a recorded quantity of this build beside the committed reference run.

    ```{reference-run} stage_auroc
    :by: model, stage
    ```

It is filled in when pages are made, so a new reference run reruns no chapter.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
from dc2book.claims.recorded import compare_runs
from dc2book.claims.reference import Reference, load_reference
from dc2book.record.showing import SOURCE_NAMES
from dc2book.style import markdown_table
from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

NO_REFERENCE = "*No reference run has been made yet.*"


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directive with Sphinx."""
    app.add_directive("reference-run", ReferenceRun)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}


class ReferenceRun(SphinxDirective):
    """A table of one recorded quantity: tags, this build, reference run."""

    required_arguments = 1
    option_spec = {  # noqa: RUF012
        "by": directives.unchanged_required,
        "only": directives.unchanged,
        "chapter": directives.unchanged,
    }

    def run(self) -> list[nodes.Node]:
        """Return the table with a sentence on the reference run."""
        folder = Path(self.env.srcdir)
        for file in (folder / "results.json", *sorted((folder / "reference").glob("*.json"))):
            self.env.note_dependency(str(file))
        chapter = self.options.get("chapter", self.env.docname)
        text = reference_markdown(
            _build_results(folder),
            load_reference(folder / "reference"),
            chapter,
            self.arguments[0],
            _words(self.options.get("by", "")),
            dict(pair.split("=") for pair in _words(self.options.get("only", ""))),
        )
        return self.parse_text_to_nodes(text)


def reference_markdown(
    build: pd.DataFrame | None,
    reference: Reference | None,
    chapter: str,
    key: str,
    by: list[str],
    only: dict[str, str],
) -> str:
    """The directive's content as Markdown."""
    if reference is None:
        return NO_REFERENCE
    table = compare_runs(build, reference.results, chapter, key, by, only)
    if table.empty:
        return f"*The reference run recorded no {key.replace('_', ' ')} on this page.*"
    words = key.replace("_", " ").replace("auroc", "AUROC")
    shown = None if build is None or build.empty else build[
        (build["chapter"] == chapter) & (build["key"] == key)]
    about = f"*{words[0].upper()}{words[1:]}, means over cell types. {_origin(shown)}"
    return f"{markdown_table(table)}\n\n{about}Reference run: {reference.sentence()}.*"


def _origin(build: pd.DataFrame | None) -> str:
    if build is None or build.empty:
        return ""
    profile = "/".join(sorted(set(build["profile"].dropna().astype(str))))
    found = set(build["data_source"].dropna())
    source = " and ".join(name for key, name in SOURCE_NAMES.items() if key in found)
    return f"This build: {source}, profile {profile}. "


def _build_results(folder: Path) -> pd.DataFrame | None:
    path = folder / "results.json"
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    return pd.DataFrame(json.loads(text)) if text.strip() else None


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]
