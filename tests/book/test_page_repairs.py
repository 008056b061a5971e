"""What stands below a chapter's title, and the repairs of written pages."""

import base64

import dc2display
import dc2pages
import numpy as np
import pandas as pd
import pytest
from dc2book.claims.reference import Reference
from dc2book.record.showing import FIGURE_MIME, MISSING_MIME
from docutils import nodes
from docutils.utils import new_document
from markdown_it import MarkdownIt
from PIL import Image

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5E"
    "rkJggg=="
)


def test_the_block_stands_below_the_first_heading():
    assert dc2pages.below_title("# A\n\nText\n# B\n", "X") == "# A\n\nX\n\nText\n# B\n"
    assert dc2pages.below_title("(label)=\n# A", "X") == "(label)=\n# A\n\nX\n"
    assert dc2pages.below_title("No heading.", "X") == "No heading."


@pytest.mark.parametrize("where", ["prerequisites", "dc2lib"])
def test_prerequisites_are_linked_where_they_are_pages(where):
    named = ["data", "some algebra"]
    metadata = {where: named if where == "prerequisites" else {"prerequisites": named}}
    notebook = {"metadata": metadata, "cells": []}
    run = {"chapter": "a", "sources": ["roadmap"], "profile": "quick", "duration": 3}
    about = dc2pages.about_chapter(notebook, run, {"data"})
    assert "**You need** {doc}`data`, some algebra" in about
    assert "data.zip" not in about
    assert "**To run** 3 s" in about


def test_markup_that_keeps_people_out_is_repaired(tmp_path):
    text = dc2pages.polished(
        '<div role="doc-biblioentry"></div><section id="exercise-content"></section>'
        '<div id="pst-primary-sidebar" class="x"></div>',
        tmp_path,
    )
    assert text == (
        '<div role="listitem"></div><section></section>'
        '<div role="complementary" aria-label="Book" id="pst-primary-sidebar" class="x"></div>'
    )


def test_heavy_images_become_lighter_and_keep_their_size(tmp_path):
    grey = np.random.default_rng(0).integers(0, 200, size=(400, 400), dtype=np.uint8)
    path = tmp_path / "a.png"
    Image.fromarray(np.stack([grey] * 3, axis=-1)).save(path)
    before = path.stat().st_size
    dc2pages.lighten(path)
    assert path.stat().st_size < before
    with Image.open(path) as image:
        assert np.array_equal(np.asarray(image.convert("RGB"))[..., 0], grey)
    (tmp_path / "b.png").write_bytes(PIXEL)
    dc2pages.lighten(tmp_path / "b.png")
    assert (tmp_path / "b.png").read_bytes() == PIXEL


def test_cells_with_sentences_are_marked():
    long = "what bounds this stage is said in more words than fit into a narrow column"
    entries = [nodes.entry("", nodes.paragraph(text=words)) for words in ("2.5", long)]
    document = new_document("page")
    document += nodes.table("", *entries)
    dc2pages.mark_sentences_in_tables(None, document)
    assert [entry["classes"] for entry in entries] == [[], ["sentence"]]


def test_a_figure_stands_where_the_prose_asks_for_it():
    figure = {"name": "a-b", "alt": "What is seen.", "caption": "A figure."}
    cells = [
        {"cell_type": "markdown", "source": "# Title\n\n<!-- figure: a-b -->\n<!-- figure: c -->"},
        {"cell_type": "code", "source": "<!-- figure: a-b -->"},
    ]
    drawn, other = {FIGURE_MIME: figure, "image/png": ""}, {FIGURE_MIME: {**figure, "name": "d"}}
    dc2display.pull_figures("page", cells, [drawn, other])
    assert cells[0]["source"] == f"# Title\n\n{dc2display.figure_markdown('page', figure)}\n"
    assert drawn == {"text/markdown": "This draws {numref}`fig-a-b`."}
    assert other[FIGURE_MIME]["name"] == "d"
    assert cells[1]["source"] == "<!-- figure: a-b -->"


def test_what_is_not_computed_is_said_in_words():
    asked = "{numref}`fig-a-b`, {glue:text}`x:.0%`, {glue:text}`x`, {numref}`tab-c`, {glue:text}`y`"
    cells = [{"cell_type": "markdown", "source": asked}]
    glued = [{"data": {"glued": value}, "metadata": {"scrapbook": {"name": name}}}
             for name, value in (("x", "nan"), ("y", "0.5"))]
    dc2display.replace_missing(cells, glued[1:])
    assert cells[0]["source"] == asked
    dc2display.replace_missing(cells, [*glued, {"data": {MISSING_MIME: "a-b"}}])
    said = ", ".join(["not computed here"] * 3)
    assert cells[0]["source"] == said + ", {numref}`tab-c`, {glue:text}`y`"
    cells[0]["source"] = "no table ({numref}`fig-a-b`), two ({numref}`fig-a-b`, {numref}`tab-c`)."
    dc2display.replace_missing(cells, [{"data": {MISSING_MIME: "a-b"}}])
    assert cells[0]["source"] == "no table, two (not computed here, {numref}`tab-c`)."
    cells[0]["source"] = asked
    dc2display.replace_missing(cells, glued, {"x": 0.25, "y": 9})
    assert cells[0]["source"] == (
        "{numref}`fig-a-b`, 25% (reference run), 0.25 (reference run), {numref}`tab-c`, "
        "{glue:text}`y`")


def test_one_epoch_is_no_plural():
    prose = ("{glue:text}`n` epochs, {glue:text}`n:.0f` worlds and {glue:text}`m` epochs, "
             "in {glue:text}`in_words` cell types, {glue:text}`nn` epochs, {glue:text}`n` setsize")
    cells = [{"cell_type": "markdown", "source": prose}, {"cell_type": "code", "source": prose}]
    glued = [{"data": {"text": value}, "metadata": {"scrapbook": {"name": name}}}
             for name, value in (("n", "1"), ("m", "21"), ("in_words", "'0 of 1'"), ("nn", "1.5"))]
    dc2display.write_singulars(cells, glued)
    assert cells[0]["source"] == (
        "{glue:text}`n` epoch, {glue:text}`n:.0f` world and {glue:text}`m` epochs, "
        "in {glue:text}`in_words` cell type, {glue:text}`nn` epochs, {glue:text}`n` setsize")
    assert cells[1]["source"] == prose


def test_values_of_the_reference_run_go_by_the_names_of_prose():
    rows = [{"chapter": "data", "key": "gap", "value": 0.5, "n": 3, "data_source": "roadmap"},
            {"chapter": "data", "key": "auroc", "value": 0.8, "cell": "E012", "labels": "numeric"},
            {"chapter": "data", "key": "auroc", "value": 0.9, "cell": "E013", "labels": "numeric"},
            {"chapter": "audit", "key": "gap", "value": 0.1},
            {"chapter": "data", "key": "x", "value": None}]
    reference = Reference(pd.DataFrame(rows), {})
    assert dc2display.reference_values(reference, "data") == {
        "gap": 0.5, "auroc_E012_numeric": 0.8, "auroc_E013_numeric": 0.9}
    assert dc2display.reference_values(None, "data") == {}


def test_a_caption_with_code_stays_the_title_of_its_table():
    shown = {"name": "a", "caption": "`make data`, killed", "header": ["x"], "rows": [["1"]],
             "numeric": [True]}
    directive, *_ = MarkdownIt().parse(dc2display.table_markdown("page", shown))
    assert directive.type == "fence" and directive.info == "{table} `make data`, killed"
    assert directive.content.startswith(":name: tab-a\n\n|")
