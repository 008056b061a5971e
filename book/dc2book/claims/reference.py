"""The reference run: recorded results of the real cell types, kept beside the book.

Most builds run on simulated cell types.  The committed reference run (`make reference`) shows what
the measured ones say; it never mixes with the results of a build.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from dc2book.record.context import find_upwards
from dc2lib.cache import deciding_modules, digest_of
from dc2lib.errors import DataError

FOLDER = Path("book") / "reference"
RESULTS = "results.json"
PROVENANCE = "provenance.json"
MOST_NAMED = 3
DECISIVE = ("dc2lib.training.grid_fits", "dc2lib.labels", "dc2lib.evaluation.scores")


@dataclass(frozen=True)
class Reference:
    """Recorded results of the reference run, and what produced them."""

    results: pd.DataFrame  # as `dc2book.record.results`, without the columns that name the build
    #: date, version, commit, profile, data_source, cells, code, versions, and chapters: hash,
    #: seconds and data_source of each; where it was kept of an earlier run, also that run's date,
    #: version, commit, profile, cells and code
    provenance: dict[str, Any]

    @property
    def stale(self) -> bool:
        """Whether models, training, labels or scoring have changed since."""
        return self.provenance["code"] != code_digest()

    @property
    def earlier(self) -> list[str]:
        """Chapters that were kept of an earlier run."""
        about = self.provenance
        return sorted(
            name for name, one in about.get("chapters", {}).items()
            if one.get("date", about["date"]) != about["date"]
        )

    @property
    def origin(self) -> dict[str, str]:
        """Source and profile that a caption names for the run's values."""
        return {name: self.provenance[name] for name in ("data_source", "profile")}

    @property
    def cells_text(self) -> str:
        """Names of the cell types that were stored, or, of many, their number."""
        cells = sorted({name.removesuffix(".counts") for name in self.provenance["cells"]})
        return ", ".join(cells) if len(cells) < 9 else f"{len(cells)} stored cell types"

    def sentence(self) -> str:
        """Which cell types, when, with which version; and whether it is out of date."""
        about = self.provenance
        text = f"{self.cells_text}; run on {about['date']}"
        if self.earlier:
            dates = sorted({about["chapters"][name]["date"] for name in self.earlier})
            many = len(self.earlier) > MOST_NAMED
            named = f"{len(self.earlier)} chapters" if many else ", ".join(self.earlier)
            text += f" ({named} on {' to '.join(dict.fromkeys((dates[0], dates[-1])))})"
        text += f"; version {about['version']}; profile {about['profile']}"
        if self.stale:
            text += (
                "; older than the library's last change to models, training, labels or scoring,"
                " so run `make reference` again"
            )
        return text


def load_reference(folder: Path | str | None = None) -> Reference | None:
    """The committed reference run; None if there is none.

    ``folder``: default: ``book/reference`` in this folder or in one above it. Raises DataError if
    its files cannot be read.
    """
    file = find_upwards(FOLDER / RESULTS) if folder is None else Path(folder) / RESULTS
    if file is None or not file.is_file():
        return None
    try:
        rows = json.loads(file.read_text(encoding="utf-8"))
        provenance = json.loads((file.parent / PROVENANCE).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{file.parent}: the reference run cannot be read ({error}); restore it"
                        " from git or run `make reference`") from None
    table = pd.DataFrame(rows)
    absent = dict.fromkeys({"low", "high", "n"} - set(table))
    return Reference(table.assign(**absent), provenance)


def reference_sentence(reference: Reference | None) -> str:
    """Where the values of the reference run come from; that there is none, if there is none."""
    return "not made yet" if reference is None else reference.sentence()


def code_digest(package: Path | None = None) -> str:
    """Hash of the code that decides results: models, training, labels and scoring."""
    return digest_of(deciding_modules(DECISIVE, package=package))[:16]

