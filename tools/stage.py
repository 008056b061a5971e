"""Gather executed chapters, prose and configuration into one tree, and make HTML of it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tools.chapters import digest, page_sources, read_yaml
from tools.compare import recorded
from tools.dependencies import PACKAGES
from tools.errors import BuildError
from tools.parameters import comparison_example, costs, parameter_tables
from tools.publish import Addresses, add_downloads, addresses, merged_results
from tools.surroundings import surroundings
from tools.validation import file_digests

STAMP = ".staged"
SUPPORT = ("_ext", "_static", "dc2book", "references.bib", "reference")
STATUS_KEYS = ("chapter", "profile", "data_source", "hash", "started", "duration", "seeds")


def build_book(root: Path, executed: Mapping[str, Path]) -> Path:
    """Make the whole book with warnings as errors; do nothing if nothing staged has changed.

    ``root``: repository. ``executed``: folder of the execution of each chapter. Returns the built
    index page. BuildError with Sphinx's warnings and errors; an earlier book stays as it was.
    """
    files = staged_files(root, executed)
    tree = tree_digest(files, root)
    html = root / "_build" / "html"
    page = html / "index.html"
    if _is_built(html, tree):
        print("pages unchanged", flush=True)
        return page
    stage = root / "_build" / "stage"
    _write_tree(stage, files)
    built = make_pages(root, stage, root / "_build" / "sphinx", "-W", "--keep-going")
    add_downloads(built, executed, page_sources(root), _addresses(root))
    stamp = json.dumps({"tree": tree, "pages": file_digests(built)})
    (built / STAMP).write_text(stamp, encoding="utf-8")
    _swap(built, html)
    return page


def build_page(root: Path, name: str, executed: Path) -> Path:
    """Make a page of one executed chapter, with its notebook, in a folder of its own."""
    folder = root / "_build" / "chapters" / f"{name}-{executed.name[:8]}"
    stage = folder / "stage"
    files = {
        **_chapter_files(name, executed),
        **_support_files(root),
        "_config.yml": _yaml(_config(root)),
        "_toc.yml": _yaml({"format": "jb-book", "root": name}),
        "build.json": _status({name: executed}),
    }
    _write_tree(stage, files)
    built = make_pages(root, stage, folder / "sphinx")
    add_downloads(built, {name: executed}, {name: root / "book" / f"{name}.md"}, _addresses(root))
    _swap(built, folder / "html")
    merged_results({name: executed}, folder / "results.json")
    shutil.copy(executed / "executed.ipynb", folder / f"{name}.ipynb")
    shutil.rmtree(stage)
    shutil.rmtree(folder / "sphinx")
    (folder / "sphinx.log").unlink(missing_ok=True)
    return folder / "html" / f"{name}.html"


def staged_files(root: Path, executed: Mapping[str, Path]) -> dict[str, bytes]:
    """Return what the book is built from: path in the staged tree, and content."""
    files: dict[str, bytes] = {}
    for name, source in page_sources(root).items():
        if name in executed:
            files |= _chapter_files(name, executed[name])
        else:
            files[f"{name}.md"] = source.read_bytes()
    return {
        **files,
        **_support_files(root),
        "_config.yml": _yaml(_config(root)),
        "_toc.yml": (root / "_toc.yml").read_bytes(),
        "results.json": _read(root / "_build" / "results.json").encode(),
        "build.json": _status(executed),
        "parameters.json": _parameters(root),
    }


def tree_digest(files: Mapping[str, bytes], root: Path) -> str:
    """Return one hash over the staged files and what the pages are made with."""
    code = [file for name in PACKAGES for file in (root / name).rglob("*.py")]
    made_with = {str(file.relative_to(root)): file.read_bytes()
                 for file in (*code, root / "requirements.lock")}
    return digest({name: digest(content) for name, content in {**files, **made_with}.items()})


def _is_built(html: Path, tree: str) -> bool:
    """Whether the pages are of these files, and none was lost or changed since."""
    try:
        stamp = json.loads((html / STAMP).read_text(encoding="utf-8"))
        return stamp["tree"] == tree and stamp["pages"].items() <= file_digests(html).items()
    except (OSError, ValueError, TypeError, KeyError):  # none there, damaged, of an earlier version
        return False


def _chapter_files(name: str, executed: Path) -> dict[str, bytes]:
    files = {f"{name}.ipynb": (executed / "executed.ipynb").read_bytes()}
    for shown in sorted((executed / "figures").glob("[!.]*")):
        files[f"figures/{name}/{shown.name}"] = shown.read_bytes()
    return files


def _support_files(root: Path) -> dict[str, bytes]:
    book = root / "book"
    files: dict[str, bytes] = {}
    for entry in SUPPORT:
        path = book / entry
        members = sorted(path.rglob("*")) if path.is_dir() else [path]
        for member in members:
            if member.is_file() and "__pycache__" not in member.parts:
                files[str(member.relative_to(book))] = member.read_bytes()
    for member in sorted((root / "dc2lib").rglob("*.py")):  # chapters show some of it
        files[str(member.relative_to(root))] = member.read_bytes()
    return files


def _config(root: Path) -> dict[str, Any]:
    config = read_yaml(root / "_config.yml")
    known = addresses(config)
    config["html"]["baseurl"] = known.pages
    if known.repository:
        config["repository"]["url"] = known.repository
        return config
    del config["repository"]
    config.pop("launch_buttons", None)
    config["html"] = {k: v for k, v in config["html"].items() if not k.startswith("use_")}
    config["html"]["use_multitoc_numbering"] = True
    return config


def _addresses(root: Path) -> Addresses:
    return addresses(read_yaml(root / "_config.yml"))


def _status(executed: Mapping[str, Path]) -> bytes:
    about = []
    for folder in executed.values():
        run = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        shows = len(list((folder / "figures").glob("[!.]*.csv")))
        sources = {row.get("data_source") for row in recorded(folder)} - {None}
        about.append({**{key: run.get(key) for key in STATUS_KEYS}, "shows": shows,
                      "sources": sorted(sources)})
    return json.dumps(about).encode()


def _parameters(root: Path) -> bytes:
    content = {"parameters": parameter_tables(root), "costs": costs(root),
               "comparison": comparison_example(root)}
    return json.dumps(content).encode()


def _yaml(content: Mapping[str, Any]) -> bytes:
    return yaml.safe_dump(dict(content), sort_keys=False).encode()


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


def _write_tree(folder: Path, files: Mapping[str, bytes]) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def make_pages(root: Path, stage: Path, output: Path, *options: str) -> Path:
    """Make HTML of a staged tree; return the folder of the pages."""
    print("making pages", flush=True)
    return run_jupyter_book(root, stage, output, *options) / "html"


def run_jupyter_book(root: Path, stage: Path, output: Path, *options: str) -> Path:
    """Run jupyter-book over a staged tree; return the folder that holds what it built.

    BuildError with its complaints.
    """
    shutil.rmtree(output, ignore_errors=True)
    settings = output / "settings"
    settings.mkdir(parents=True)
    start = (
        f"from tools.children import end_with; end_with({os.getpid()}); "
        "from jupyter_book.cli.main import main; main()"
    )
    command = [sys.executable, "-c", start, "build", "--all", *options]
    ended = subprocess.run(
        [*command, "--path-output", str(output), str(stage)], cwd=root, env=surroundings(settings),
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8", errors="replace",
        check=False,
    )  # fmt: skip
    log = output.with_suffix(".log")
    log.write_text(ended.stdout, encoding="utf-8")
    if ended.returncode:
        raise BuildError(f"the pages have problems (log: {log})\n{_complaints(log)}")
    return output / "_build"


def _complaints(log: Path) -> str:
    text = re.sub(r"\x1b\[[0-9;]*m", "", log.read_text(encoding="utf-8"))
    lines = text.splitlines()
    marked = [line for line in lines if re.search(r"WARNING|ERROR|Error|Exception", line)]
    return re.sub(r"\S*/stage/(\S+\.\w+):(\d+)", _place, "\n".join(marked[:40] or lines[-30:]))


def _place(found: re.Match[str]) -> str:
    """Say where a line of the staged tree lies; myst-nb counts 10,000 lines for each cell."""
    page, line = Path(found[1]), int(found[2])
    if page.suffix != ".ipynb":
        return f"book/{page}:{line}"
    return f"book/{page.stem}.md, cell {line // 10_000}, line {line % 10_000}"


def _swap(new: Path, old: Path) -> None:
    discarded = old.with_name(f".{old.name}.old")
    shutil.rmtree(discarded, ignore_errors=True)
    if old.exists():
        os.replace(old, discarded)
    os.replace(new, old)
    shutil.rmtree(discarded, ignore_errors=True)
