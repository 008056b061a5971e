"""Ask every address outside of the book that its pages link to whether it still answers.

Usage: python -m tools.links [_build/html]

What does not answer goes to ``_build/links.txt``, one line an address with the pages that name it.
"""

from __future__ import annotations

import html as markup
import re
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import requests

ROOT = Path(__file__).resolve().parents[1]
REPORT = Path("_build") / "links.txt"
SECONDS = 30
TRIES = 3
# Publishers answer programs with these and people with the page.
GUARDED = (401, 403, 405, 406, 418, 429, 999)
NAME = "Mozilla/5.0 (link check of the DeepChrome 2.0 book)"

Ask = Callable[[str], int]


def outside_links(html: Path) -> dict[str, list[str]]:
    """Return each address outside of the book, without its fragment, and the pages that name it."""
    found: dict[str, list[str]] = {}
    for page in sorted(html.glob("*.html")):
        links = re.findall(r'<a\b[^>]*\shref="(https?://[^"#]+)', page.read_text())
        for link in dict.fromkeys(map(markup.unescape, links)):
            found.setdefault(link, []).append(page.name)
    return found


def ask(url: str) -> int:
    """Return the HTTP status of an address; 0 where nobody answers."""
    try:
        with requests.get(
            url, timeout=SECONDS, stream=True, headers={"User-Agent": NAME}
        ) as answer:
            return answer.status_code
    except requests.RequestException:
        return 0


def dead_links(links: Iterable[str], asked: Ask = ask) -> dict[str, int]:
    """Return the addresses that do not answer, with the last status."""
    wanted = list(links)
    with ThreadPoolExecutor(max_workers=8) as pool:
        statuses = list(pool.map(lambda url: _status(url, asked), wanted))
    return {
        url: status for url, status in zip(wanted, statuses, strict=True) if not _answers(status)
    }


def report(html: Path, asked: Ask = ask) -> list[str]:
    """Return a line for each address that does not answer."""
    links = outside_links(html)
    return [
        f"- {url}: {status or 'no answer'} ({', '.join(links[url])})"
        for url, status in dead_links(links, asked).items()
    ]


def _answers(status: int) -> bool:
    return 200 <= status < 400 or status in GUARDED


def _status(url: str, asked: Ask) -> int:
    status = 0
    for _ in range(TRIES):
        status = asked(url)
        if _answers(status):
            break
    return status


def main() -> int:
    """Check the links of the built book."""
    html = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "_build" / "html"
    if not (html / "index.html").exists():
        print(f"error: {html} holds no built book: make book", file=sys.stderr)
        return 1
    lines = report(html)
    path = ROOT / REPORT
    path.unlink(missing_ok=True)
    if lines:
        path.write_text("\n".join(lines) + "\n")
    print("\n".join([*lines, f"{len(outside_links(html))} links to outside, {len(lines)} dead"]))
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
