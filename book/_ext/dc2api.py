"""The library reference: a section for each public module of dc2lib, by Sphinx's autodoc."""

from __future__ import annotations

import pkgutil
from importlib import import_module
from typing import Any

from sphinx.application import Sphinx

MARK, PACKAGE = "<!-- modules of dc2lib -->", "dc2lib"


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the reference with Sphinx."""
    for name in ("autodoc", "napoleon"):
        app.setup_extension(f"sphinx.ext.{name}")
    app.connect("source-read", write_reference)
    app.connect("autodoc-process-docstring", keep_bars)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}


def write_reference(app: Sphinx, docname: str, source: list[str]) -> None:
    """Write one section a module where a page holds the mark for it."""
    if MARK in source[0]:
        source[0] = source[0].replace(MARK, "\n\n".join(map(module_section, public_modules())))


def public_modules() -> list[str]:
    """Dotted names of the package and of its modules, without those whose name begins with _."""
    found = pkgutil.walk_packages(import_module(PACKAGE).__path__, f"{PACKAGE}.")
    return sorted([PACKAGE, *(one.name for one in found if "._" not in one.name)])


def module_section(name: str) -> str:
    """Return the section of one module: what it is for, its exports, its public definitions."""
    exported = [word for word, one in vars(import_module(name)).items()
                if getattr(one, "__module__", "").startswith(f"{name}.") and word[0] != "_"]
    named = f"To be imported from here: ``{'``, ``'.join(exported)}``.\n" if exported else ""
    options = "   :members:\n   :member-order: bysource\n   :ignore-module-all:\n"
    return f"## {name}\n\n````{{eval-rst}}\n.. automodule:: {name}\n{options}\n{named}````"


def keep_bars(*event: Any) -> None:
    """Write ``|x|`` as such: it would be read as a substitution."""
    lines = event[-1]
    lines[:] = [line if "``" in line or line.lstrip().startswith((">>>", "...")) else
                line.replace("|", r"\|") for line in lines]
