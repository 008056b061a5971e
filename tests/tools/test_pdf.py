"""The book as one PDF, tested on three small pages."""

import io

import pytest

from tools import pdf
from tools.browser import missing
from tools.errors import BuildError

pypdf = pytest.importorskip("pypdf", reason="pypdf is missing: make env")

FACTS = ["A small book", "Some Author", "Version 1 & more"]
PAGE = (
    "<!doctype html><html lang='en'><head><title>t</title></head><body>"
    "<article class='bd-article'>{}</article></body></html>"
)
FIRST = (
    "<section id='first'><h1>First<a class='headerlink' href='#first'>#</a></h1>"
    "<p>To <a href='second.html#deep'>deep</a>, <a href='#end'>end</a>, "
    "<a href='absent.html'>elsewhere</a>, <a href='https://example.invalid/'>outside</a>.</p>"
    "<details class='hide'><summary>Show the code</summary><pre>secret = 1</pre></details>"
    "<div class='tag_solution'><details class='hide'><summary>Show the solution</summary>"
    "<p>answer</p></details></div>"
    "<p><a class='download' href='x.csv'>Table as CSV</a></p>"
    "<details class='chapter-parameters'><summary>settings</summary></details>"
    "<section id='end' style='break-before: page'><h2>End</h2></section></section>"
)
SECOND = (
    "<section id='second'><h1>Second</h1><p>Text.</p>"
    "<section id='deep' style='break-before: page'><h2>Deep</h2>"
    "<p><a href='first.html'>back</a></p></section></section>"
)
# Code of thirty lines and of ten, where a page has room for twenty.
CODE = "<div class='cell_input'><div class='highlight'><pre>{}</pre></div></div>"
THIRD = "".join(
    f"<section id='{name}' style='break-before: page'><h1>{name}</h1>"
    f"<div style='height: {height}mm'></div>{CODE.format(lines)}</section>"
    for name, height, lines in (
        ("Long", 160, "\n".join(f"long_{n}" for n in range(30))),
        ("Short", 215, "\n".join(f"short_{n}" for n in range(10))))
)


@pytest.fixture(scope="module")
def html(tmp_path_factory):
    folder = tmp_path_factory.mktemp("html")
    (folder / "first.html").write_text(PAGE.format(FIRST))
    (folder / "second.html").write_text(PAGE.format(SECOND))
    (folder / "third.html").write_text(PAGE.format(THIRD))
    return folder


@pytest.fixture(scope="module")
def printed(html):
    if missing():
        pytest.skip(missing())
    return pypdf.PdfReader(io.BytesIO(pdf.print_book(html, ["first", "second"], FACTS)))


def words(reader, number):
    return " ".join(reader.pages[number].extract_text().split())


def targets(reader, number):
    """Pages that the links of a page lead to, and addresses outside."""
    found = []
    for annotation in reader.pages[number].get("/Annots", []):
        link = annotation.get_object()
        if "/Dest" in link:
            place = reader.named_destinations[link["/Dest"]]
            found.append(reader.get_destination_page_number(place))
        else:
            found.append(link["/A"]["/URI"])
    return found


def test_numbered_pages_follow_in_order_after_title_and_contents(printed):
    texts = [words(printed, number) for number in range(len(printed.pages))]
    assert texts[0] == "A small book Some Author Version 1 & more"
    assert texts[1] == "2 Contents First 3 Second 5"
    assert [text.split()[:2] for text in texts[2:]] == [
        ["3", "First"], ["4", "End"], ["5", "Second"], ["6", "Deep"]
    ]


def test_bookmarks_lead_to_pages_and_their_sections(printed):
    first, inside, second, inside_second = printed.outline
    place = printed.get_destination_page_number
    assert [(first.title, place(first)), (second.title, place(second))] == [
        ("First", 2),
        ("Second", 4),
    ]
    assert [(entry.title, place(entry)) for entry in inside] == [("End", 3)]
    assert [(entry.title, place(entry)) for entry in inside_second] == [("Deep", 5)]


def test_links_between_pages_lead_inside_the_pdf(printed):
    assert targets(printed, 2) == [5, 3, "https://example.invalid/"]
    assert targets(printed, 5) == [2]
    assert targets(printed, 1) == [2, 4]


def test_folded_code_and_solutions_stay_away(printed):
    text = words(printed, 2)
    assert "secret" not in text
    assert "answer" not in text
    assert "Table as CSV" not in text
    assert "settings" not in text
    assert "#" not in text


def test_the_whole_has_solutions_and_long_code_breaks_over_pages(html):
    if missing():
        pytest.skip(missing())
    names = ["first", "third"]
    whole = pypdf.PdfReader(io.BytesIO(pdf.print_book(html, names, FACTS, solutions=True)))
    assert "answer" in words(whole, 2) and "settings" in words(whole, 2)
    begun, ended, without, moved = (words(whole, number) for number in (4, 5, 6, 7))
    assert "long_0" in begun and "long_29" in ended and "long_29" not in begun
    assert "Short" in without and "short" not in without
    assert "short_0" in moved and "short_9" in moved


def test_a_page_that_is_not_built_is_named(html):
    with pytest.raises(BuildError, match=r"no page absent.*make book"):
        pdf.print_book(html, ["first", "absent"], FACTS)


def test_where_nothing_can_be_written_nothing_is_printed(tmp_path, monkeypatch):
    (tmp_path / "index.html").touch()
    monkeypatch.setattr(pdf, "print_book", lambda *_: pytest.fail("printed"))
    for output, error in ((tmp_path, BuildError), (tmp_path / "index.html" / "a.pdf", OSError)):
        monkeypatch.setattr("sys.argv", ["pdf", str(tmp_path), "--output", str(output)])
        with pytest.raises(error):
            pdf.main()
    assert [path.name for path in tmp_path.iterdir()] == ["index.html"]


def test_a_new_folder_below_the_home_is_made(tmp_path, monkeypatch):
    (tmp_path / "index.html").touch()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(pdf, "print_book", lambda *_: b"pages")
    monkeypatch.setattr("sys.argv", ["pdf", str(tmp_path), "--output", "~/new/a.pdf"])
    pdf.main()
    assert (tmp_path / "new" / "a.pdf").read_bytes() == b"pages"
