"""A book of two short chapters over a library of three modules, in a temporary folder."""

from pathlib import Path

import pytest

HEADER = """---
jupytext:
  formats: md:myst,ipynb
  text_representation:
    extension: .md
    format_name: myst
{about}kernelspec:
  display_name: Python 3
  language: python
  name: python3
---

# {name}

```{{code-cell}} ipython3
:tags: [parameters]

profile = "quick"  # how much is computed
data = "auto"  # where the cell types come from
seed = 0  # of every draw
rate = 0.5  # a number with decimals
words = ""  # some text
```

"""
CELL = "```{{code-cell}} ipython3\n{code}\n```\n\n"
RECORDING = "from dc2book.record import record, provenance\n\nrecord('{key}', seed + rate)"


def write_chapter(root: Path, name: str, *cells: str, about: str = "") -> Path:
    """Write a chapter whose code cells follow the parameters."""
    text = HEADER.format(name=name, about=about)
    text += "".join(CELL.format(code=code) for code in cells)
    path = root / "book" / f"{name}.md"
    path.write_text(text)
    return path


def write_toc(root: Path, *names: str) -> None:
    """Write a table of contents with these pages, the first as root."""
    entries = "".join(f"  - file: {name}\n" for name in names[1:])
    chapters = f"chapters:\n{entries}" if entries else ""
    (root / "_toc.yml").write_text(f"format: jb-book\nroot: {names[0]}\n{chapters}")


@pytest.fixture
def book(tmp_path: Path) -> Path:
    """Root of a repository with chapters `first` and `second` and a library."""
    library = tmp_path / "dc2lib"
    for folder in ("book/profiles", "dc2lib/data/tables", "_build"):
        (tmp_path / folder).mkdir(parents=True)
    (library / "__init__.py").write_text("")
    (library / "used.py").write_text("from dc2lib.inner import depth\n")
    (library / "inner.py").write_text("depth = 1\n")
    (library / "other.py").write_text("other = 1\n")
    (library / "data" / "__init__.py").write_text("from dc2lib.data.reading import read\n")
    (library / "data" / "reading.py").write_text("def read(): ...\n")
    (library / "data" / "tables" / "figures.csv").write_text("a,b\n")
    (tmp_path / "requirements.lock").write_text("numpy==2.0.0\n")
    (tmp_path / "book" / "profiles" / "quick.yml").write_text("common:\n  seed: 3\n")
    (tmp_path / "book" / "profiles" / "smoke.yml").write_text("")
    write_chapter(tmp_path, "first", RECORDING.format(key="one"), "provenance()")
    write_chapter(tmp_path, "second", RECORDING.format(key="two"), "provenance()")
    write_toc(tmp_path, "first", "second")
    return tmp_path
