"""The rooms of library and book, and how each chapter reads.

    python -m tools.house            prints the rooms: lines, modules, which rooms each imports
    python -m tools.house --write    writes that table into the README, between its marks
    python -m tools.house --chapters prints each chapter: open cells, lengths, reading time
"""

from __future__ import annotations

import argparse
import ast
from collections.abc import Mapping
from dataclasses import astuple, dataclass, fields, replace
from pathlib import Path

import nbformat
from dc2book.prose import reading_minutes
from tabulate import tabulate

from dc2lib.cache import imports_of, modules_of
from tools.chapters import find_chapters
from tools.errors import BuildError

ROOT = Path(__file__).resolve().parents[1]
BEGIN, END = "<!-- rooms: begin (written by tools/house.py) -->", "<!-- rooms: end -->"

# In the order of imports: a room of the library imports those above it, never those below.
LIBRARY = {
    "errors": "errors that a user can act on",
    "files": "where data lies; a file that is whole or not there",
    "cache": "a computed result, kept under the digest of its code, settings and data",
    "labels": "RPKM to class by a named rule",
    "datasets": "counts, genes and expression, measured, simulated or published; digits",
    "label_audit": "which rule made these labels?",
    "signals": "counts to signals: transform, orientation, drawing genes",
    "models": "DeepChrome, the linear model, generators, critics: torch modules only",
    "fast": "the same steps and passes, faster on a CPU",
    "evaluation": "scores, intervals and tests, quality of generated samples",
    "training": "recipes, one fit, a GAN, many fits",
    "probing": "optimise an input, sample a generator, attribute a prediction",
    "baselines": "one readable file a published system",
    "crosscell": "training sets, experiments, transfer between cell types",
}
AROUND = {
    "book/dc2book": "the code of the pages: recording, claims, figures, one room a chapter",
    "book/_ext": "what the pages need of Sphinx",
    "tools": "what make calls",
    "tests": "tests of all of these",
}
FOLDED = ("hide-", "remove-")
UNCOUNTED = {"solution", "parameters"}


@dataclass(frozen=True)
class Reading:
    """How a chapter reads: cells, lines, minutes.

    Neither solutions count, which are folded until asked for, nor the list of parameters and the
    line of provenance.  ``loops`` are those that call ``record``; ``minutes`` those of its prose.
    """

    cells: int
    open_share: float
    longest_cell: int
    longest_line: int
    loops: int
    minutes: float


@dataclass(frozen=True)
class Room:
    """Lines of code in a folder or module, the number of its modules, and the rooms it imports."""

    name: str
    purpose: str
    lines: int
    modules: int
    imports: tuple[str, ...]


def library_rooms(package: Path) -> list[Room]:
    """The rooms of the library in the order of `LIBRARY`; BuildError if one lacks its sentence."""
    modules = modules_of(package)
    named = {_room(name) for name in modules} - {""}
    if unknown := sorted(named - set(LIBRARY)):
        raise BuildError(f"dc2lib: {', '.join(unknown)} has no sentence in tools/house.py")
    return [_measured(name, modules) for name in LIBRARY if name in named]


def folder_room(folder: Path, name: str, purpose: str) -> Room:
    """One folder of sources as a room; its imports are not looked at."""
    files = [file for file in folder.rglob("*.py") if "_build" not in file.parts]
    return Room(name, purpose, sum(map(_lines, files)), len(files), ())


def layout(root: Path, counts: bool = True) -> str:
    """The library, its rooms, and what lies around it, as a Markdown table."""
    rooms = [
        folder_room(root / "dc2lib", "dc2lib", "the library; it knows nothing of the book"),
        *(replace(room, name=f"dc2lib/{room.name}") for room in library_rooms(root / "dc2lib")),
        *(folder_room(root / name, name, purpose) for name, purpose in AROUND.items()),
    ]
    rows = [["room", "holds", *["lines", "modules"] * counts, "imports"]]
    rows += [["---"] * len(rows[0])]
    rows += [[f"`{room.name}`", room.purpose, *[f"{room.lines:,}", str(room.modules)] * counts,
              ", ".join(room.imports)] for room in rooms]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def between_marks(text: str, begin: str, end: str, new: str) -> str:
    """A text with what stands between two lines replaced; BuildError if these are not there."""
    if text.count(begin) != 1 or text.count(end) != 1:
        raise BuildError(f"README.md needs the lines {begin} and {end}, once each")
    head, rest = text.split(begin)
    return f"{head}{begin}\n{new}\n{end}{rest.split(end)[1]}"


def reading(notebook: nbformat.NotebookNode) -> Reading:
    """How one chapter reads."""
    code = [(cell.source, cell.metadata.get("tags", [])) for cell in notebook.cells
            if cell.cell_type == "code" and not cell.source.startswith("provenance(")
            and not UNCOUNTED & set(cell.metadata.get("tags", []))]
    prose = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    lines = [source.splitlines() for source, _ in code]
    return Reading(
        cells=len(code),
        open_share=sum(not any(tag.startswith(FOLDED) for tag in tags)
                       for _, tags in code) / len(code),
        longest_cell=max(map(len, lines), default=0),
        longest_line=max((len(line) for cell in lines for line in cell), default=0),
        loops=sum(_loops(ast.parse(source)) for source, _ in code),
        minutes=reading_minutes(prose),
    )


def readings(root: Path) -> dict[str, Reading]:
    """How each chapter of the book reads, in its order."""
    return {name: reading(one.notebook) for name, one in find_chapters(root).items()}


def _loops(tree: ast.AST) -> int:
    looping = ast.For | ast.While | ast.ListComp | ast.GeneratorExp | ast.SetComp | ast.DictComp
    return sum(isinstance(node, looping) and _records(node) for node in ast.walk(tree))


def _records(tree: ast.AST) -> bool:
    calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return any(isinstance(called, ast.Name) and called.id == "record" for called in calls)


def _measured(name: str, modules: Mapping[str, Path]) -> Room:
    own = {module: file for module, file in modules.items() if _room(module) == name}
    targets = {room for m, f in own.items() for room in _imported_rooms(m, f, modules)}
    ordered = tuple(room for room in LIBRARY if room in targets)
    return Room(name, LIBRARY[name], sum(map(_lines, own.values())), len(own), ordered)


def _imported_rooms(name: str, file: Path, modules: Mapping[str, Path]) -> set[str]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    rooms = set()
    for source, imported, _ in imports_of(tree):
        full = f"{source}.{imported}" if f"{source}.{imported}" in modules else source
        if full.startswith("dc2lib."):
            rooms.add(_room(full))
    return rooms - {_room(name), ""}


def _room(module: str) -> str:
    return module.partition(".")[2].partition(".")[0]


def _lines(file: Path) -> int:
    return len(file.read_text(encoding="utf-8").splitlines())


def main() -> None:
    """Print the rooms or the chapters, or write the rooms into the README."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="write the table into README.md")
    parser.add_argument("--chapters", action="store_true", help="print how each chapter reads")
    options = parser.parse_args()
    if options.write:
        readme = ROOT / "README.md"
        table = layout(ROOT, counts=False)  # counts change with every commit
        text = between_marks(readme.read_text(encoding="utf-8"), BEGIN, END, table)
        readme.write_text(text, encoding="utf-8")
    elif options.chapters:
        rows = [[name, *astuple(one)] for name, one in readings(ROOT).items()]
        names = ["chapter", *(field.name for field in fields(Reading))]
        print(tabulate(rows, names, floatfmt=".2f"))
    else:
        print(layout(ROOT))


if __name__ == "__main__":
    main()
