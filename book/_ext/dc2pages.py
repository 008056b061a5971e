"""What a page says about itself, and how its HTML is made lighter and easier to use.

- Below the title of each chapter: time to read and to run, profile, data, needs, downloads.
- Images state their size and load when they come into view; a click opens the vector version.
- Cells of tables that hold sentences are marked: they get room where the table scrolls.
- Repairs of what axe finds in the theme's and the extensions' HTML.
"""

from __future__ import annotations

import html
import json
import math
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dc2book.prose import reading_minutes
from dc2book.record.images import lighter_png
from dc2book.record.showing import SOURCE_NAMES
from dc2display import chapter_runs
from docutils import nodes
from PIL import Image
from sphinx.application import Sphinx

SENTENCE = 50
NOT_SHIPPED = ("*.map", "*.ttf")
REPAIRS = (
    # ARIA has dropped the role that docutils gives to entries of a bibliography.
    (' role="doc-biblioentry"', ' role="listitem"'),
    # sphinx-exercise repeats these ids on one page; nothing refers to them.
    (' id="exercise-content"', ""),
    (' id="solution-content"', ""),
    # The theme's sidebar holds content outside of any landmark.
    ('<div id="pst-primary-sidebar"', '<div role="complementary" aria-label="Book" '
     'id="pst-primary-sidebar"'),
)
AD = re.compile(
    r'<div class="sidebar-primary-item">\s*<div id="ethical-ad-placement".*?</div></div>', re.DOTALL
)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register everything with Sphinx."""
    app.connect("source-read", introduce_chapter, priority=600)
    app.connect("doctree-read", mark_sentences_in_tables)
    app.connect("build-finished", finish_pages, priority=900)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}


def mark_sentences_in_tables(app: Sphinx, doctree: nodes.document) -> None:
    """Give cells that hold a sentence a class, so that they stay readable on a narrow page."""
    for entry in doctree.findall(nodes.entry):
        if len(entry.astext()) > SENTENCE:
            entry["classes"].append("sentence")


SMOKE = """:::{warning}
This build used the profile *smoke*: enough to see that everything runs.
Numbers of models trained here mean nothing, in sentences and figures alike.
Published numbers are the same in every build.
The words of a sentence are those of the reference run, and a mark says whether they hold here.
Its numbers are those of this build, unless the sentence says otherwise.
:::"""


def introduce_chapter(app: Sphinx, docname: str, source: list[str]) -> None:
    """Say below the title of a chapter what it takes and what can be taken away from it."""
    run = next((run for run in chapter_runs(app) if run["chapter"] == docname), None)
    if run is None or docname == app.config.root_doc:
        return
    notebook = json.loads(source[0])
    first = next(cell for cell in notebook["cells"] if cell["cell_type"] == "markdown")
    about = about_chapter(notebook, run, set(app.env.found_docs))
    first["source"] = below_title("".join(first["source"]), about)
    source[0] = json.dumps(notebook)


def about_chapter(notebook: Mapping[str, Any], run: Mapping[str, Any], pages: set[str]) -> str:
    """Return the Markdown of what stands below a chapter's title."""
    text = "\n".join(
        "".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "markdown"
    )
    name = run["chapter"]
    facts = {
        "To read": f"{max(1, math.ceil(reading_minutes(text)))} min",
        "To run": duration_text(run["duration"]) if run.get("duration") else "",
        "Data": "; ".join(SOURCE_NAMES[one] for one in run["sources"]) or "none of its own",
        "Profile": run["profile"],
        "You need": _prerequisites(notebook["metadata"], pages),
    }
    files = {
        "executed notebook": f"_sources/{name}.ipynb",
        **({"without solutions": f"_sources/{name}-student.ipynb"} if "{exercise}" in text else {}),
        "source": f"_sources/{name}.md",
        **({"data of its figures": f"_sources/{name}-data.zip"} if run.get("shows") else {}),
    }
    links = [f'<a href="{path}" download>{words}</a>' for words, path in files.items()]
    facts["Download"] = ", ".join(links)
    lines = [f"**{what}** {fact}" for what, fact in facts.items() if fact]
    block = "\n".join(["```{container} chapter-about", " · ".join(lines), "```"])
    return f"{block}\n\n{SMOKE}" if run["profile"] == "smoke" else block


def below_title(text: str, block: str) -> str:
    """Return Markdown with a block after its first heading."""
    found = re.search(r"^# .*\n?", text, flags=re.MULTILINE)
    if found is None:
        return text
    return f"{text[: found.start()]}{found[0].rstrip()}\n\n{block}\n{text[found.end() :]}"


def duration_text(seconds: float) -> str:
    """Return a duration to two figures, in the unit that fits."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def finish_pages(app: Sphinx, error: Exception | None) -> None:
    """Repair every written page and drop files that no page loads."""
    folder = Path(app.outdir)
    if error is not None or app.builder.format != "html":
        return
    for pattern in NOT_SHIPPED:
        for file in (folder / "_static").rglob(pattern):
            file.unlink()
    shutil.rmtree(folder / "_static" / "locales", ignore_errors=True)
    for image in (folder / "_images").glob("*.png"):
        lighten(image)
    for page in folder.glob("*.html"):
        page.write_text(polished(page.read_text(encoding="utf-8"), folder), encoding="utf-8")


def polished(text: str, folder: Path) -> str:
    """Return the HTML of a page in a folder with the repairs of this module."""
    for wrong, right in REPAIRS:
        text = text.replace(wrong, right)
    text = AD.sub("", text)
    text = re.sub(r"<img\b[^>]*>", lambda found: _sized(found[0], folder), text)
    return re.sub(r"<figure\b.*?</figure>", lambda found: _opened(found[0]), text, flags=re.DOTALL)


def lighten(image: Path) -> None:
    """Write a PNG with a palette of 256 colours if that is smaller; its SVG keeps them all."""
    content = image.read_bytes()
    lighter = lighter_png(content)
    if len(lighter) < len(content):
        image.write_bytes(lighter)


def image_size(path: Path) -> tuple[int, int] | None:
    """Return width and height of a PNG in pixels; None for anything else."""
    if path.suffix != ".png" or not path.exists():
        return None
    with Image.open(path) as image:
        return image.size


def _prerequisites(metadata: Mapping[str, Any], pages: set[str]) -> str:
    named = metadata.get("prerequisites") or metadata.get("dc2lib", {}).get("prerequisites") or []
    if isinstance(named, str):
        return named
    return ", ".join(f"{{doc}}`{name}`" if name in pages else str(name) for name in named)


def _sized(image: str, folder: Path) -> str:
    name = re.search(r' src="([^":?]+)', image)
    size = image_size(folder / html.unescape(name[1])) if name else None
    if size is None or " width=" in image or " style=" in image:
        return image
    extra = f' width="{size[0]}" height="{size[1]}" loading="lazy" decoding="async"'
    return re.sub(r"\s*/?>$", f"{extra} />", image)


def _opened(figure: str) -> str:
    """Let a click on a figure open its vector version."""
    vector = re.search(r'href="(_downloads/[^"]+\.svg)"', figure)
    if vector is None or "vector-version" in figure:
        return figure
    link = f'<a class="vector-version" href="{vector[1]}" title="Open as SVG">'
    return re.sub(r"(<img\b[^>]*>)", rf"{link}\1</a>", figure, count=1)
