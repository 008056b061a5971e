"""What the pages are built from, and when they are built again."""

import json

import pytest
import yaml

from tools import stage
from tools.errors import BuildError

EMPTY_NOTEBOOK = '{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}'


@pytest.fixture
def executed(book):
    """The executions of the two chapters, as folders with what staging reads."""
    html = {"use_edit_page_button": True, "favicon": "f", "baseurl": ""}
    config = {"title": "t", "repository": {"url": ""}, "launch_buttons": {"colab_url": "x"}}
    (book / "_config.yml").write_text(yaml.safe_dump(config | {"html": html}))
    (book / "book" / "references.bib").write_text("")
    folders = {}
    for name in ("first", "second"):
        folder = book / "_build" / "executed" / name / "abc"
        (folder / "figures").mkdir(parents=True)
        (folder / "executed.ipynb").write_text(EMPTY_NOTEBOOK)
        (folder / "results.jsonl").write_text("")
        (folder / "figures" / "waves.svg").write_text("<svg/>")
        (folder / "figures" / ".waves.csv.part").write_text("half")
        (folder / "run.json").write_text(json.dumps({"chapter": name, "hash": "abc", "x": 1}))
        folders[name] = folder
    return folders


@pytest.fixture
def sphinx(monkeypatch):
    """Stand in for Sphinx: count the builds and make one page."""
    builds = []

    def build(root, tree, output, *options):
        builds.append(sorted(str(p.relative_to(tree)) for p in tree.rglob("*") if p.is_file()))
        built = output / "_build" / "html"
        built.mkdir(parents=True)
        (built / "index.html").write_text("page")
        (built / "first.html").write_text("page")
        return built

    monkeypatch.setattr(stage, "make_pages", build)
    return builds


def test_only_executed_chapters_and_their_finished_files_are_staged(book, executed):
    files = stage.staged_files(book, executed)
    assert "first.ipynb" in files
    assert "first.md" not in files
    assert files["figures/first/waves.svg"] == b"<svg/>"
    assert not [name for name in files if name.endswith(".part")]
    assert json.loads(files["build.json"])[0]["hash"] == "abc"


@pytest.mark.parametrize(
    "file",
    ["_toc.yml", "dc2lib/other.py", "book/dc2book/x.py", "requirements.lock",
     "book/references.bib", "_build/executed/first/abc/executed.ipynb"],
)
def test_only_a_changed_ingredient_is_built_again_and_leaves_no_stale_page(
    book, executed, sphinx, file
):
    (book / "book" / "dc2book").mkdir()
    (book / "book" / "dc2book" / "x.py").write_text("")
    page = stage.build_book(book, executed)
    stale = book / "_build" / "html" / "stale.html"
    stale.write_text("old")
    assert stage.build_book(book, executed) == page == book / "_build" / "html" / "index.html"
    assert len(sphinx) == 1
    (book / "_build" / "html" / "first.html").unlink()  # a page that was lost is made again
    stage.build_book(book, executed)
    assert len(sphinx) == 2
    (book / file).write_text((book / file).read_text() + " \n# changed\n" * (".ipynb" not in file)
                             + " ")
    stage.build_book(book, executed)
    assert len(sphinx) == 3
    assert not stale.exists()


def test_a_failed_build_keeps_the_earlier_book(book, executed, sphinx, monkeypatch):
    stage.build_book(book, executed)

    def fail(*_, **__):
        raise BuildError("WARNING: a link is broken")

    monkeypatch.setattr(stage, "make_pages", fail)
    (executed["first"] / "executed.ipynb").write_text(f"{EMPTY_NOTEBOOK} ")
    with pytest.raises(BuildError, match="a link is broken"):
        stage.build_book(book, executed)
    assert (book / "_build" / "html" / "index.html").read_text() == "page"


def test_one_chapter_becomes_a_page_and_a_notebook(book, executed, sphinx):
    page = stage.build_page(book, "first", executed["first"])
    folder = book / "_build" / "chapters" / "first-abc"
    assert page == folder / "html" / "first.html"
    assert sorted(p.name for p in folder.iterdir()) == ["first.ipynb", "html", "results.json"]
    assert sorted(p.name for p in (folder / "html" / "_sources").iterdir()) == [
        "first.ipynb",
        "first.md",
    ]
    assert "second.ipynb" not in sphinx[0]


def test_without_an_address_there_are_no_buttons_that_lead_nowhere(book, executed, monkeypatch):
    monkeypatch.delenv("GITHUB_REPOSITORY", raising=False)
    config = yaml.safe_load(stage.staged_files(book, executed)["_config.yml"])
    assert "launch_buttons" not in config
    assert "use_edit_page_button" not in config["html"]
    assert config["html"]["favicon"] == "f"


def test_complaints_are_the_marked_lines_of_the_log(tmp_path):
    log = tmp_path / "sphinx.log"
    log.write_text(
        "reading\n\x1b[31m/a/stage/data.ipynb:30004: WARNING: no target\x1b[0m\n"
        "/a/stage/api.md:3: WARNING: no title\nwriting\n"
    )
    assert stage._complaints(log).splitlines() == [
        "book/data.md, cell 3, line 4: WARNING: no target",
        "book/api.md:3: WARNING: no title",
    ]
