"""The library reference is read from the library."""

import dc2api
import pytest
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace

MODULE = '''
"""What the module is for."""
from dataclasses import dataclass

def open(path: str, *, mode: str = "r") -> int:
    """Open |path|.

    Parameters
    ----------
    path : str
        Where it lies.
    """

def _hidden(): ...

@dataclass(frozen=True)
class Point:
    """A point."""

    x: float
    """Across."""

    def moved(self, by: float) -> "Point":
        """A point elsewhere."""

    def silent(self): ...
'''


@pytest.fixture
def page(tmp_path, monkeypatch):
    """The reference of a small package, made with warnings as errors."""
    package = tmp_path / "shapes_lib"
    package.mkdir()
    (package / "__init__.py").write_text(
        "from shapes_lib.shapes import Point\n\n__all__ = ['Point']\n")
    (package / "shapes.py").write_text(MODULE)
    (package / "_private.py").write_text("raise SystemExit\n")
    (tmp_path / "index.md").write_text(f"# Reference\n\n{dc2api.MARK}\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(dc2api, "PACKAGE", "shapes_lib")
    settings = {"extensions": ["myst_parser", "dc2api"]}
    with docutils_namespace():
        Sphinx(tmp_path, None, tmp_path / "out", tmp_path / "doctrees", "text", settings,
               status=None, warningiserror=True).build()
    return (tmp_path / "out" / "index.txt").read_text()


def test_functions_classes_fields_and_methods_are_described_where_they_are_defined(page):
    for line in (
        "What the module is for.",
        "shapes_lib.shapes.open(path: str, *, mode: str = 'r') -> int",
        "Open |path|.",
        "**path** (*str*) -- Where it lies.",
        "class shapes_lib.shapes.Point(x: float)",
        "x: float",
        "moved(by: float) -> Point",
        'To be imported from here: "Point".',
    ):
        assert line in page
    assert not any(word in page for word in ("_hidden", "silent", "_private", "shapes_lib.Point"))
