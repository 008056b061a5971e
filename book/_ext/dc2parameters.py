"""Directives of the page on rerunning, filled in from the chapters when pages are made.

``{chapter-parameters}``: every parameter of every chapter, its meaning, its value per profile.
``{chapter-costs}``: how long each chapter took when it last ran, and at most.
``{compare-example}``: what `make compare` says of two cell types of the reference run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from dc2book.record.showing import SOURCE_NAMES
from dc2book.style import markdown_table
from dc2pages import duration_text
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

FILE = "parameters.json"


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directives with Sphinx."""
    app.add_directive("chapter-parameters", ChapterParameters)
    app.add_directive("chapter-costs", ChapterCosts)
    app.add_directive("compare-example", CompareExample)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}


class ChapterParameters(SphinxDirective):
    """One folded table a chapter."""

    def run(self) -> list[nodes.Node]:
        """Return the tables."""
        pages = self.env.found_docs
        tables = [
            parameters_markdown(table, table["chapter"] in pages)
            for table in _content(self).get("parameters", [])
        ]
        text = "\n\n".join(tables)
        return self.parse_text_to_nodes(text or "*No chapter has parameters.*")


class ChapterCosts(SphinxDirective):
    """One row a chapter, one column a profile."""

    def run(self) -> list[nodes.Node]:
        """Return the table."""
        return self.parse_text_to_nodes(costs_markdown(_content(self).get("costs", [])))


class CompareExample(SphinxDirective):
    """The comparison as a block of text."""

    def run(self) -> list[nodes.Node]:
        """Return the block."""
        text = _content(self).get("comparison", "")
        return [nodes.literal_block(text, text, language="text")]


def parameters_markdown(table: Mapping[str, Any], linked: bool) -> str:
    """Return the parameters of one chapter as a folded Markdown table."""
    rows = pd.DataFrame([
        {"parameter": f"`{row['name']}`", "meaning": row["meaning"],
         "default": _value(row["default"], as_set=False)}
        | {profile: _value(value, as_set=True) for profile, value in row["values"].items()}
        for row in table["parameters"]
    ])
    name = table["chapter"]
    return "\n".join([
        f":::{{dropdown}} `{name}`: {len(rows)} parameter{'s' * (len(rows) != 1)}",
        ":class-container: chapter-parameters",
        *(["", f"Of {{doc}}`{name}`", ""] if linked else [""]),
        markdown_table(rows, [False] * len(rows.columns)),
        ":::",
    ])


def costs_markdown(costs: Sequence[Mapping[str, Any]]) -> str:
    """Return the durations as a Markdown table."""
    if not costs:
        return "*No chapter has been executed yet.*"
    timed = {cost["profile"] for cost in costs}
    profiles = [name for name in ("smoke", "quick", "reference", "paper") if name in timed]
    by_place = {(cost["chapter"], cost["profile"]): cost for cost in costs}
    table = pd.DataFrame([
        {"chapter": f"`{name}`"} | {one: _cost(by_place.get((name, one))) for one in profiles}
        for name in dict.fromkeys(cost["chapter"] for cost in costs)
    ])
    table.loc[len(table)] = ["one after another", *(
        duration_text(sum(cost["seconds"] for cost in costs if cost["profile"] == one))
        for one in profiles)]
    return markdown_table(table, [False, *[True] * len(profiles)])


def _cost(cost: Mapping[str, Any] | None) -> str:
    if cost is None:
        return "–"
    source = SOURCE_NAMES.get(cost["data_source"] or "", "")
    about = [words for words in (source, "reference run" * (cost["where"] != "here")) if words]
    longest = [f"up to {duration_text(cost['longest'])}"] if "longest" in cost else []
    about = [*longest, *about]
    return duration_text(cost["seconds"]) + (f" ({', '.join(about)})" if about else "")


def _value(value: Any, as_set: bool) -> str:
    """Write a value as in the parameters cell; one that a profile leaves alone as a dash."""
    if value is None and as_set:
        return "–"
    if isinstance(value, str) and value.startswith("`"):
        return value
    written = json.dumps(value) if isinstance(value, str) else repr(value)
    return f"`{written}`"


def _content(directive: SphinxDirective) -> dict[str, Any]:
    path = Path(directive.env.srcdir) / FILE
    directive.env.note_dependency(str(path))
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
