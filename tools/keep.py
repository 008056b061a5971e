"""Keep pages and recorded results of the last build under a name, to look at and compare later.

Usage: python -m tools.keep NAME
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path

from tools.compare import read_run
from tools.errors import BuildError, exit_code

ROOT = Path(__file__).resolve().parents[1]
NAME = re.compile(r"[\w.-]+")


def keep(root: Path, name: str) -> Path:
    """Copy ``_build/html`` and ``_build/results.json`` to ``runs/<name>``; return that folder.

    BuildError if the name is no folder name, is taken, or nothing has been built.
    """
    if not NAME.fullmatch(name) or set(name) == {"."}:
        raise BuildError(f"a run needs a name of letters, digits, - and _, not {name!r}: RUN=e013")
    results = root / "_build" / "results.json"
    if not results.exists():
        raise BuildError("there is no _build/results.json to keep: make book")
    read_run(results)  # else it says what is wrong with them
    target = root / "runs" / name
    if target.exists():
        raise BuildError(f"{target} exists; take another name or remove it")
    partial = target.with_name(f".{name}.{os.getpid()}.part")
    try:
        partial.mkdir(parents=True)
        shutil.copy(results, partial)
        if (root / "_build" / "html").exists():
            shutil.copytree(root / "_build" / "html", partial / "html")
        os.replace(partial, target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return target


def main() -> None:
    """Keep the run that the command line names."""
    target = keep(ROOT, sys.argv[1] if len(sys.argv) > 1 else "")
    print(f"kept in {target}; make compare A={target.relative_to(ROOT)} B=_build")


if __name__ == "__main__":
    sys.exit(exit_code(main))
