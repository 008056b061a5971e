"""The library reference, read from the sources: nothing of dc2lib is imported."""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.ext.napoleon import Config, NumpyDocstring

MARK = "<!-- modules of dc2lib -->"
STYLE = Config(napoleon_google_docstring=False, napoleon_use_ivar=True, napoleon_use_rtype=False)

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the reference with Sphinx."""
    app.add_config_value("dc2api_package", "", "env")
    app.connect("source-read", write_reference)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}


def write_reference(app: Sphinx, docname: str, source: list[str]) -> None:
    """Write one section a module where a page holds the mark for it."""
    if MARK not in source[0]:
        return
    modules = read_modules(Path(app.config.dc2api_package))
    sections = [module_section(name, modules) for name in sorted(modules)]
    source[0] = source[0].replace(MARK, "\n\n".join(filter(None, sections)))


def read_modules(package: Path) -> dict[str, ast.Module]:
    """Return the syntax tree of each public module of a package, by dotted name."""
    modules = {}
    for file in sorted(package.rglob("*.py")):
        parts = [package.name, *file.relative_to(package).with_suffix("").parts]
        if parts[-1] == "__init__":
            parts.pop()
        if not any(part.startswith("_") for part in parts):
            modules[".".join(parts)] = ast.parse(file.read_text(), str(file))
    return modules


def module_section(name: str, modules: dict[str, ast.Module]) -> str:
    """Return the section of one module; empty if its package shows all that it holds."""
    shown_above = {
        id(node)
        for parent in _parents(name)
        if parent in modules and _exported(modules[parent])
        for _, node in _public(parent, modules)
    }
    entries = list(_public(name, modules))
    own = [(key, node) for key, node in entries if id(node) not in shown_above]
    if entries and not own:
        return ""
    body = [f".. py:module:: {name}", "", _prose(modules[name], "module"), ""]
    body += [_entry(key, node) for key, node in own]
    return "\n".join([f"## {name}", "", "````{eval-rst}", *body, "````"])


def _parents(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:i]) for i in range(1, len(parts))]


def _exported(module: ast.Module) -> list[str]:
    for node in module.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return list(ast.literal_eval(node.value))
    return []


def _definitions(module: ast.Module) -> dict[str, Definition]:
    return {node.name: node for node in module.body if isinstance(node, Definition)}


def _public(name: str, modules: dict[str, ast.Module]) -> Iterator[tuple[str, Definition]]:
    """Yield what a module exports, or else its public definitions in their order."""
    module = modules[name]
    own = _definitions(module)
    exported = _exported(module)
    if not exported:
        yield from ((key, node) for key, node in own.items() if not key.startswith("_"))
        return
    origins = {
        alias.asname or alias.name: (node.module, alias.name)
        for node in module.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    for key in exported:
        origin, original = origins.get(key, (name, key))
        there = own if origin == name else _definitions(modules.get(origin, ast.Module([], [])))
        if original in there:
            yield key, there[original]


def _entry(name: str, node: Definition) -> str:
    if isinstance(node, ast.ClassDef):
        return _class(name, node)
    return _directive("function", f"{name}{_signature(node)}", _prose(node, "function"))


def _class(name: str, node: ast.ClassDef) -> str:
    fields = _fields(node)
    methods = [n for n in node.body if isinstance(n, ast.FunctionDef) and _is_shown(n)]
    first = next((n for n in node.body if getattr(n, "name", "") == "__init__"), None)
    arguments = ", ".join(field for field, _ in fields) if first is None else _arguments(first)
    parts = [_prose(node, "class")]
    described = [(field.split(" = ")[0], text) for field, text in fields if text]
    parts += [_directive("attribute", field, text) for field, text in described]
    parts += [_method(method) for method in methods]
    return _directive("class", f"{name}({arguments})", "\n\n".join(filter(None, parts)))


def _fields(node: ast.ClassDef) -> list[tuple[str, str]]:
    """Return the fields of a dataclass, and the string below each."""
    if not node.decorator_list and not node.bases:
        return []
    found = []
    for position, entry in enumerate(node.body):
        if not isinstance(entry, ast.AnnAssign) or (entry.value is not None and not entry.simple):
            continue
        following = node.body[position + 1] if position + 1 < len(node.body) else None
        text = ""
        if isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant):
            text = textwrap.dedent(str(following.value.value))
        found.append((ast.unparse(entry), text))
    return found


def _is_shown(method: ast.FunctionDef) -> bool:
    return not method.name.startswith("_") and ast.get_docstring(method) is not None


def _method(method: ast.FunctionDef) -> str:
    decorators = {ast.unparse(decorator).split(".")[-1] for decorator in method.decorator_list}
    text = _prose(method, "method")
    if decorators & {"property", "cached_property"}:
        return _directive("property", method.name, text)
    kind = next((k for k in ("classmethod", "staticmethod") if k in decorators), "method")
    signature = _signature(method, skip_first=kind != "staticmethod")
    return _directive(kind, f"{method.name}{signature}", text)


def _signature(node: ast.FunctionDef | ast.AsyncFunctionDef, skip_first: bool = False) -> str:
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return f"({_arguments(node, skip_first)}){returns}"


def _arguments(node: ast.FunctionDef | ast.AsyncFunctionDef, skip_first: bool | None = None) -> str:
    arguments = node.args
    skip = node.name == "__init__" if skip_first is None else skip_first
    if skip and arguments.args:
        arguments = ast.arguments(
            **{**dict(ast.iter_fields(arguments)), "args": arguments.args[1:]}
        )
    return ast.unparse(arguments)


def _prose(node: ast.AST, what: str) -> str:
    text = ast.get_docstring(node) or ""
    lines = str(NumpyDocstring(text, STYLE, what=what)).splitlines()
    return "\n".join(_plain_bars(line) for line in lines)


def _plain_bars(line: str) -> str:
    """Keep the bars of ``|x|`` from being read as a substitution."""
    if "``" in line or line.lstrip().startswith((">>>", "...")):
        return line
    return line.replace("|", "\\|")


def _directive(kind: str, signature: str, text: str) -> str:
    return f".. py:{kind}:: {signature}\n\n{textwrap.indent(text, '   ')}\n"
