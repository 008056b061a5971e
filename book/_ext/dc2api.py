"""The library reference, read from the sources: nothing of dc2lib (nor torch) is imported."""

from __future__ import annotations

import ast
import textwrap
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.ext.napoleon import Config, NumpyDocstring

MARK = "<!-- modules of dc2lib -->"
STYLE = Config(napoleon_google_docstring=False, napoleon_use_ivar=True, napoleon_use_rtype=False)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the reference with Sphinx."""
    app.add_config_value("dc2api_package", "", "env")
    app.connect("source-read", write_reference)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}


def write_reference(app: Sphinx, docname: str, source: list[str]) -> None:
    """Write one section a module where a page holds the mark for it."""
    if MARK in source[0]:
        modules = read_modules(Path(app.config.dc2api_package))
        sections = [module_section(name, module) for name, module in sorted(modules.items())]
        source[0] = source[0].replace(MARK, "\n\n".join(sections))


def read_modules(package: Path) -> dict[str, ast.Module]:
    """Return the syntax tree of each public module of a package, by dotted name."""
    modules = {}
    for file in sorted(package.rglob("*.py")):
        parts = [package.name, *file.relative_to(package).with_suffix("").parts]
        parts = parts[:-1] if parts[-1] == "__init__" else parts
        if not any(part.startswith("_") for part in parts):
            modules[".".join(parts)] = ast.parse(file.read_text(encoding="utf-8"), str(file))
    return modules


def module_section(name: str, module: ast.Module) -> str:
    """Return the section of one module: what it is for, its exports, its public definitions."""
    body = [f".. py:module:: {name}", "", _prose(module, "module"), ""]
    exported = [
        alias.asname or alias.name
        for node in module.body
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"{name}.")
        for alias in node.names
    ]
    if exported:
        body += ["To be imported from here: ``" + "``, ``".join(exported) + "``.", ""]
    for node in module.body:
        if isinstance(node, ast.ClassDef) and _is_public(node):
            body.append(_class(node))
        elif isinstance(node, ast.FunctionDef) and _is_public(node):
            prose = _prose(node, "function")
            body.append(_directive("function", f"{node.name}{_signature(node)}", prose))
    return "\n".join([f"## {name}", "", "````{eval-rst}", *body, "````"])


def _class(node: ast.ClassDef) -> str:
    methods = {one.name: one for one in node.body if isinstance(one, ast.FunctionDef)}
    fields = _fields(node)
    arguments = f"({', '.join(fields)})"
    if "__init__" in methods:
        arguments = _signature(methods["__init__"], skip_first=True).partition(" -> ")[0]
    described = [
        _directive("attribute", field.partition(" = ")[0], text)
        for field, text in fields.items()
        if text
    ]
    shown = [_method(one) for one in methods.values() if _is_public(one) and _prose(one, "method")]
    text = "\n\n".join(filter(None, [_prose(node, "class"), *described, *shown]))
    return _directive("class", f"{node.name}{arguments}", text)


def _fields(node: ast.ClassDef) -> dict[str, str]:
    """Return the fields of a dataclass (or another decorated class) and the string below each."""
    if not node.decorator_list and not node.bases:
        return {}
    fields = {}
    for entry, following in zip(node.body, [*node.body[1:], None], strict=True):
        if isinstance(entry, ast.AnnAssign):
            below = following if isinstance(following, ast.Expr) else None
            text = getattr(getattr(below, "value", None), "value", "")
            fields[ast.unparse(entry)] = textwrap.dedent(str(text))
    return fields


def _method(node: ast.FunctionDef) -> str:
    decorators = {ast.unparse(one).split(".")[-1] for one in node.decorator_list}
    text = _prose(node, "method")
    if decorators & {"property", "cached_property"}:
        return _directive("property", node.name, text)
    kind = next(iter(decorators & {"classmethod", "staticmethod"}), "method")
    return _directive(kind, node.name + _signature(node, kind != "staticmethod"), text)


def _signature(node: ast.FunctionDef, skip_first: bool = False) -> str:
    own = {**vars(node.args), "args": node.args.args[int(skip_first) :]}
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return f"({ast.unparse(ast.arguments(**own))}){returns}"


def _is_public(node: ast.ClassDef | ast.FunctionDef) -> bool:
    return not node.name.startswith("_")


def _prose(node: ast.AST, what: str) -> str:
    """Return a docstring as reStructuredText, without reading ``|x|`` as a substitution."""
    lines = str(NumpyDocstring(ast.get_docstring(node) or "", STYLE, what=what)).splitlines()
    literal = [("``" in line or line.lstrip().startswith((">>>", "..."))) for line in lines]
    return "\n".join(
        line if kept else line.replace("|", "\\|")
        for line, kept in zip(lines, literal, strict=True)
    )


def _directive(kind: str, signature: str, text: str) -> str:
    return f".. py:{kind}:: {signature}\n\n{textwrap.indent(text, '   ')}\n"
