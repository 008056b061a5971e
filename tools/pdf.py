"""Print the built book into one PDF: title page, contents with page numbers, bookmarks.

Usage: python -m tools.pdf [_build/html] [--output FILE] [--skip api]

Each page is printed by headless Chromium, in the order of ``_toc.yml``; pypdf joins the prints,
turns links between pages into links inside the PDF, and numbers the pages.
"""

from __future__ import annotations

import argparse
import asyncio
import html as markup
import io
import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urldefrag, urlparse

import yaml
from pypdf import PdfReader, PdfWriter
from pypdf.generic import ArrayObject, DictionaryObject, FloatObject, NameObject, NullObject

from dc2lib.files import replacing
from tools.browser import BROWSERS, Tab, find_browser, open_tab
from tools.chapters import page_names
from tools.errors import BuildError
from tools.publish import publication_url, repository_url

ROOT = Path(__file__).resolve().parents[1]
OUTPUT = Path("_build") / "deepchrome2-book.pdf"
STYLE = Path(__file__).with_name("print.css")
PAPER: dict[str, Any] = {
    "paperWidth": 8.27,
    "paperHeight": 11.69,
    "marginTop": 0.7,
    "marginBottom": 0.8,
    "marginLeft": 0.75,
    "marginRight": 0.75,
    "printBackground": True,
    "preferCSSPageSize": False,
}
# Chromium writes a destination into the print only where a link of the same page leads to it.
PREPARE = """
(async () => {
  const style = document.createElement('style');
  style.textContent = STYLE;
  document.head.append(style);
  if (window.MathJax && MathJax.startup && MathJax.startup.promise) await MathJax.startup.promise;
  for (const img of document.images) img.loading = 'eager';
  await Promise.all([...document.images].map(img => img.decode().catch(() => null)));
  for (const fold of document.querySelectorAll('details')) {
    const code = fold.classList.contains('hide') && !fold.open && !fold.closest('.tag_solution');
    fold.classList.add(code && !fold.querySelector('.cell_output') ? 'folded' : 'unfolded');
    fold.open = true;
  }
  for (const line of document.querySelectorAll('p:has(> a.download)')) {
    const rest = line.cloneNode(true);
    rest.querySelectorAll('a.download').forEach(link => link.remove());
    if (!/\\w/.test(rest.textContent)) line.remove();
  }
  const article = document.querySelector('article.bd-article');
  const sections = [...article.querySelectorAll('section[id]')].map(section => section.id);
  for (const id of new Set([...WANTED, ...sections])) {
    if (!document.getElementById(id)) continue;
    const link = document.createElement('a');
    link.href = '#' + id;
    article.append(link);
  }
  return JSON.stringify([...article.querySelectorAll('h1, h2')].map(h => {
    const text = h.cloneNode(true);
    text.querySelectorAll('.headerlink').forEach(link => link.remove());
    const section = h.closest('section');
    return [+h.tagName[1], text.textContent.trim(), section ? section.id : ''];
  }));
})()
"""


@dataclass
class Part:
    """The print of one page of the book."""

    name: str
    pdf: bytes
    headings: list[tuple[int, str, str]]
    first: int = 0
    places: dict[str, tuple[int, float]] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """Its first heading, with the number of the chapter."""
        return next((text for level, text, _ in self.headings if level == 1), self.name)


def print_book(html: Path, names: Sequence[str], facts: Sequence[str]) -> bytes:
    """Return the pages of a built book as one PDF.

    Parameters
    ----------
    html
        Folder of the built book.
    names
        Pages in reading order, without ``.html``.
    facts
        Lines for the title page; the first is the title, the second the authors.

    Raises
    ------
    BuildError
        If there is no Chromium, or a page has not been built.
    """
    missing = [name for name in names if not (html / f"{name}.html").exists()]
    if missing or not names:
        raise BuildError(f"{html} holds no page {', '.join(missing) or 'at all'}: make book")
    if find_browser() is None:
        raise BuildError(
            f"needs Chromium to print: none of {', '.join(BROWSERS)} is installed "
            "(Debian and Ubuntu: apt install chromium)"
        )
    return asyncio.run(_print(html, names, facts))


def wanted_places(html: Path, names: Iterable[str]) -> dict[str, set[str]]:
    """Return, for each page, the anchors that any of the pages links to."""
    wanted: dict[str, set[str]] = {name: set() for name in names}
    for name in wanted:
        text = (html / f"{name}.html").read_text()
        for link in re.findall(r"""href=["']([^"']*#[^"']+)""", text):
            target, anchor = urldefrag(markup.unescape(link))
            page = target.removesuffix(".html") or name
            if page in wanted:
                wanted[page].add(unquote(anchor))
    return wanted


def join(parts: Sequence[Part], front: bytes) -> PdfWriter:
    """Join the front matter and the prints; add bookmarks and links, and number the pages."""
    writer = PdfWriter()
    writer.append(PdfReader(io.BytesIO(front)), import_outline=False)
    for part in parts:
        reader = PdfReader(io.BytesIO(part.pdf))
        part.first = len(writer.pages)
        part.places = _places(reader)
        for page in reader.pages:
            writer.add_page(page)
    _link(writer, {part.name: part for part in parts})
    for part in parts:
        _bookmark(writer, part)
    return writer


def contents_html(facts: Sequence[str], entries: Sequence[tuple[int, str, int, str]]) -> str:
    """Return title page and contents; an entry is level, text, page number and link."""
    title, authors, *lines = map(markup.escape, facts)
    rows = [
        f'<p class="level-{level}"><a href="{markup.escape(link)}">{markup.escape(text)}</a>'
        f"<span>{number}</span></p>"
        for level, text, number, link in entries
    ]
    return "\n".join([
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>',
        f"<style>{STYLE.read_text()}</style></head>",
        f'<body class="front"><div class="title-page"><h1>{title}</h1><p>{authors}</p>',
        *(f"<p>{line}</p>" for line in lines),
        '</div><div class="contents"><h2>Contents</h2>',
        *rows,
        "</div></body></html>",
    ])


async def _print(html: Path, names: Sequence[str], facts: Sequence[str]) -> bytes:
    wanted = wanted_places(html, names)
    async with open_tab() as tab:
        await tab.prefer("light")
        parts = [await _print_page(tab, html, name, wanted[name]) for name in names]
        entries = _entries(parts, html, 0)
        length = _page_count(await _print_text(tab, contents_html(facts, entries), html))
        front = await _print_text(
            tab, contents_html(facts, _entries(parts, html, length)), html
        )
        writer = join(parts, front)
        await _number_pages(tab, writer, length, html)
    writer.add_metadata({"/Title": facts[0], "/Author": facts[1]})
    for page in writer.pages:
        page.compress_content_streams()
    writer.compress_identical_objects()
    buffer = io.BytesIO()
    writer.write(buffer)
    return buffer.getvalue()


async def _print_page(tab: Tab, html: Path, name: str, wanted: set[str]) -> Part:
    await tab.resize(1000)
    await tab.open((html / f"{name}.html").as_uri())
    script = PREPARE.replace("STYLE", json.dumps(STYLE.read_text()))
    headings = json.loads(await tab.evaluate(script.replace("WANTED", json.dumps(sorted(wanted)))))
    pdf = await tab.pdf(**PAPER)
    return Part(name, pdf, [(level, text, place) for level, text, place in headings])


async def _print_text(tab: Tab, text: str, html: Path) -> bytes:
    """Print HTML that is no page of the book; its links are relative to the built book."""
    with tempfile.NamedTemporaryFile("w", suffix=".html", dir=html, encoding="utf-8") as file:
        file.write(text)
        file.flush()
        await tab.open(Path(file.name).as_uri())
        return await tab.pdf(**PAPER)


async def _number_pages(tab: Tab, writer: PdfWriter, front: int, html: Path) -> None:
    """Stamp each page after the first with its number."""
    count = len(writer.pages)
    pages = "".join(f'<div class="number">{number}</div>' for number in range(1, count + 1))
    text = f"<!doctype html><style>{STYLE.read_text()}</style><body class='numbers'>{pages}"
    margins = {key: 0 for key in PAPER if key.startswith("margin")}
    with tempfile.NamedTemporaryFile("w", suffix=".html", dir=html, encoding="utf-8") as file:
        file.write(text)
        file.flush()
        await tab.open(Path(file.name).as_uri())
        stamps = PdfReader(io.BytesIO(await tab.pdf(**{**PAPER, **margins})))
    for page, stamp in list(zip(writer.pages, stamps.pages, strict=False))[1:]:
        page.merge_page(stamp)


def _entries(
    parts: Sequence[Part], html: Path, front: int
) -> list[tuple[int, str, int, str]]:
    """Return the lines of the contents: each page of the book, and the number of its first page."""
    entries = []
    number = front + 1
    for part in parts:
        entries.append((1, part.title, number, f"{part.name}.html"))
        number += _page_count(part.pdf)
    return entries


def _page_count(pdf: bytes) -> int:
    return len(PdfReader(io.BytesIO(pdf)).pages)


def _places(reader: PdfReader) -> dict[str, tuple[int, float]]:
    """Return page and height of each named destination of a print."""
    numbers = {page.indirect_reference.idnum: i for i, page in enumerate(reader.pages)}
    found = {}
    for name, place in reader.named_destinations.items():
        page = place.raw_get("/Page") if hasattr(place, "raw_get") else place["/Page"]
        number = numbers.get(getattr(page, "idnum", -1))
        top = place.get("/Top")
        if number is not None:
            found[unquote(str(name).lstrip("/"))] = (number, float(top) if top else 800.0)
    return found


def _link(writer: PdfWriter, parts: Mapping[str, Part]) -> None:
    """Point the links of each page into the PDF; drop those to files that are not in it."""
    for name, first, last in _spans(writer, parts):
        for page in writer.pages[first:last]:
            kept = [
                annotation
                for annotation in page.get("/Annots", ArrayObject())
                if _relink(annotation.get_object(), name, parts, writer)
            ]
            page[NameObject("/Annots")] = ArrayObject(kept)


def _spans(writer: PdfWriter, parts: Mapping[str, Part]) -> list[tuple[str, int, int]]:
    starts = [("", 0), *((part.name, part.first) for part in parts.values())]
    ends = [first for _, first in starts[1:]] + [len(writer.pages)]
    return [(name, first, end) for (name, first), end in zip(starts, ends, strict=True)]


def _relink(
    annotation: DictionaryObject, name: str, parts: Mapping[str, Part], writer: PdfWriter
) -> bool:
    """Make one link lead to its place in the PDF; return whether to keep it."""
    if annotation.get("/Subtype") != "/Link":
        return True
    action = annotation.get("/A", DictionaryObject()).get_object()
    uri = action.get("/URI")
    if uri is not None and urlparse(str(uri)).scheme != "file":
        return True
    page, anchor = name, str(annotation.get("/Dest", action.get("/D", ""))).lstrip("/")
    if uri is not None:
        target, anchor = urldefrag(str(uri))
        page = Path(unquote(urlparse(target).path)).name.removesuffix(".html")
    if page not in parts:
        return False
    number, top = parts[page].places.get(unquote(anchor), (0, 800.0))
    place = ArrayObject([
        writer.pages[parts[page].first + number].indirect_reference,
        NameObject("/XYZ"), NullObject(), FloatObject(top), NullObject(),
    ])
    for key in ("/A", "/Dest"):
        annotation.pop(key, None)
    annotation[NameObject("/Dest")] = place
    return True


def _bookmark(writer: PdfWriter, part: Part) -> None:
    parent = writer.add_outline_item(title=part.title, page_number=part.first)
    for level, text, place in part.headings:
        if level == 2 and place in part.places:
            number, _ = part.places[place]
            writer.add_outline_item(title=text, page_number=part.first + number, parent=parent)


def title_facts(root: Path, html: Path) -> list[str]:
    """Return the lines of the title page: title, authors, version, and what the book ran on."""
    import dc2lib

    config = yaml.safe_load((root / "_config.yml").read_text())
    facts = [config["title"], config["author"]]
    results = root / "_build" / "results.json"
    rows = json.loads(results.read_text()) if results.exists() else []
    profiles = sorted({row["profile"] for row in rows if row.get("profile")})
    sources = sorted({row["data_source"] for row in rows if row.get("data_source")})
    date = time.strftime("%Y-%m-%d", time.gmtime((html / "index.html").stat().st_mtime))
    facts.append(f"Version {dc2lib.__version__}, pages made on {date}")
    if rows:
        facts.append(f"Profile {', '.join(profiles)}; data: {', '.join(sources)}")
    addresses = (
        publication_url(config["html"].get("baseurl") or "", os.environ),
        repository_url(config["repository"].get("url") or "", os.environ),
    )
    facts += filter(None, addresses)
    facts.append(
        "An independent companion of the paper DeepChrome 2.0 by Saurav Kadavath, Samuel Paradis "
        "and Jacob Yeung (arXiv:2209.11923)"
    )
    return facts


def main() -> int:
    """Print the book."""
    parser = argparse.ArgumentParser(prog="python -m tools.pdf", description=__doc__)
    parser.add_argument("html", type=Path, nargs="?", default=ROOT / "_build" / "html")
    parser.add_argument("--output", type=Path, default=ROOT / OUTPUT)
    parser.add_argument("--skip", action="append", default=[], help="a page to leave out")
    options = parser.parse_args()
    names = [name for name in page_names(ROOT / "_toc.yml") if name not in options.skip]
    html = options.html.resolve()
    try:
        if not (html / "index.html").exists():
            raise BuildError(f"{html} holds no built book: make book")
        content = print_book(html, names, title_facts(ROOT, html))
    except BuildError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    with replacing(options.output) as unfinished:
        unfinished.write_bytes(content)
    count = _page_count(content)
    print(f"{options.output}: {count} pages, {len(content) / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
