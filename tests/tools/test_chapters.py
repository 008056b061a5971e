"""Pages, parameters and the order of chapters."""

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
    typed_value,
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


def test_a_chapter_without_parameters_cell_is_refused(book):
    path = book / "book" / "first.md"
    path.write_text(path.read_text().replace(":tags: [parameters]", ":tags: [other]"))
    with pytest.raises(BuildError, match="0 code cells are tagged"):
        read_chapter("first", path)


@pytest.mark.parametrize("content", [
    "# Wörter\n".encode("utf-16"), b"words\n<<<<<<< HEAD\none\n=======\ntwo\n>>>>>>> other\n",
    b"---\nkernelspec: [\n---\n",
])  # fmt: skip
def test_a_page_that_is_no_text_or_half_merged_is_named(book, content):
    (book / "book" / "first.md").write_bytes(content)
    with pytest.raises(BuildError, match=r"first\.md"):
        find_chapters(book)


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
    [("seed", "7", 7), ("seed", "010", 10), ("seed", "0", 0), ("rate", "2", 2.0),
     ("rate", "1e-3", 0.001), ("rate", "010", 10.0), ("words", "12", "12"),
     ("words", "yes", "yes"), ("words", "010", "010")],
)
def test_overrides_take_the_type_of_the_default(book, name, text, value):
    typed = typed_value(find_chapters(book)["first"], name, text)
    assert typed == value
    assert type(typed) is type(value)


@pytest.mark.parametrize(
    ("name", "text"),
    [("seed", text)
     for text in ("many", "1:30", "yes", "true", "0x10", "1_000", "1.0", "", "٣", "9" * 30)]
    + [("rate", text) for text in ("1:30", "yes", "nan", "inf", "1,5", "", ".", "1_0", "1e999")],
)
def test_a_value_of_another_type_is_refused(book, name, text):
    with pytest.raises(BuildError, match=r"is not a (int|float) like its default 0"):
        typed_value(find_chapters(book)["first"], name, text)


@pytest.mark.parametrize(("name", "text", "is_refused"), [
    ("seed", "-1", True), ("rate", "-0.1", True), ("rate", "0", False), ("n_genes", "0", True),
    ("n_genes", "-5", True), ("epochs", "0", True), ("n_train", "0", False),
    ("n_train", "-1", True),
])  # fmt: skip
def test_a_number_that_is_too_small_is_refused(book, name, text, is_refused):
    path = book / "book" / "first.md"
    more = "n_genes = 9  # genes\nn_train = 5  # genes; 0 means all\nepochs = 0.5  # passes\n"
    path.write_text(path.read_text().replace("seed = 0", f"{more}seed = 0"))
    chapter = find_chapters(book)["first"]
    if is_refused:
        with pytest.raises(BuildError, match=f"command line: parameter {name} of first.*too small"):
            typed_value(chapter, name, text)
    else:
        assert typed_value(chapter, name, text) == 0


def test_a_profile_is_read_as_the_command_line(book):
    profile = book / "book" / "profiles" / "quick.yml"
    profile.write_text("common:\n  seed: 010\nfirst:\n  words: 0.50\n  rate: 1\n")
    chapter = find_chapters(book)["first"]
    chosen = chosen_parameters(chapter, "quick", read_profile(book, "quick"), "simulated")
    assert (chosen["seed"], chosen["words"], chosen["rate"]) == (10, "0.50", 1.0)
    for wrong in ("1:30", "yes", "[1]", ""):
        profile.write_text(f"first:\n  seed: {wrong}\n")
        with pytest.raises(BuildError, match=r"quick\.yml: parameter seed of first"):
            chosen_parameters(chapter, "quick", read_profile(book, "quick"), "simulated")
    profile.write_text("first:\n  words: [1]\n")
    with pytest.raises(BuildError, match=r"quick\.yml: parameter words of first"):
        chosen_parameters(chapter, "quick", read_profile(book, "quick"), "simulated")
    for wrong in ("first: 1", "- first", "- [first, {seed: 1}]", "first: {", "first: [seed]", "[]",
                  "first: []", "first: [[seed, 1]]", "first: {seed: 1, seed: 2}", "first:\nfirst:"):
        profile.write_text(wrong)
        with pytest.raises(BuildError, match=r"quick\.yml"):
            read_profile(book, "quick")


def test_profiles_are_listed_where_one_is_missing(book):
    for name in ("fast", "", "../profiles/quick"):
        with pytest.raises(BuildError, match=f"no profile '{name}'; there are quick, smoke"):
            read_profile(book, name)


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
