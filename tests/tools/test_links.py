"""Links to outside are collected, asked, and reported with the pages that name them."""

from __future__ import annotations

import pytest

from tools.links import dead_links, outside_links, report


@pytest.fixture
def html(tmp_path):
    (tmp_path / "a.html").write_text(
        '<a class="x" href="https://a.example/?p=1&amp;q=2#here">a</a>'
        '<a href="b.html">inside</a><a href="https://b.example/">b</a>'
        '<link href="https://style.example/x.css">'
    )
    (tmp_path / "b.html").write_text('<a href="https://b.example/">b</a>')
    return tmp_path


def test_links_are_collected_without_fragments(html):
    assert outside_links(html) == {
        "https://a.example/?p=1&q=2": ["a.html"],
        "https://b.example/": ["a.html", "b.html"],
    }


@pytest.mark.parametrize(
    ("status", "dead"), [(200, False), (302, False), (403, False), (404, True), (0, True)]
)
def test_which_answers_count(status, dead):
    assert bool(dead_links(["https://a.example/"], lambda url: status)) is dead


def test_an_address_is_asked_again_before_it_is_called_dead():
    answers = iter([0, 503, 200])
    assert dead_links(["https://a.example/"], lambda url: next(answers)) == {}


def test_the_report_names_the_pages(html):
    lines = report(html, lambda url: 404 if "b.example" in url else 200)
    assert lines == ["- https://b.example/: 404 (a.html, b.html)"]
