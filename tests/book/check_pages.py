"""Open every built page in headless Chromium and list what is wrong with it.

Usage: ``python -m tests.book.check_pages _build/html [--width 1280 --width 390] [--shots FOLDER]``
"""

from __future__ import annotations

import argparse
import itertools
import os
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urldefrag, urljoin, urlparse

from bs4 import BeautifulSoup

from tools.browser import open_browser
from tools.errors import exit_code

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

WIDTHS = (1280, 390)
THEMES = ("light", "dark")
MAX_PAGE_BYTES = 3_000_000
MAX_BOOK_BYTES = 25_000_000
MIN_ALT_WORDS = 5
TABS = 25
PHONE = 600  # narrower windows are shown as a phone does
SEARCHED = "chapter"
INSPECT = """
(async () => {
  if (window.MathJax && MathJax.startup && MathJax.startup.promise) await MathJax.startup.promise;
  for (const img of document.images) img.loading = 'eager';
  await Promise.all([...document.images].map(img => img.decode().catch(() => null)));
  const width = document.documentElement.clientWidth;
  const scrolls = e => e && e !== document.body &&
    (/(auto|scroll|hidden)/.test(getComputedStyle(e).overflowX) || scrolls(e.parentElement));
  const wide = [...document.querySelectorAll('.bd-article *')]
    .filter(e => e.getBoundingClientRect().right > width + 1 && !scrolls(e.parentElement))
    .filter((e, _, all) => ![...e.children].some(c => all.includes(c)))
    .map(e => `${e.tagName.toLowerCase()}.${e.className} "${e.textContent.slice(0, 40)}"`);
  const images = [...document.querySelectorAll('.bd-article img')];
  const alt = i => (i.getAttribute('alt') || '').trim();
  return {
    pageWidth: document.documentElement.scrollWidth, width,
    wide: [...new Set(wide)].slice(0, 3),
    broken: [...document.images].filter(i => !i.naturalWidth).map(i => i.getAttribute('src')),
    unnamed: images.filter(i => !alt(i)).map(i => i.getAttribute('src')),
    labels: images.filter(i => alt(i) && alt(i).split(/\\s+/).length < WORDS).map(alt),
    unsized: images.filter(i => !i.getAttribute('width')).map(i => i.getAttribute('src')),
    unset: [...document.querySelectorAll('mjx-merror')].length,
  };
})()
""".replace("WORDS", str(MIN_ALT_WORDS))
SETTLE = """
(async () => {
  const calm = new CSSStyleSheet();
  calm.replaceSync('*, *::before, *::after { transition: none !important }');
  document.adoptedStyleSheets = [calm];
  window.scrollTo(0, 0);
  await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
})()
"""
FOCUSED = """
(() => {
  const e = document.activeElement, box = e.getBoundingClientRect(), css = getComputedStyle(e);
  const ring = css.outlineStyle !== 'none' || css.boxShadow !== 'none' ||
    css.textDecorationLine !== 'none' || css.borderStyle !== 'none';
  return {
    name: `${e.tagName.toLowerCase()} "${(e.textContent || e.title || e.id).trim().slice(0, 30)}"`,
    body: e === document.body, seen: box.width > 0 && box.height > 0 && box.right > 0 &&
      box.bottom > 0 && box.left < innerWidth && box.top < innerHeight, ring,
  };
})()
"""


class _Page:
    """The links and ids of one page."""

    def __init__(self, text: str) -> None:
        tags = BeautifulSoup(text, "html.parser").find_all(True)
        self.ids = {tag.get(key, "") for tag in tags for key in ("id", "name")}
        links = (tag.get("src" if tag.name in ("img", "script") else "href") for tag in tags)
        self.links = list(filter(None, links))


def pages(html: Path) -> list[Path]:
    """Return the built pages, without the theme's own folders."""
    found = html.rglob("*.html")
    return sorted(p for p in found if not any(part.startswith("_") for part in _below(p, html)))


def broken_links(html: Path) -> list[str]:
    """Return each link inside the book whose file or anchor does not exist."""
    parsed = {page: _Page(page.read_text()) for page in pages(html)}
    found = []
    for page, content in parsed.items():
        for link in content.links:
            target, anchor = urldefrag(urljoin(page.as_uri(), link))
            if urlparse(target).scheme != "file":
                continue
            file = Path(unquote(urlparse(target).path))
            if not file.exists():
                found.append(f"{page.relative_to(html)}: {link} leads nowhere")
            elif anchor and file in parsed and unquote(anchor) not in parsed[file].ids:
                found.append(f"{page.relative_to(html)}: {link} names no place of that page")
    return found


def heavy_pages(
    html: Path, most: int = MAX_PAGE_BYTES, most_in_all: int = MAX_BOOK_BYTES
) -> list[str]:
    """Return what weighs too much: a page with its figures, or all pages with theirs."""
    found = []
    total = 0
    for page in pages(html):
        weight = page_weight(page)
        total += weight
        if weight > most:
            found.append(f"{page.relative_to(html)}: {weight / 1e6:.1f} MB, over {most / 1e6:g}")
    if total > most_in_all:
        found.append(f"the pages weigh {total / 1e6:.1f} MB, over {most_in_all / 1e6:g}")
    return found


def page_weight(page: Path) -> int:
    """Return the bytes of a page and of the images that it shows."""
    text = page.read_text()
    images = {page.parent / unquote(name) for name in re.findall(r'<img[^>]* src="([^":]+)"', text)}
    return page.stat().st_size + sum(image.stat().st_size for image in images if image.exists())


def page_problems(
    html: Path,
    widths: Sequence[int] = WIDTHS,
    shots: Path | None = None,
    themes: Sequence[str] = THEMES,
    only: Iterable[str] = (),
) -> list[str]:
    """Return what Chromium finds wrong with each page, or ``only`` some, at each width in pixels.

    Axe and the keyboard are tried in each of the ``themes``; ``shots`` is a folder for a picture of
    each page.  BuildError if Chromium or Playwright is missing.
    """
    chosen = [page for page in pages(html) if not only or page.stem in set(only)]
    with open_browser() as browser:
        return [
            f"{page.relative_to(html)} at {width} px: {problem}"
            for width, page in itertools.product(widths, chosen)
            for problem in _visit(browser, page, width, shots, themes)
        ]


def _below(page: Path, html: Path) -> tuple[str, ...]:
    return page.relative_to(html).parts


def _visit(
    browser: Browser, path: Path, width: int, shots: Path | None, themes: Sequence[str]
) -> list[str]:
    size = {"width": width, "height": 900}
    first = themes[0] if themes else "light"
    page = browser.new_page(viewport=size, is_mobile=width < PHONE, color_scheme=first)
    found: list[str] = []
    page.on("pageerror", lambda error: found.append(f"script error: {error.name}: {error.message}"))
    page.on("console", lambda said: found.extend(_console_problems(said)))
    page.on("request", lambda request: found.extend(_request_problems(request.url)))
    page.goto(path.as_uri() + f"?q={SEARCHED}" * (path.stem == "search"))
    seen = _state_problems(page.evaluate(INSPECT))
    if path.stem == "search":
        seen += _search_problems(page)
    for theme in themes:
        page.emulate_media(color_scheme=theme)
        page.evaluate(SETTLE)
        if shots is not None:
            page.screenshot(path=shots / f"{path.stem}-{width}-{theme}.png", full_page=True)
        seen += [f"{one} [{theme}]" for one in _axe_problems(page, theme != first)]
    if themes:
        seen += _walk_with_keys(page)
    page.close()
    return seen + found


def _search_problems(page: Page) -> list[str]:
    """Wait for the results of a search; there must be some."""
    from playwright.sync_api import TimeoutError

    try:
        page.wait_for_selector("#search-results li", timeout=60_000)
    except TimeoutError:
        return [f"the search finds nothing for {SEARCHED!r}"]
    page.wait_for_timeout(500)
    return []


def _axe_problems(page: Page, contrast_only: bool) -> list[str]:
    """Ask axe-core, of ``$AXE`` or the installed one, what in the open page keeps people out."""
    from axe_core_python.sync_playwright import Axe

    axe = Axe.from_file(os.environ["AXE"]) if os.environ.get("AXE") else Axe()
    options: dict[str, Any] = {"resultTypes": ["violations"]}
    if contrast_only:
        options["runOnly"] = ["color-contrast"]
    return [
        f"axe {rule['id']}: {' '.join(node['target'])} ({_reason(node) or rule['help']})"
        for rule in axe.run(page, options=options)["violations"]
        for node in rule["nodes"]
    ]


def _reason(node: dict[str, Any]) -> str:
    checks = [*node["any"], *node["all"], *node["none"]]
    return checks[0]["message"] if checks else ""


def _walk_with_keys(page: Page) -> list[str]:
    """Press Tab from the top of the page: every stop must be seen and marked."""
    page.evaluate("window.scrollTo(0, 0); document.activeElement.blur()")
    found = []
    for _ in range(TABS):
        page.keyboard.press("Tab")
        stop = page.evaluate(FOCUSED)
        if stop["body"]:
            break
        if not stop["seen"]:
            found.append(f"the key Tab leads to {stop['name']}, which is not seen")
        elif not stop["ring"]:
            found.append(f"the key Tab leads to {stop['name']}, which does not show it")
    return found


def _console_problems(said: Any) -> list[str]:
    return [f"console error: {said.text}"] if said.type in ("error", "assert") else []


def _request_problems(url: str) -> list[str]:
    inside = urlparse(url).scheme in ("file", "data", "blob", "about")
    return [] if inside else [f"asks for {url}"]


def _state_problems(state: dict[str, Any]) -> list[str]:
    found = []
    if state["pageWidth"] > state["width"] + 1 or state["wide"]:
        found.append(f"wider than the window: {', '.join(state['wide']) or state['pageWidth']}")
    found += [f"image {source} does not load" for source in state["broken"]]
    found += [f"image {source} has no alternative text" for source in state["unnamed"]]
    found += [f"alternative text {text!r} is a label only" for text in state["labels"]]
    found += [f"image {source} states no size" for source in state["unsized"]]
    if state["unset"]:
        found.append(f"{state['unset']} formulas are wrong")
    return found


def main() -> int:
    """Check the pages named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("html", type=Path)
    parser.add_argument("--width", type=int, action="append")
    parser.add_argument("--only", action="append", default=[], help="name of a page")
    parser.add_argument("--shots", type=Path, help="folder for pictures of each page")
    options = parser.parse_args()
    html = options.html.resolve()
    if not (html / "index.html").exists():
        sys.exit(f"{html} holds no built book; run `make book` first")
    found = [*broken_links(html), *heavy_pages(html)]
    found += page_problems(html, tuple(options.width or WIDTHS), options.shots, only=options.only)
    print("\n".join(re.sub(r"\s+", " ", problem) for problem in found))
    print(f"{len(pages(html))} pages, {len(found)} problems")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(exit_code(main))
