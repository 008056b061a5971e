"""Ask every address outside of the book that its pages link to whether it still answers.

Usage: python -m tools.links

Sphinx's ``linkcheck`` asks, over the pages of the last ``make book``.  What does not answer goes to
``_build/links.txt``, one line an address with the pages that name it.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from tools.errors import BuildError, exit_code
from tools.stage import run_jupyter_book

ROOT = Path(__file__).resolve().parents[1]
# Publishers answer programs with these and people with the page.
GUARDED = re.compile(r"\b(401|403|405|406|418|429|999)\b.* for url")

LONGEST = 160  # characters of a reason


def dead_links(answers: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Return each address of linkcheck's ``output.json`` that is dead: why, and who names it."""
    why: dict[str, str] = {}
    pages: dict[str, dict[str, None]] = {}
    for answer in answers:
        if answer["status"] in ("broken", "timeout") and not GUARDED.search(answer["info"]):
            uri = answer["uri"]
            why[uri] = answer["info"].splitlines()[0][:LONGEST]
            pages.setdefault(uri, {})[Path(answer["filename"]).stem] = None
    return {uri: f"{reason} ({', '.join(pages[uri])})" for uri, reason in why.items()}


def check_links(root: Path) -> int:
    """Ask the addresses, write and print the report; BuildError if no book was built."""
    stage, output = root / "_build" / "stage", root / "_build" / "linkcheck"
    if not (stage / "_toc.yml").exists():
        raise BuildError("there is no built book whose links could be asked: make book")
    answered = output / "_build" / "html" / "output.json"
    try:
        run_jupyter_book(root, stage, output, "--builder", "linkcheck")
    except BuildError:
        if not answered.exists():  # else it only says that links are dead
            raise
    lines = answered.read_text(encoding="utf-8").splitlines()
    answers = [answer for answer in map(json.loads, lines) if answer["uri"].startswith("http")]
    dead = dead_links(answers)
    report = [f"- {uri}: {why}" for uri, why in dead.items()]
    path = root / "_build" / "links.txt"
    path.unlink(missing_ok=True)
    if report:
        path.write_text("\n".join(report) + "\n", encoding="utf-8")
    asked = len({answer["uri"] for answer in answers})
    print("\n".join([*report, f"{asked} links to outside, {len(dead)} dead"]))
    if dead and len(dead) == asked:
        print("error: no address answers: is this machine connected to the internet?",
              file=sys.stderr)
    return 1 if dead else 0


if __name__ == "__main__":
    sys.exit(exit_code(lambda: check_links(ROOT)))
