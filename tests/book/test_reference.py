"""The library reference is read from the sources."""

from __future__ import annotations

from pathlib import Path

import dc2api
import pytest

ROOT = Path(__file__).resolve().parents[2]

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
    y: float = 0.0

    def moved(self, by: float) -> "Point":
        """A point elsewhere."""

    @property
    def norm(self) -> float:
        """How far."""

    @classmethod
    def origin(cls) -> "Point":
        """The point at zero."""

    def silent(self): ...
'''


@pytest.fixture
def modules(tmp_path):
    package = tmp_path / "lib"
    (package / "inner").mkdir(parents=True)
    (package / "__init__.py").write_text('"""The library."""\n')
    (package / "shapes.py").write_text(MODULE)
    (package / "_private.py").write_text("def f(): ...\n")
    (package / "inner" / "__init__.py").write_text(
        'from lib.inner.parts import part as piece\n\n__all__ = ["piece"]\n'
    )
    (package / "inner" / "parts.py").write_text('def part() -> int:\n    """One part."""\n')
    return dc2api.read_modules(package)


def test_functions_classes_fields_and_methods_are_described(modules):
    section = dc2api.module_section("lib.shapes", modules["lib.shapes"])
    for line in (
        "## lib.shapes",
        ".. py:module:: lib.shapes",
        "What the module is for.",
        ".. py:function:: open(path: str, *, mode: str='r') -> int",
        "   Open \\|path\\|.",
        "   :param path: Where it lies.",
        ".. py:class:: Point(x: float, y: float = 0.0)",
        "   .. py:attribute:: x: float",
        "   .. py:method:: moved(by: float) -> 'Point'",
        "   .. py:property:: norm",
        "   .. py:classmethod:: origin() -> 'Point'",
    ):
        assert line in section
    assert "_hidden" not in section
    assert "silent" not in section


def test_a_package_names_its_exports_and_the_module_describes_them(modules):
    package = dc2api.module_section("lib.inner", modules["lib.inner"])
    assert "imported from here: ``piece``." in package
    section = dc2api.module_section("lib.inner.parts", modules["lib.inner.parts"])
    assert ".. py:function:: part() -> int" in section


def test_every_module_of_the_library_can_be_described():
    modules = dc2api.read_modules(ROOT / "dc2lib")
    sections = [dc2api.module_section(name, module) for name, module in modules.items()]
    assert any(".. py:function:: label(dataset" in section for section in sections)
