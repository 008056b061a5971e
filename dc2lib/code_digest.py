"""Which code decides a kept result: the modules that compute it, and all that they import.

A result that is kept on disk lies under a hash of what decides it, and the code is part of that.
No list of files is kept by hand: the import statements say what is needed.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Collection, Iterable, Mapping
from functools import cache
from pathlib import Path

import dc2lib
from dc2lib.imports import imports_of, modules_of, package_data

LEFT_OUT = (
    "dc2lib.code_digest", "dc2lib.datasets", "dc2lib.engine", "dc2lib.imports", "dc2lib.replacing"
)


@cache
def code_digest(*modules: str, without: tuple[str, ...] = ()) -> str:
    """SHA-256 (hex) over the code that decides what the named modules compute.

    Counted are the syntax trees of the named modules and of every module of the library that they
    import, directly or through others, also inside functions, and the data files that lie in their
    packages.  Comments, docstrings and the layout of the source do not count.

    Not entered are `dc2lib.datasets`, since the content of the data is in the key of every result
    by its fingerprint, `dc2lib.engine`, which brings jobs to workers, `dc2lib.replacing`, which
    only writes files, and what makes this digest.
    A package that is not entered is open to a named module inside it: the simulator's code is
    counted by naming `dc2lib.datasets.simulated.study`.  The ``__init__`` of a package does not
    count where a name is only passed on: the import leads to the module that defines the name.

    What draws, words or records must not be reached, or a changed colour would train everything
    again; a test holds the modules that compute kept results to that.

    Parameters
    ----------
    modules
        Full names, usually ``__name__`` of the module that computes and keeps the result.
    without
        Further modules that are not entered, such as a table of all that could be computed of
        which one row was; name what is needed of it.

    Raises
    ------
    ValueError
        If a named module does not exist.
    """
    return digest_of(deciding_modules(modules, without))


def deciding_modules(
    modules: Iterable[str], without: Collection[str] = (), package: Path | None = None
) -> dict[str, Path]:
    """The modules that `code_digest` counts, by name; ``package`` is the library's folder."""
    known = modules_of(Path(dc2lib.__file__).parent if package is None else package)
    named = set(modules)
    if missing := sorted((named | set(without)) - set(known)):
        raise ValueError(f"no module {', '.join(missing)}: expected full names of modules")
    shut = {*LEFT_OUT, *without}
    opened = named | {name.rpartition(".")[0] for name in named}
    found: set[str] = set()
    queue = list(named)
    while queue:
        name = queue.pop()
        if name in found or _nearest(name, shut) > _nearest(name, opened):
            continue
        found.add(name)
        for source, imported, _ in imports_of(_tree(known[name]), name, known):
            queue += _defining(source, imported, known)
    return {name: known[name] for name in sorted(found)}


def digest_of(modules: Mapping[str, Path]) -> str:
    """SHA-256 (hex) over the syntax trees of modules and the data files in their packages."""
    digest = hashlib.sha256()
    for name, file in modules.items():
        digest.update(f"{name}\0{_meaning(file.read_text(encoding='utf-8'))}\0".encode())
    for folder in sorted({file.parent for file in modules.values()}):
        for file in sorted(package_data(folder)):
            digest.update(f"{file.relative_to(folder)}\0".encode() + file.read_bytes() + b"\0")
    return digest.hexdigest()


def _nearest(name: str, packages: Collection[str]) -> int:
    """Length of the longest of the names that is the module or a package that holds it."""
    return max((len(one) for one in packages if f"{name}.".startswith(f"{one}.")), default=0)


def _defining(source: str, name: str | None, known: Mapping[str, Path]) -> list[str]:
    """The modules that an import statement reads: those that define the name."""
    if f"{source}.{name}" in known:
        return [f"{source}.{name}"]
    if source not in known:
        return []
    passed_on = [
        (origin, imported)
        for origin, imported, bound in imports_of(_tree(known[source]), source, known)
        if bound == name and known[source].name == "__init__.py"
    ]
    return [one for each in passed_on for one in _defining(*each, known)] or [source]


def _tree(file: Path) -> ast.Module:
    return _parsed(file.read_text(encoding="utf-8"))


@cache
def _parsed(source: str) -> ast.Module:
    return ast.parse(source)


@cache
def _meaning(source: str) -> str:
    """The syntax tree without docstrings, as text."""
    tree = ast.parse(source)
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for node in ast.walk(tree):
        if isinstance(node, documented) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:]
    return ast.dump(tree)
