"""The pages that ``_toc.yml`` lists: which are chapters, and what each chapter declares."""

from __future__ import annotations

import ast
import difflib
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

import jupytext
import nbformat
import yaml
from papermill.models import Parameter
from papermill.translators import PythonTranslator

from tools.errors import BuildError

COMMON = "common"
SET_BY_BUILD = {"profile": "`PROFILE=`", "data": "`DATA=`"}
TRUE = ("true", "True")
CONFLICT = re.compile("^(<{7}|>{7}) ", re.MULTILINE)
ZERO = re.compile(r"\b0( means|:)")  # in a comment: what 0 stands for
READ = {  # how a value is written
    bool: re.compile("true|True|false|False"),
    int: re.compile("[+-]?[0-9]{1,18}"),
    float: re.compile(r"[+-]?([0-9]{1,18}\.?|[0-9]*\.[0-9]+)(e[+-]?[0-9]{1,2})?", re.IGNORECASE),
}


@dataclass(frozen=True)
class Chapter:
    """One MyST Markdown notebook of the book."""

    name: str
    source: Path
    text: str
    notebook: nbformat.NotebookNode
    parameters: dict[str, Any] = field(default_factory=dict)
    meanings: dict[str, str] = field(default_factory=dict)
    depends: tuple[str, ...] = ()
    data: tuple[str, ...] = ()

    @property
    def code(self) -> list[str]:
        """Source of the code cells."""
        return [cell.source for cell in self.notebook.cells if cell.cell_type == "code"]


def page_names(toc: Path) -> list[str]:
    """Return the pages of a table of contents in reading order, the root first."""
    contents = read_yaml(toc)
    try:
        names = [contents["root"]]
        queue = [*contents.get("parts", []), *contents.get("chapters", [])]
        while queue:
            entry = queue.pop(0)
            if "file" in entry:
                names.append(entry["file"])
            queue = [*entry.get("chapters", []), *entry.get("sections", []), *queue]
    except (KeyError, TypeError, AttributeError) as error:
        raise BuildError(f"{toc} is no table of contents with a root and chapters") from error
    return names


def read_text(path: Path) -> str:
    """Return what a person wrote; BuildError if it is no UTF-8 or half merged."""
    try:
        text = path.read_text(encoding="utf-8")
    except ValueError as error:
        raise BuildError(f"{path} is no text in UTF-8 ({error}): save it as such") from None
    if found := CONFLICT.search(text):
        line = text.count("\n", 0, found.start()) + 1
        raise BuildError(f"{path}:{line}: the mark of a merge conflict: resolve it")
    return text


def read_yaml(path: Path, text: str | None = None, loader: Any = yaml.SafeLoader) -> Any:
    """Return what a file, or the text of its header, says in YAML; else a `BuildError`."""
    try:
        return yaml.load(read_text(path) if text is None else text, Loader=loader)
    except (yaml.YAMLError, ValueError) as error:
        raise BuildError(f"{path}: {error}") from None


def page_sources(root: Path) -> dict[str, Path]:
    """Return name and Markdown file of each page. BuildError if a listed page has no file."""
    names = page_names(root / "_toc.yml")
    sources = {name: root / "book" / f"{name}.md" for name in names}
    missing = [str(path.relative_to(root)) for path in sources.values() if not path.exists()]
    if missing:
        raise BuildError(f"_toc.yml lists pages that do not exist: {', '.join(missing)}")
    return sources


def is_chapter(source: Path) -> bool:
    """Return whether a page is a notebook (its header names a kernel) and not prose."""
    return "kernelspec" in _front_matter(source)


def find_chapters(root: Path) -> dict[str, Chapter]:
    """Return the chapters of the book in reading order."""
    sources = page_sources(root).items()
    return {name: read_chapter(name, source) for name, source in sources if is_chapter(source)}


def read_chapter(name: str, source: Path) -> Chapter:
    """Read one chapter and what its header and its ``parameters`` cell declare."""
    text = read_text(source)
    notebook = jupytext.reads(text, fmt="md:myst")
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"{name}-{number:03d}"
    declared = notebook.metadata.get("dc2lib", {})
    given = _declared_parameters(notebook, source)
    return Chapter(
        name, source, text, notebook,
        parameters={one.name: _default(one, source) for one in given},
        meanings={one.name: one.help.strip() for one in given},
        depends=_words(declared.get("depends", ())),
        data=_words(declared.get("data", ())),
    )  # fmt: skip


def read_profile(root: Path, profile: str) -> dict[str, dict[str, str]]:
    """Return the parameters that a profile sets, by chapter; ``common`` holds those of all.

    Values are the text that stands there, which `typed_value` reads: YAML takes 010 for eight.
    """
    folder = root / "book" / "profiles"
    path = folder / f"{profile}.yml"
    if path not in folder.glob("*.yml"):
        known = sorted(file.stem for file in folder.glob("*.yml"))
        raise BuildError(f"no profile {profile!r}; there are {', '.join(known)}")
    content = read_yaml(path, loader=_Profile)
    try:
        sections = {} if content is None else {**content}
        return {name: {} if one == "" else {**one} for name, one in sections.items()}
    except TypeError as error:
        raise BuildError(f"{path} is no profile, which has a section a chapter: {error}") from None


class _Profile(yaml.BaseLoader):
    """Text as it stands there; of a name that stands there twice YAML would take the second."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[str, Any]:
        found = super().construct_mapping(node, deep)
        if len(found) < len(node.value):
            names = [key.value for key, _ in node.value]
            twice = ", ".join(name for name in found if names.count(name) > 1)
            raise ValueError(f"{twice} stands there twice")
        return found


def chosen_parameters(
    chapter: Chapter,
    profile: str,
    settings: Mapping[str, Mapping[str, Any]],
    source: str,
    overrides: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the parameters to inject into a chapter: only those that it declares.

    BuildError if the profile's section of the chapter, or an override, names an undeclared
    parameter, or one that is the build's: captions and cache would then say what was not so.
    """
    of_all, own = settings.get(COMMON, {}), settings.get(chapter.name, {})
    overrides, where = overrides or {}, f"book/profiles/{profile}.yml"
    for names, place in (({**of_all, **own}, where), (overrides, "the command line")):
        for name in SET_BY_BUILD.keys() & names:
            raise BuildError(
                f"{place}: {name} is set for the whole build, by {SET_BY_BUILD[name].strip('`')},"
                " and is no parameter to be given to one chapter"
            )
    common = {"profile": profile, "data": source, **of_all}
    return {
        **{name: typed_value(chapter, name, value, where)
           for name, value in common.items() if name in chapter.parameters},
        **{name: typed_value(chapter, name, value, where) for name, value in own.items()},
        **{name: typed_value(chapter, name, value) for name, value in overrides.items()},
    }


def typed_value(
    chapter: Chapter, name: str, given: Any, where: str = "the command line"
) -> str | int | float | bool:
    """Return a parameter, written as text somewhere, in the type of its default.

    BuildError if the chapter has no such parameter, the text is nothing of that type, or the number
    is below 0, or 0 of what is counted and where the parameter's comment gives 0 no meaning.
    """
    _refuse_unknown(chapter, [name], where)
    default, text = chapter.parameters[name], str(given)
    kind, place = type(default), f"{where}: parameter {name} of {chapter.name}"
    if kind is str and isinstance(given, str):
        return text
    if kind not in READ or not READ[kind].fullmatch(text):
        raise BuildError(
            f"{place}: {text!r} is not a {kind.__name__} like its default {default!r}"
        )
    value = text in TRUE if kind is bool else kind(text)
    counted = kind is int or name.endswith("epochs")
    may_be_zero = not counted or not default or ZERO.search(chapter.meanings[name])
    if value < 0 or not (value or may_be_zero):
        least = "0 or more" if may_be_zero else "more than 0"
        raise BuildError(f"{place}: {text} is too small, expected {least}")
    return value


def run_order(chapters: Mapping[str, Chapter]) -> dict[str, list[str]]:
    """Return each chapter and the chapters that it depends on, in an order that can be run.

    ``all`` means every chapter that does not itself depend on ``all``. BuildError if a chapter
    depends on an unknown chapter, or chapters depend on each other in a circle.
    """
    needs = {name: _needed(chapter, chapters) for name, chapter in chapters.items()}
    try:
        return {name: needs[name] for name in TopologicalSorter(needs).static_order()}
    except CycleError as error:
        circle = ", ".join(sorted(set(error.args[1])))
        raise BuildError(f"chapters depend on each other in a circle: {circle}") from error


def digest(content: Any) -> str:
    """Return the SHA-256 of bytes, text, or anything JSON can hold."""
    if isinstance(content, str):
        content = content.encode()
    if not isinstance(content, bytes):
        content = json.dumps(content, sort_keys=True).encode()
    return hashlib.sha256(content).hexdigest()


def line_of_cell(chapter: Chapter, index: int) -> int:
    """Return the line of the source file where a cell's code begins."""
    code = chapter.notebook.cells[index].source
    before = [cell.source for cell in chapter.notebook.cells[:index]]
    start = 0
    for earlier in before:
        found = chapter.text.find(earlier, start)
        start = found + len(earlier) if found >= 0 else start
    return chapter.text.count("\n", 0, max(chapter.text.find(code, start), 0)) + 1


def _front_matter(source: Path) -> dict[str, Any]:
    text = read_text(source)
    if not text.startswith("---\n"):
        return {}
    return read_yaml(source, text[4:].split("\n---", 1)[0]) or {}


def _words(value: str | Iterable[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


def _declared_parameters(notebook: nbformat.NotebookNode, source: Path) -> list[Parameter]:
    """What papermill finds in the cell of parameters: name, default as text, comment."""
    tagged = [cell for cell in notebook.cells
              if cell.cell_type == "code" and "parameters" in cell.metadata.get("tags", [])]
    if len(tagged) != 1:
        raise BuildError(f"{source}: {len(tagged)} code cells are tagged `parameters`, expected 1")
    return PythonTranslator.inspect(tagged[0])


def _default(parameter: Parameter, source: Path) -> Any:
    try:
        return ast.literal_eval(parameter.default)
    except (ValueError, SyntaxError) as error:
        raise BuildError(
            f"{source}: the default of parameter {parameter.name} must be a literal"
        ) from error


def _refuse_unknown(chapter: Chapter, names: Iterable[str], where: str) -> None:
    for name in names:
        if name in chapter.parameters:
            continue
        near = difflib.get_close_matches(name, chapter.parameters, 1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        raise BuildError(
            f"{where}: chapter {chapter.name} has no parameter {name!r}{hint}; "
            f"it has {', '.join(chapter.parameters)}"
        )


def _needed(chapter: Chapter, chapters: Mapping[str, Chapter]) -> list[str]:
    needed: list[str] = []
    for name in chapter.depends:
        if name == "all":
            needed += [n for n, other in chapters.items() if "all" not in other.depends]
        elif name in chapters:
            needed.append(name)
        else:
            raise BuildError(f"{chapter.source}: depends on {name!r}, which is no chapter")
    return [n for n in dict.fromkeys(needed) if n != chapter.name]
