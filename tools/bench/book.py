"""How long the quick book took, read from what the last build of each chapter left."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from tools.bench.harness import Row, Stage, Task

EXECUTED = Path("_build") / "executed"
SLOWEST = 3
HALF_THE_SIZES = "half its sizes in book/profiles/quick.yml"
TWO_WORKERS = "two processes for its independent fits (DC2LIB_WORKERS=2), on two free cores"
HALVED_BY = (
    ("gan_probe", "draws", "screening in bfloat16 and two processes (row probe)"),
    ("gan_probe", "gans", "its two independent trainings side by side"),
    ("architectures", "", TWO_WORKERS),
    ("audit", "", TWO_WORKERS),
    ("cross_cell", "", TWO_WORKERS),
)


@dataclass(frozen=True)
class Cell:
    """One code cell: its chapter, the heading above it, what it calls, and its seconds."""

    chapter: str
    heading: str
    first_line: str
    seconds: float


def book_quick(task: Task) -> list[Row]:
    """Seconds of each chapter's last quick run, and the slowest cells; nothing is run here."""
    runs = last_runs(EXECUTED)
    if not runs:
        return [Row("book_quick", 0.0, None, None, "s", None, 1, 0,
                    "absent: no quick build in _build/executed; make book first")]
    total = sum(run["duration"] for run in runs.values())
    rows = [Row("book_quick", total, None, None, "s", None, 1, 1,
                f"{len(runs)} chapters, one after the other on one thread each, as last executed")]
    rows += [Row(f"book_quick:{name}", run["duration"], None, None, "s", None, 1, 1)
             for name, run in sorted(runs.items(), key=lambda item: -item[1]["duration"])]
    cells = [cell for name, run in runs.items() for cell in cells_of(name, run["folder"])]
    slowest = sorted(cells, key=lambda cell: -cell.seconds)[:SLOWEST]
    rows += [Row(f"book_quick:cell {place}", cell.seconds, None, None, "s", None, 1, 1,
                 f"{cell.chapter}, {cell.heading}: {cell.first_line};"
                 f" halved by {halved_by(cell)}")
             for place, cell in enumerate(slowest, 1)]
    return rows


def halved_by(cell: Cell) -> str:
    """What would halve a cell's time, as far as is known; not measured."""
    text = f"{cell.heading} {cell.first_line}"
    for chapter, word, remedy in HALVED_BY:
        if cell.chapter == chapter and word in text:
            return remedy
    return HALF_THE_SIZES


def last_runs(executed: Path, profile: str = "quick") -> dict[str, dict]:
    """The newest run of each chapter in that profile: what its `run.json` says, and its folder."""
    found: dict[str, dict] = {}
    for path in executed.glob("*/*/run.json"):
        run = json.loads(path.read_text(encoding="utf-8"))
        if run.get("profile") != profile or "duration" not in run:
            continue
        name = path.parent.parent.name
        if name not in found or run["started"] > found[name]["started"]:
            found[name] = run | {"folder": path.parent}
    return found


def cells_of(chapter: str, folder: Path) -> list[Cell]:
    """The code cells of an executed chapter."""
    notebook = json.loads((folder / "executed.ipynb").read_text(encoding="utf-8"))
    heading, cells = chapter, []
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            heading = ([heading, *re.findall(r"^#+ (.+)$", source, re.MULTILINE)])[-1]
        if cell["cell_type"] == "code":
            seconds = cell["metadata"].get("papermill", {}).get("duration") or 0.0
            first = next((line for line in source.splitlines() if line.strip()), "")
            cells.append(Cell(chapter, heading, first.strip(), seconds))
    return cells


STAGES = (Stage("book_quick", book_quick),)
