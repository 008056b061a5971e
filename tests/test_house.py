"""The rooms of the library: each has its sentence, and imports run in one direction."""

import ast

import pytest

from dc2lib.cache import imports_of, modules_of
from tools import house
from tools.errors import BuildError

LIBRARY = house.ROOT / "dc2lib"


def test_imports_run_in_one_direction():
    assert house.backward_imports(LIBRARY) == []


def test_the_library_knows_nothing_of_the_book():
    modules = modules_of(LIBRARY)
    for name, file in modules.items():
        tree = ast.parse(file.read_text())
        sources = [source for source, _, _ in imports_of(tree, name, modules)]
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
    assert house.backward_imports(planted) == []


def test_a_backward_import_is_named(planted):
    (planted / "low.py").write_text("def f():\n    from dc2lib.high import one\n")
    assert house.backward_imports(planted) == ["dc2lib.low imports high"]


def test_a_room_without_a_sentence_is_an_error(planted):
    (planted / "attic.py").write_text("")
    with pytest.raises(BuildError, match="attic"):
        house.library_rooms(planted)
