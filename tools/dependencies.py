"""What a chapter's result depends on, as one content hash."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from dc2lib.cache import imports_of, modules_of, package_data
from tools.chapters import Chapter, digest

FORMAT = 1
PACKAGES = ("dc2lib", "book/dc2book")
NO_CHAPTER = (
    "axe-core-python", "execnet", "greenlet", "playwright", "pypdf", "pytest-xdist", "ruff", "uv",
)  # fmt: skip


def chapter_hash(
    chapter: Chapter,
    parameters: Mapping[str, Any],
    fingerprint: str,
    inputs: Mapping[str, str],
    root: Path,
) -> str:
    """Return the hash of all that a chapter's outputs depend on.

    ``chapter``: its source counts byte by byte. ``parameters``: those that are injected.
    ``fingerprint``: of the data that it reads; empty where it reads none. ``inputs``: hash of each
    chapter whose results it reads. ``root``: repository with the library's sources and the lock
    file.
    """
    files = library_files(chapter.code, root)
    lock = (root / "requirements.lock").read_text(encoding="utf-8")
    return digest(
        {
            "format": FORMAT,
            "python": list(sys.version_info[:2]),
            "name": chapter.name,
            "source": digest(chapter.text),
            "parameters": dict(parameters),
            "lock": digest(execution_lock(lock)),
            "library": {str(file.relative_to(root)): digest(file.read_bytes()) for file in files},
            "data": fingerprint,
            "inputs": dict(inputs),
        }
    )


def execution_lock(lock: str) -> str:
    """Return the lock file without the packages that no chapter can import a result from."""
    lines = lock.splitlines(keepends=True)
    return "".join(line for line in lines if line.split("==")[0] not in NO_CHAPTER)


def library_files(code: Iterable[str], root: Path) -> list[Path]:
    """Return the files of dc2lib and dc2book that code cells import, directly or not, with data."""
    folders = [root / name for name in PACKAGES if (root / name).is_dir()]
    modules = {name: file for folder in folders for name, file in modules_of(folder).items()}
    queue = [name for cell in code for name in _imported(_python(cell), modules)]
    seen: set[str] = set()
    while queue:
        name = queue.pop()
        if name in seen:
            continue
        seen.add(name)
        queue += _parents(name)
        queue += _imported(modules[name].read_text(encoding="utf-8"), modules)
    files = {modules[name] for name in seen}
    for name in seen:
        if modules[name].name == "__init__.py":
            files |= package_data(modules[name].parent)
    return sorted(files)


def _python(cell: str) -> str:
    """Blank the lines of a cell that are IPython's, not Python's."""
    lines = cell.splitlines()
    return "\n".join("pass" if line.lstrip().startswith(("%", "!")) else line for line in lines)


def _parents(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:i]) for i in range(1, len(parts))]


def _imported(source: str, modules: Mapping[str, Path]) -> Iterable[str]:
    """Modules that a source may import; all where it cannot be parsed."""
    named = _named(source)
    return modules if named is None else [name for name in named if name in modules]


@cache  # chapters share most modules
def _named(source: str) -> list[str] | None:
    named: list[str] = []
    try:
        tree = ast.parse(source)
        for origin, name, _ in imports_of(tree):
            named += [origin, *([f"{origin}.{name}"] if name else [])]
    except (SyntaxError, ValueError):
        return None
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            named.append(node.value)
    return named
