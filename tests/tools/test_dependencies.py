"""A chapter's hash changes with what its result depends on, and with nothing else."""

import os

import pytest
from conftest import write_chapter

from tools.chapters import find_chapters
from tools.dependencies import chapter_hash, library_files


@pytest.fixture
def imports_used(book):
    write_chapter(book, "first", "from dc2lib import used\n%matplotlib inline\nimport os")
    return book


def key(book, parameters=(), fingerprint="cells", inputs=()):
    chapter = find_chapters(book)["first"]
    return chapter_hash(chapter, dict(parameters), fingerprint, dict(inputs), book)


def names(book, *code):
    return [str(file.relative_to(book / "dc2lib")) for file in library_files(code, book)]


def test_touching_changes_nothing(imports_used):
    before = key(imports_used)
    for file in imports_used.rglob("*"):
        os.utime(file, (1, 1))
    assert key(imports_used) == before


@pytest.mark.parametrize(
    "file", ["book/first.md", "requirements.lock", "dc2lib/used.py", "dc2lib/inner.py"]
)
def test_a_changed_ingredient_changes_the_hash(imports_used, file):
    before = key(imports_used)
    path = imports_used / file
    path.write_text(path.read_text() + "\n")
    assert key(imports_used) != before


@pytest.mark.parametrize("file", ["dc2lib/other.py", "dc2lib/data/reading.py", "book/second.md"])
def test_an_unrelated_file_does_not(imports_used, file):
    before = key(imports_used)
    (imports_used / file).write_text("changed = True\n")
    assert key(imports_used) == before


def test_parameters_data_and_inputs_change_the_hash(imports_used):
    keys = [
        key(imports_used),
        key(imports_used, parameters={"seed": 1}),
        key(imports_used, parameters={"seed": 2}),
        key(imports_used, fingerprint="more cells"),
        key(imports_used, inputs={"second": "abc"}),
    ]
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize(
    "code",
    [
        "import dc2lib.used",
        "from dc2lib.used import depth",
        "from dc2lib import used",
        "def late():\n    from dc2lib import used",
        "import importlib\nimportlib.import_module('dc2lib.used')",
    ],
)
def test_every_way_to_import_is_seen(book, code):
    assert names(book, code) == ["__init__.py", "inner.py", "used.py"]


def test_package_data_are_seen(book):
    expected = ["__init__.py", "data/__init__.py", "data/reading.py", "data/tables/figures.csv"]
    assert names(book, "from dc2lib.data import read") == expected


def test_code_that_cannot_be_parsed_depends_on_everything(book):
    assert len(names(book, "def (")) == 7


def test_packages_that_only_print_or_check_pages_rerun_nothing(book):
    lock = book / "requirements.lock"
    before = key(book)
    of_pages = "pypdf==7.1.0\npytest-xdist==3.8.0\n"
    lock.write_text("axe-core-python==0.1.0\n" + lock.read_text() + of_pages)
    assert key(book) == before
