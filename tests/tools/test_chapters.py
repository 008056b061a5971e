"""Pages, parameters and the order of chapters."""

from __future__ import annotations

import pytest
from conftest import write_chapter, write_toc

from tools.chapters import (
    chosen_parameters,
    find_chapters,
    line_of_cell,
    page_names,
    page_sources,
    read_chapter,
    read_profile,
    run_order,
    typed_override,
)
from tools.errors import BuildError


def test_pages_come_in_reading_order(tmp_path):
    toc = tmp_path / "_toc.yml"
    toc.write_text(
        "root: index\nparts:\n- caption: a\n  chapters:\n  - file: one\n    sections:\n"
        "    - file: inside\n  - file: two\n- chapters:\n  - file: last\n"
    )
    assert page_names(toc) == ["index", "one", "inside", "two", "last"]


def test_a_listed_page_without_a_file_is_named(book):
    write_toc(book, "first", "absent")
    with pytest.raises(BuildError, match=r"book/absent\.md"):
        page_sources(book)


def test_prose_is_no_chapter(book):
    (book / "book" / "prose.md").write_text("# Words\n")
    write_toc(book, "prose", "first")
    assert list(find_chapters(book)) == ["first"]


def test_declared_parameters_and_defaults(book):
    chapter = find_chapters(book)["first"]
    expected = {"profile": "quick", "data": "auto", "seed": 0, "rate": 0.5, "words": ""}
    assert chapter.parameters == expected


def test_cells_have_stable_ids(book):
    ids = [cell.id for cell in find_chapters(book)["first"].notebook.cells]
    assert ids[:2] == ["first-000", "first-001"]


def test_a_chapter_without_parameters_cell_is_refused(book):
    path = book / "book" / "first.md"
    path.write_text(path.read_text().replace(":tags: [parameters]", ":tags: [other]"))
    with pytest.raises(BuildError, match="0 code cells are tagged"):
        read_chapter("first", path)


def test_parameters_must_be_literals(book):
    path = book / "book" / "first.md"
    path.write_text(path.read_text().replace("seed = 0", "seed = int(0)"))
    with pytest.raises(BuildError, match="default of parameter seed"):
        read_chapter("first", path)


def test_only_declared_common_parameters_are_injected(book):
    chapter = find_chapters(book)["first"]
    settings = {"common": {"seed": 3, "n_cells": 9}, "first": {"rate": 0.1}}
    chosen = chosen_parameters(chapter, "smoke", settings, "simulated")
    assert chosen == {"profile": "smoke", "data": "simulated", "seed": 3, "rate": 0.1}


def test_an_unknown_parameter_lists_the_known_ones(book):
    chapter = find_chapters(book)["first"]
    with pytest.raises(
        BuildError, match=r"no parameter 'sead' \(did you mean seed\?\).*rate, words"
    ):
        chosen_parameters(chapter, "quick", {}, "simulated", {"sead": 1})
    with pytest.raises(BuildError, match=r"quick\.yml: chapter first has no parameter 'epochs'"):
        chosen_parameters(chapter, "quick", {"first": {"epochs": 1}}, "simulated")


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [("seed", "7", 7), ("rate", "2", 2.0), ("rate", "1e-3", 0.001), ("words", "12", "12")],
)
def test_overrides_take_the_type_of_the_default(book, name, text, value):
    typed = typed_override(find_chapters(book)["first"], name, text)
    assert typed == value
    assert type(typed) is type(value)


def test_an_override_of_another_type_is_refused(book):
    with pytest.raises(BuildError, match="is not a int like its default 0"):
        typed_override(find_chapters(book)["first"], "seed", "many")


def test_profiles_are_listed_where_one_is_missing(book):
    with pytest.raises(BuildError, match="no profile 'fast'; there are quick, smoke"):
        read_profile(book, "fast")


def test_readers_of_results_come_after_what_they_read(book):
    write_chapter(book, "claims", about="dc2lib:\n  depends: all\n")
    write_chapter(book, "index", about="dc2lib:\n  depends: [all, claims]\n")
    write_toc(book, "index", "claims", "first", "second")
    order = run_order(find_chapters(book))
    assert list(order) == ["first", "second", "claims", "index"]
    assert order["claims"] == ["first", "second"]
    assert order["index"] == ["first", "second", "claims"]


def test_a_circle_of_readers_is_refused(book):
    write_chapter(book, "first", about="dc2lib:\n  depends: second\n")
    write_chapter(book, "second", about="dc2lib:\n  depends: first\n")
    with pytest.raises(BuildError, match="in a circle: first, second"):
        run_order(find_chapters(book))


def test_reading_an_unknown_chapter_is_refused(book):
    write_chapter(book, "first", about="dc2lib:\n  depends: third\n")
    with pytest.raises(BuildError, match="'third', which is no chapter"):
        run_order(find_chapters(book))


def test_the_line_of_a_cell_is_that_of_its_code(book):
    chapter = find_chapters(book)["first"]
    lines = chapter.text.splitlines()
    index = len(chapter.notebook.cells) - 1
    assert lines[line_of_cell(chapter, index) - 1] == "provenance()"
