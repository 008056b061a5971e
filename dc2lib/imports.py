"""The modules of a package and what each imports, read from the sources without importing any."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path


def modules_of(package: Path) -> dict[str, Path]:
    """File of each module of a package by its full name, such as ``dc2lib.gan.training``."""
    found = {}
    for file in package.rglob("*.py"):
        parts = [package.name, *file.relative_to(package).with_suffix("").parts]
        if parts[-1] == "__init__":
            parts.pop()
        found[".".join(parts)] = file
    return found


def package_data(folder: Path) -> set[Path]:
    """Files beside a package's modules and in its folders that are not packages themselves."""
    files: set[Path] = set()
    for entry in folder.iterdir():
        if entry.name.startswith((".", "__pycache__")):
            continue
        if entry.is_file() and entry.suffix not in {".py", ".pyc"}:
            files.add(entry)
        elif entry.is_dir() and not (entry / "__init__.py").exists():
            files |= package_data(entry)
    return files


def imports_of(
    tree: ast.AST, module: str, modules: Mapping[str, Path]
) -> Iterator[tuple[str, str | None, str | None]]:
    """What the import statements of a module say, those inside functions included.

    Yields
    ------
    source, name, bound
        ``import a.b`` gives ``("a.b", None, None)``, ``from a import b as c`` gives
        ``("a", "b", "c")``; relative imports are made absolute.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            source = _absolute(node, module, modules)
            yield from ((source, alias.name, alias.asname or alias.name) for alias in node.names)


def _absolute(node: ast.ImportFrom, module: str, modules: Mapping[str, Path]) -> str:
    if not node.level:
        return node.module or ""
    parts = module.split(".")
    is_package = module in modules and modules[module].name == "__init__.py"
    up = node.level - 1 if is_package else node.level
    base = parts[: len(parts) - up] if up else parts
    return ".".join([*base, *([node.module] if node.module else [])])
