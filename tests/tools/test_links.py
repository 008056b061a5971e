"""Which answers of linkcheck make an address dead, and what the report says."""

import json

import pytest

from tools import links
from tools.errors import BuildError

URI = "https://a.example/"


def answer(status, info="", page="data.ipynb", uri=URI):
    return {"uri": uri, "filename": page, "status": status, "info": info}


@pytest.mark.parametrize(
    ("status", "info", "dead"),
    [
        ("working", "", False),
        ("redirected", "https://b.example/", False),
        ("broken", f"403 Client Error: Forbidden for url: {URI}", False),
        ("broken", f"404 Client Error: Not Found for url: {URI}", True),
        ("broken", f"429 Client Error: Too Many Requests for url: {URI}", False),
        ("timeout", "no answer in 30 s", True),
        ("broken", "HTTPSConnectionPool(host='a.example', port=443): Max retries", True),
    ],
)
def test_which_answers_count(status, info, dead):
    assert (URI in links.dead_links([answer(status, info)])) is dead


def test_an_address_is_reported_once_with_its_pages():
    rows = [answer("broken", "404\nmore", page) for page in ("a.md", "b.ipynb", "a.md")]
    assert links.dead_links(rows) == {URI: "404 (a, b)"}


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A repository whose linkcheck finds one address dead and one alive."""
    (tmp_path / "_build" / "stage").mkdir(parents=True)
    (tmp_path / "_build" / "stage" / "_toc.yml").write_text("")

    def run(root, stage, output, *options):
        (output / "_build" / "html").mkdir(parents=True)
        rows = [answer("broken", "404"), answer("working", uri="https://b.example/"),
                answer("local", uri="page.md")]
        text = "\n".join(map(json.dumps, rows))
        (output / "_build" / "html" / "output.json").write_text(text)
        raise BuildError("1 link is broken")

    monkeypatch.setattr(links, "run_jupyter_book", run)
    return tmp_path


def test_dead_links_are_written_down_and_fail(root, capsys):
    assert links.check_links(root) == 1
    assert (root / "_build" / "links.txt").read_text() == f"- {URI}: 404 (data)\n"
    assert capsys.readouterr().out.endswith("2 links to outside, 1 dead\n")


def test_without_a_book_the_error_says_how_to_build_one(tmp_path):
    with pytest.raises(BuildError, match="make book"):
        links.check_links(tmp_path)
