"""Print the built book into one PDF: title page, contents with page numbers, bookmarks.

Usage: python -m tools.pdf [_build/html] [--output FILE] [--whole]

Library reference, benchmarks, status, tables of parameters and solutions of exercises stay online,
unless the whole is asked for.

The pages become one long page in the order of ``_toc.yml``, which headless Chromium prints: links
between pages lead inside the PDF, and headings become bookmarks.
"""

from __future__ import annotations

import argparse
import html as markup
import io
import logging
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urldefrag, urlparse

from bs4 import BeautifulSoup

from dc2lib.files import atomic_write
from tools.browser import open_browser
from tools.chapters import page_names, read_yaml
from tools.compare import read_run
from tools.errors import BuildError, exit_code
from tools.publish import addresses

if TYPE_CHECKING:
    from bs4 import Tag
    from playwright.sync_api import Page

ROOT = Path(__file__).resolve().parents[1]
OUTPUT = Path("_build") / "deepchrome2-book.pdf"
ONLINE = ("api", "benchmarks", "status")
ONLINE_PARTS = ".tag_solution, .admonition.solution, .dc2quiz-solution, .chapter-parameters"
STYLE = Path(__file__).with_name("print.css")
WIDTH = {"width": 650, "height": 900}  # what print.css leaves of A4
PATIENCE_MS = 600_000
# Code and tables of more lines may break over pages.
PREPARE = """
async () => {
  const LONG_CODE = 14, LONG_TABLE = 15;
  if (window.MathJax && MathJax.startup && MathJax.startup.promise) await MathJax.startup.promise;
  for (const img of document.images) img.loading = 'eager';
  await Promise.all([...document.images].map(img => img.decode().catch(() => null)));
  for (const fold of document.querySelectorAll('details')) {
    const code = fold.classList.contains('hide') && !fold.open && !fold.closest('.tag_solution');
    fold.classList.add(code && !fold.querySelector('.cell_output') ? 'folded' : 'unfolded');
    fold.open = true;
  }
  for (const code of document.querySelectorAll('.cell_input, .highlight'))
    if (code.textContent.trim().split('\\n').length > LONG_CODE) code.classList.add('long');
  for (const table of document.querySelectorAll('.chapter table')) {
    table.classList.toggle('long', table.rows.length > LONG_TABLE);
    table.classList.toggle('wide', table.offsetWidth > table.closest('.chapter').clientWidth);
  }
  for (const line of document.querySelectorAll('p:has(> a.download)')) {
    const rest = line.cloneNode(true);
    rest.querySelectorAll('a.download').forEach(link => link.remove());
    if (!/\\w/.test(rest.textContent)) line.remove();
  }
}
"""
NUMBER = """
numbers => document.querySelectorAll('.contents span').forEach((place, i) => {
  place.textContent = numbers[i];
})
"""


def print_book(
    html: Path, names: Sequence[str], facts: Sequence[str], solutions: bool = False
) -> bytes:
    """Return the pages of a built book, named in reading order, as one PDF.

    ``facts`` are lines for the title page: title, authors, others.  BuildError if Chromium,
    Playwright or pypdf is missing, or a page has not been built.
    """
    missing = [name for name in names if not (html / f"{name}.html").exists()]
    if missing or not names:
        raise BuildError(f"{html} holds no page {', '.join(missing) or 'at all'}: make book")
    try:
        from pypdf import PdfReader, PdfWriter
    except ImportError as error:
        raise BuildError("pypdf is missing: make env") from error
    logging.getLogger("pypdf").setLevel(logging.ERROR)  # Chromium miscounts its objects by a few
    whole = one_page(html, names, facts, solutions)
    with (
        tempfile.NamedTemporaryFile("w", suffix=".html", dir=html, encoding="utf-8") as file,
        open_browser() as browser,
    ):
        file.write(whole)
        file.flush()
        page = browser.new_page(viewport=WIDTH, color_scheme="light")
        page.set_default_timeout(PATIENCE_MS)
        page.goto(Path(file.name).as_uri())
        page.evaluate(PREPARE)
        first = PdfReader(io.BytesIO(_print(page)))
        places = {key.lstrip("/"): place for key, place in first.named_destinations.items()}
        page.evaluate(NUMBER, [first.get_destination_page_number(places[name]) + 1
                               for name in names])
        writer = PdfWriter(clone_from=io.BytesIO(_print(page)))
    writer.add_metadata({"/Title": facts[0], "/Author": facts[1]})
    buffer = io.BytesIO()
    writer.write(buffer)
    return buffer.getvalue()


def one_page(
    html: Path, names: Sequence[str], facts: Sequence[str], solutions: bool = False
) -> str:
    """Return title page, contents and all pages as one; each id has its page's name before it."""
    texts = {name: (html / f"{name}.html").read_text(encoding="utf-8") for name in names}
    pages = {name: BeautifulSoup(text, "html.parser") for name, text in texts.items()}
    # Only pages with formulas load MathJax.
    base = next((name for name, text in texts.items() if "mathjax" in text.lower()), names[0])
    articles = {name: _article(page, name, names) for name, page in pages.items()}
    for article in articles.values() if not solutions else ():
        for solution in article.select(ONLINE_PARTS):
            solution.decompose()
    titles = {name: _title(article) or name for name, article in articles.items()}
    body = "\n".join(
        f'<section class="chapter" id="{name}">{article.decode_contents()}</section>'
        for name, article in articles.items()
    )
    shell = pages[base]
    shell.head.append(shell.new_tag("style", string=STYLE.read_text(encoding="utf-8")))
    shell.title.string = facts[0]
    articles[base].clear()
    articles[base].append("BOOK")
    return str(shell).replace("BOOK", front_matter(facts, titles) + body, 1)


def front_matter(facts: Sequence[str], titles: Mapping[str, str]) -> str:
    """Return title page and contents, whose page numbers are filled in after the first print."""
    title, authors, *lines = map(markup.escape, facts)
    return "\n".join([
        f'<div class="title-page"><p class="title">{title}</p><p>{authors}</p>',
        *(f"<p>{line}</p>" for line in lines),
        '</div><div class="contents"><p class="title">Contents</p>',
        *(f'<p><a href="#{name}">{markup.escape(text)}</a><span>000</span></p>'
          for name, text in titles.items()),
        "</div>",
    ])


def _article(page: BeautifulSoup, name: str, names: Sequence[str]) -> Tag:
    """The text of a page; its links lead inside the book, to outside, or nowhere."""
    article = page.select_one("article.bd-article")
    if article is None:
        raise BuildError(f"{name}.html is no whole page of this book: make book")
    for tag in article.find_all(id=True):
        tag["id"] = f"{name}--{tag['id']}"
    for link in article.find_all("a", href=True):
        target, anchor = urldefrag(link["href"])
        page_name = unquote(target).removesuffix(".html") or name
        if page_name in names:
            link["href"] = f"#{page_name}--{anchor}" if anchor else f"#{page_name}"
        elif not urlparse(target).scheme:
            del link["href"]
    return article


def _title(article: Tag) -> str:
    heading = article.find("h1")
    for mark in heading.select(".headerlink") if heading else ():
        mark.decompose()
    return heading.get_text().strip() if heading else ""


def _print(page: Page) -> bytes:
    return page.pdf(prefer_css_page_size=True, print_background=True, outline=True, tagged=True)


def title_facts(root: Path, html: Path) -> list[str]:
    """Return the lines of the title page: title, authors, version, and what the book ran on."""
    import dc2lib

    config = read_yaml(root / "_config.yml")
    known = addresses(config)
    facts = [config.get("title", "The book"), *filter(None, [config.get("author")])]
    results = root / "_build" / "results.json"
    rows = read_run(results) if results.exists() else []
    profiles = sorted({row["profile"] for row in rows if row.get("profile")})
    sources = sorted({row["data_source"] for row in rows if row.get("data_source")})
    date = time.strftime("%Y-%m-%d", time.gmtime((html / "index.html").stat().st_mtime))
    facts.append(f"Version {dc2lib.__version__}, pages made on {date}")
    if rows:
        facts.append(f"Profile {', '.join(profiles)}; data: {', '.join(sources)}")
    facts += filter(None, (known.pages, known.repository))
    facts.append(
        "An independent companion of the paper DeepChrome 2.0 by Saurav Kadavath, Samuel Paradis "
        "and Jacob Yeung (arXiv:2209.11923)"
    )
    return facts


def main() -> None:
    """Print the book."""
    parser = argparse.ArgumentParser(prog="python -m tools.pdf", description=__doc__)
    parser.add_argument("html", type=Path, nargs="?", default=ROOT / "_build" / "html")
    parser.add_argument("--output", type=Path, default=ROOT / OUTPUT)
    parser.add_argument("--whole", action="store_true", help=f"{', '.join(ONLINE)}, solutions too")
    options = parser.parse_args()
    left_out = () if options.whole else ONLINE
    names = [name for name in page_names(ROOT / "_toc.yml") if name not in left_out]
    html = options.html.resolve()
    if not (html / "index.html").exists():
        raise BuildError(f"{html} holds no built book: make book")
    output = options.output.expanduser()  # not every shell does that behind PDF=
    if output.is_dir():
        raise BuildError(f"{output} is a folder; name the file: make pdf PDF={output}/book.pdf")
    with atomic_write(output) as unfinished:
        unfinished.touch()  # where nothing can be written, that is said before minutes of printing
        content = print_book(html, names, title_facts(ROOT, html), options.whole)
        unfinished.write_bytes(content)
    print(f"{output}: {len(content) / 1e6:.1f} MB")


if __name__ == "__main__":
    sys.exit(exit_code(main))
