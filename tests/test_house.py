"""The rooms of the library: each has its sentence, and imports run in one direction."""

import ast

import nbformat.v4 as notebook
import pytest
from dc2book.prose import WORDS_A_MINUTE

from dc2lib.cache import imports_of, modules_of
from tools import house
from tools.errors import BuildError

LIBRARY = house.ROOT / "dc2lib"
LIMITS = {"longest_cell": 25, "longest_line": 80, "loops": 0, "minutes": 15.0}
LEAST_OPEN = 2 / 3
# Pages that only show results of others have no code to teach.
FOLDED_PAGES = ("index", "claims")
READINGS = house.readings(house.ROOT)


def backward_imports(package):
    """Rooms that import another which stands below them in the README's table."""
    rooms = house.library_rooms(package)
    return [(room.name, other.name) for number, room in enumerate(rooms)
            for other in rooms[number:] if other.name in room.imports]


def test_imports_run_in_one_direction():
    assert backward_imports(LIBRARY) == []


def test_the_library_knows_nothing_of_the_book():
    modules = modules_of(LIBRARY)
    for name, file in modules.items():
        tree = ast.parse(file.read_text())
        sources = [source for source, _, _ in imports_of(tree)]
        assert not [one for one in sources if one.startswith("dc2book")], name


def test_the_root_holds_at_most_fifteen_entries():
    entries = [e for e in LIBRARY.iterdir() if not e.name.startswith(("__pycache__", "."))]
    assert len(entries) <= 15, sorted(entry.name for entry in entries)


def test_the_readme_shows_the_rooms_as_they_are():
    assert house.layout(house.ROOT, counts=False) in (house.ROOT / "README.md").read_text(), (
        "the README's table of rooms is out of date: python -m tools.house --write"
    )


@pytest.fixture
def planted(tmp_path, monkeypatch):
    monkeypatch.setattr(house, "LIBRARY", {"low": "below", "high": "above"})
    package = tmp_path / "dc2lib"
    (package / "high").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "low.py").write_text("import math\n")
    (package / "high" / "__init__.py").write_text("")
    (package / "high" / "one.py").write_text("from dc2lib import low\nfrom dc2lib.low import x\n")
    return package


def test_rooms_are_measured(planted):
    low, high = house.library_rooms(planted)
    assert (low.lines, low.modules, low.imports) == (1, 1, ())
    assert (high.lines, high.modules, high.imports) == (2, 2, ("low",))
    assert backward_imports(planted) == []


def test_a_backward_import_is_named(planted):
    (planted / "low.py").write_text("def f():\n    from dc2lib.high import one\n")
    assert backward_imports(planted) == [("low", "high")]


def test_a_room_without_a_sentence_is_an_error(planted):
    (planted / "attic.py").write_text("")
    with pytest.raises(BuildError, match="attic"):
        house.library_rooms(planted)


@pytest.mark.parametrize("chapter", READINGS)
def test_a_chapter_shows_its_code_and_is_read_in_a_sitting(chapter):
    found = READINGS[chapter]
    above = {what: getattr(found, what) for what, most in LIMITS.items()
             if getattr(found, what) > most}
    assert not above, f"book/{chapter}.md: {above}, allowed are {LIMITS} (tools.house --chapters)"
    assert chapter in FOLDED_PAGES or found.open_share >= LEAST_OPEN, (
        f"book/{chapter}.md folds {1 - found.open_share:.0%} of its code cells: show what teaches, "
        "fold what draws"
    )


def cell(source, *tags):
    return notebook.new_code_cell(source, metadata={"tags": list(tags)})


def test_what_a_chapter_is_measured_by():
    found = house.reading(notebook.new_notebook(cells=[
        cell("n = 1\n" * 40, "parameters"),
        cell("import numpy", "hide-input"),
        cell("for n in range(3):\n    record('a', n)\nfinding('b', True)"),
        cell("x = 'a line of twenty-nine c.'\n"),
        cell("y = 0\n" * 99, "solution"),
        cell("provenance()", "remove-input"),
        notebook.new_markdown_cell(
            "# Two words\n\n```{literalinclude} a.py\n:pyobject: f\n```\n\nA {glue:text}`b:.3f`\n\n"
            ":::{solution} c\n:class: dropdown\nnot read\n:::\n\n```python\nnot = 'read'\n```\n"
        ),
    ]))
    assert (found.cells, found.longest_cell, found.longest_line) == (3, 3, 30)
    assert found.loops == 1
    assert found.open_share == pytest.approx(2 / 3)
    assert found.minutes == 4 / WORDS_A_MINUTE
