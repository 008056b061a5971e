"""Write the README's table of claims from the committed reference run.

Usage: python -m tools.readme_table
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from dc2book import claims
from dc2book.claims.reference import FOLDER
from dc2book.style import markdown_table

from dc2lib.files import atomic_write
from tools.errors import BuildError

ROOT = Path(__file__).resolve().parents[1]
BEGIN = "<!-- reference run: begin (written by tools/readme_table.py) -->"
END = "<!-- reference run: end -->"


def block(root: Path = ROOT) -> str:
    """The text between the marks: verdicts of the reference run and where it comes from."""
    reference = claims.load_reference(root / FOLDER)
    if reference is None:
        return "No reference run has been made yet (`make reference`)."
    judged = claims.ledger(reference.results).assign(run="reference")
    table = claims.summary_table(judged)
    return "\n".join([
        f"{claims.verdict_counts(judged, 'reference')}; {_about(reference)}.",
        "",
        markdown_table(table),
    ])


def with_block(readme: str, text: str) -> str:
    """The README with the text between its marks.

    Raises
    ------
    BuildError
        If the marks are missing.
    """
    if readme.count(BEGIN) != 1 or readme.count(END) != 1:
        raise BuildError(f"README.md needs the lines {BEGIN} and {END}, once each")
    head, rest = readme.split(BEGIN)
    return f"{head}{BEGIN}\n{text}\n{END}{rest.split(END)[1]}"


def write(root: Path = ROOT) -> None:
    """Rewrite the block of the README."""
    path = root / "README.md"
    text = with_block(path.read_text(), block(root))
    with atomic_write(path) as unfinished:
        unfinished.write_text(text)


def _about(reference: claims.Reference) -> str:
    about = reference.provenance
    cells = pd.Series(about["cells"])
    named = ", ".join(cells) if len(cells) < 9 else f"{len(cells)} cell types"
    return f"{named}, {about['date']}, version {about['version']}, profile {about['profile']}"


if __name__ == "__main__":
    write()
