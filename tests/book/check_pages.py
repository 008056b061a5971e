"""Open every built page in headless Chromium and list what is wrong with it.

Usage: ``python tests/book/check_pages.py _build/html [--width 1280 --width 390] [--shots FOLDER]``
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import itertools
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urldefrag, urljoin, urlparse
from urllib.request import urlopen

from tornado.websocket import WebSocketClientConnection, websocket_connect

WIDTHS = (1280, 390)
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
    "--remote-allow-origins=*",
)
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
  return JSON.stringify({
    pageWidth: document.documentElement.scrollWidth, width,
    wide: [...new Set(wide)].slice(0, 3),
    broken: [...document.images].filter(i => !i.naturalWidth).map(i => i.getAttribute('src')),
    unnamed: [...document.querySelectorAll('.bd-article img')]
      .filter(i => !(i.getAttribute('alt') || '').trim()).map(i => i.getAttribute('src')),
    title: document.title,
    headings: document.querySelectorAll('h1').length,
    unset: [...document.querySelectorAll('mjx-merror')].length,
  });
})()
"""


class _Page(HTMLParser):
    """Collects the links and ids of one page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.ids: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = dict(attributes)
        self.ids |= {values[key] or "" for key in ("id", "name") if key in values}
        link = values.get("src" if tag in ("img", "script") else "href")
        if link:
            self.links.append(link)


def find_browser() -> str | None:
    """Return the path of a Chromium, or None."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


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


def page_problems(
    html: Path, widths: tuple[int, ...] = WIDTHS, shots: Path | None = None
) -> list[str]:
    """Return what Chromium finds wrong with each page at each width.

    Raises
    ------
    RuntimeError
        If there is no Chromium, or it does not start.
    """
    with _browser() as address:
        return asyncio.run(_visit_all(address, html, widths, shots))


def _below(page: Path, html: Path) -> tuple[str, ...]:
    return page.relative_to(html).parts


async def _visit_all(
    address: str, html: Path, widths: tuple[int, ...], shots: Path | None
) -> list[str]:
    connection = await websocket_connect(address, max_message_size=2**28)
    try:
        return await _visit_each(_Tab(connection), html, widths, shots)
    finally:
        connection.close()
        while await connection.read_message() is not None:
            pass


async def _visit_each(
    tab: _Tab, html: Path, widths: tuple[int, ...], shots: Path | None
) -> list[str]:
    for domain in ("Page", "Runtime", "Log", "Network"):
        await tab.call(f"{domain}.enable")
    found = []
    for width, page in itertools.product(widths, pages(html)):
        seen = await _visit(tab, page, width)
        found += [f"{page.relative_to(html)} at {width} px: {problem}" for problem in seen]
        if shots is not None:
            await _shoot(tab, shots / f"{page.stem}-{width}.png")
    return found


async def _visit(tab: _Tab, page: Path, width: int) -> list[str]:
    tab.events.clear()
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    await tab.call("Emulation.setDeviceMetricsOverride", **size)
    await tab.call("Page.navigate", url=page.as_uri())
    await tab.wait_for("Page.loadEventFired")
    answer = await tab.call(
        "Runtime.evaluate", expression=INSPECT, awaitPromise=True, returnByValue=True
    )
    if "exceptionDetails" in answer:
        return [f"could not be inspected: {answer['exceptionDetails']}"]
    state = json.loads(answer["result"]["value"])
    return [*_event_problems(tab.events), *_state_problems(state)]


def _event_problems(events: list[dict[str, Any]]) -> list[str]:
    found = []
    for event in events:
        about = event["params"]
        if event["method"] == "Runtime.exceptionThrown":
            details = about["exceptionDetails"]
            thrown = details.get("exception", {}).get("description") or details.get("text", "")
            place = f"{Path(details.get('url', '')).name}:{details['lineNumber']}"
            found.append(f"script error: {thrown.splitlines()[0]} ({place})")
        elif event["method"] == "Runtime.consoleAPICalled" and about["type"] in ("error", "assert"):
            found.append(f"console error: {about['args'][:1]}")
        elif event["method"] == "Log.entryAdded" and about["entry"]["level"] == "error":
            found.append(f"console error: {about['entry']['text']}")
        elif event["method"] == "Network.requestWillBeSent":
            url = about["request"]["url"]
            if urlparse(url).scheme not in ("file", "data", "blob", "about"):
                found.append(f"asks for {url}")
    return found


def _state_problems(state: dict[str, Any]) -> list[str]:
    found = []
    if state["pageWidth"] > state["width"] + 1 or state["wide"]:
        found.append(f"wider than the window: {', '.join(state['wide']) or state['pageWidth']}")
    found += [f"image {source} does not load" for source in state["broken"]]
    found += [f"image {source} has no alternative text" for source in state["unnamed"]]
    if state["unset"]:
        found.append(f"{state['unset']} formulas are wrong")
    if not state["title"]:
        found.append("no title")
    return found


async def _shoot(tab: _Tab, path: Path) -> None:
    layout = await tab.call("Page.getLayoutMetrics")
    size = layout["cssContentSize"]
    clip = {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], 8000), "scale": 1}
    image = await tab.call("Page.captureScreenshot", clip=clip, captureBeyondViewport=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(base64.b64decode(image["data"]))


class _Tab:
    """Calls to one browser tab over the DevTools protocol."""

    def __init__(self, connection: WebSocketClientConnection) -> None:
        self.connection = connection
        self.events: list[dict[str, Any]] = []
        self.numbers = itertools.count(1)

    async def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self.numbers)
        message = {"id": number, "method": method, "params": parameters}
        await self.connection.write_message(json.dumps(message))
        while True:
            answer = await self._next()
            if answer.get("id") == number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']['message']}")
                return answer["result"]

    async def wait_for(self, method: str) -> None:
        while not any(event["method"] == method for event in self.events):
            await self._next()

    async def _next(self) -> dict[str, Any]:
        message = await asyncio.wait_for(self.connection.read_message(), timeout=60)
        if message is None:
            raise RuntimeError("Chromium closed the connection")
        answer = json.loads(message)
        if "method" in answer:
            self.events.append(answer)
        return answer


@contextmanager
def _browser() -> Iterator[str]:
    """Start Chromium with a profile of its own; yield the address of its tab."""
    executable = find_browser()
    if executable is None:
        raise RuntimeError(f"none of {', '.join(BROWSERS)} is installed")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = subprocess.Popen(
            [executable, *FLAGS, f"--user-data-dir={profile}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            yield _tab_address(Path(profile))
        finally:
            process.terminate()
            process.wait(timeout=20)


def _tab_address(profile: Path) -> str:
    port_file = profile / "DevToolsActivePort"
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if port_file.exists() and "\n" in port_file.read_text():
            port = port_file.read_text().splitlines()[0]
            with urlopen(f"http://127.0.0.1:{port}/json/list") as answer:
                tabs = json.load(answer)
            for tab in tabs:
                if tab["type"] == "page":
                    return tab["webSocketDebuggerUrl"]
        time.sleep(0.1)
    raise RuntimeError("Chromium did not start within 30 s")


def main() -> int:
    """Check the pages named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("html", type=Path)
    parser.add_argument("--width", type=int, action="append")
    parser.add_argument("--shots", type=Path, help="folder for a screenshot of each page")
    options = parser.parse_args()
    html = options.html.resolve()
    if not (html / "index.html").exists():
        sys.exit(f"{html} holds no built book; run `make book` first")
    if find_browser() is None:
        sys.exit(f"needs Chromium: none of {', '.join(BROWSERS)} is installed")
    found = broken_links(html)
    found += page_problems(html, tuple(options.width or WIDTHS), options.shots)
    print("\n".join(re.sub(r"\s+", " ", problem) for problem in found))
    print(f"{len(pages(html))} pages, {len(found)} problems")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
