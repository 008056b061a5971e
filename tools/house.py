"""The rooms of library and book: lines, modules, and which rooms each imports.

    python -m tools.house           prints the table
    python -m tools.house --write   writes it into the README, between its marks
"""

from __future__ import annotations

import argparse
import ast
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dc2lib.cache import imports_of, modules_of
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
    "evaluation": "scores, intervals and tests, quality of generated samples",
    "fast": "the same steps and passes, faster on a CPU",
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


@dataclass(frozen=True)
class Room:
    """Lines of code in a folder or module, the number of its modules, and the rooms it imports."""

    name: str
    purpose: str
    lines: int
    modules: int
    imports: tuple[str, ...]


def library_rooms(package: Path) -> list[Room]:
    """The rooms of the library, in the order of `LIBRARY`.

    Raises
    ------
    BuildError
        If a room has no sentence in `LIBRARY`.
    """
    modules = modules_of(package)
    named = {_room(name) for name in modules} - {""}
    if unknown := sorted(named - set(LIBRARY)):
        raise BuildError(f"dc2lib: {', '.join(unknown)} has no sentence in tools/house.py")
    return [_measured(name, modules) for name in LIBRARY if name in named]


def backward_imports(package: Path) -> list[str]:
    """Imports against the order of the rooms, as ``"module imports room"``."""
    order, modules = list(LIBRARY), modules_of(package)
    return [
        f"{name} imports {target}"
        for name, file in modules.items()
        for target in sorted(_imported_rooms(name, file, modules))
        if _room(name) and order.index(target) > order.index(_room(name))
    ]


def folder_room(folder: Path, name: str, purpose: str) -> Room:
    """One folder of sources as a room; its imports are not looked at."""
    files = [file for file in folder.rglob("*.py") if "_build" not in file.parts]
    return Room(name, purpose, sum(map(_lines, files)), len(files), ())


def table(rooms: list[Room], counts: bool) -> str:
    """Markdown table of rooms, with or without the counts of lines and modules."""
    names = ["room", "holds", *(["lines", "modules"] if counts else []), "imports"]
    rows = [
        [
            f"`{room.name}`",
            room.purpose,
            *([f"{room.lines:,}", str(room.modules)] if counts else []),
            ", ".join(room.imports),
        ]
        for room in rooms
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in [names, ["---"] * len(names), *rows])


def layout(root: Path, counts: bool = True) -> str:
    """The whole table: the library, its rooms, and what lies around it."""
    library = library_rooms(root / "dc2lib")
    whole = folder_room(root / "dc2lib", "dc2lib", "the library; it knows nothing of the book")
    inside = [
        Room(f"dc2lib/{room.name}", room.purpose, room.lines, room.modules, room.imports)
        for room in library
    ]
    around = [folder_room(root / name, name, purpose) for name, purpose in AROUND.items()]
    return table([whole, *inside, *around], counts)


def between_marks(text: str, begin: str, end: str, new: str) -> str:
    """A text with what stands between two lines replaced.

    Raises
    ------
    BuildError
        If the lines are not there once each.
    """
    if text.count(begin) != 1 or text.count(end) != 1:
        raise BuildError(f"README.md needs the lines {begin} and {end}, once each")
    head, rest = text.split(begin)
    return f"{head}{begin}\n{new}\n{end}{rest.split(end)[1]}"


def write_readme(root: Path) -> None:
    """Put the table between its marks in the README."""
    readme = root / "README.md"
    table_only = layout(root, counts=False)  # counts change with every commit
    readme.write_text(between_marks(readme.read_text(), BEGIN, END, table_only))


def _measured(name: str, modules: Mapping[str, Path]) -> Room:
    own = {module: file for module, file in modules.items() if _room(module) == name}
    targets = {room for m, f in own.items() for room in _imported_rooms(m, f, modules)}
    ordered = tuple(room for room in LIBRARY if room in targets)
    return Room(name, LIBRARY[name], sum(map(_lines, own.values())), len(own), ordered)


def _imported_rooms(name: str, file: Path, modules: Mapping[str, Path]) -> set[str]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    rooms = set()
    for source, imported, _ in imports_of(tree, name, modules):
        full = f"{source}.{imported}" if f"{source}.{imported}" in modules else source
        if full.startswith("dc2lib."):
            rooms.add(_room(full))
    return rooms - {_room(name), ""}


def _room(module: str) -> str:
    return module.partition(".")[2].partition(".")[0]


def _lines(file: Path) -> int:
    return len(file.read_text(encoding="utf-8").splitlines())


def main() -> None:
    """Print the rooms, or write them into the README."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="write the table into README.md")
    if parser.parse_args().write:
        write_readme(ROOT)
    else:
        print(layout(ROOT))


if __name__ == "__main__":
    main()
