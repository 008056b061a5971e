"""Pages: a small book built with the real configuration, and the built book where there is one."""

import base64
import json
import os
import re
import shutil
from pathlib import Path

import nbformat
import pytest
import yaml
from check_pages import broken_links, heavy_pages, page_problems

from tools import stage
from tools.browser import missing

ROOT = Path(__file__).resolve().parents[2]
EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)>"
FIGURE = {
    "name": "waves",
    "alt": "Two waves: the second is lower.",
    "caption": "Waves of $\\sin x$, see {cite:p}`singh2016deepchrome`. (Simulated cell types.) "
    f"Of {EVIL}.",
}
TABLE = {
    "name": "scores",
    "caption": f"Scores of {EVIL}",
    "header": ["model", f"AUROC of {EVIL}"],
    "rows": [["a|b", "0.9"], [EVIL, "0.8"]],
    "numeric": [False, True],
}
REPOSITORY = "https://github.com/someone/deepchrome-book"
PUBLICATION = "https://someone.github.io/deepchrome-book/"
PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5E"
    "rkJggg=="
)
CHAPTER = """---
kernelspec: {name: python3, display_name: Python 3}
---

# Chapter

```{code-cell} python
:tags: [parameters]
n_genes = 4000  # genes of a simulated cell type
```
"""


def display(data, metadata=None):
    return nbformat.v4.new_output("display_data", data=data, metadata=metadata or {})


def code(source, *outputs):
    return nbformat.v4.new_code_cell(source, execution_count=1, outputs=list(outputs))


needs_browser = pytest.mark.skipif(bool(missing()), reason=missing())


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """Root of a book of one chapter and prose with the repository's configuration and addresses."""
    pytest.importorskip("jupyter_book")
    root = written_book(tmp_path_factory.mktemp("published"))
    config = yaml.safe_load((root / "_config.yml").read_text())
    config["repository"]["url"] = REPOSITORY
    config["html"]["baseurl"] = PUBLICATION
    (root / "_config.yml").write_text(yaml.safe_dump(config))
    stage.build_book(root, {"chapter": executed_chapter(root)})
    return root


@pytest.fixture(scope="module")
def html(published):
    """Its pages."""
    return published / "_build" / "html"


def written_book(root):
    shutil.copytree(ROOT / "book" / "_ext", root / "book" / "_ext")
    shutil.copytree(ROOT / "book" / "_static", root / "book" / "_static")
    shutil.copy(ROOT / "book" / "references.bib", root / "book")
    for name in ("status", "glossary", "bibliography"):
        shutil.copy(ROOT / "book" / f"{name}.md", root / "book")
    for name in ("_config.yml", "requirements.lock"):
        shutil.copy(ROOT / name, root)
    (root / "book" / "how_to_rerun.md").write_text(
        "# Rerun\n\n```{chapter-parameters}\n```\n\n```{chapter-costs}\n```\n"
    )
    (root / "book" / "index.md").write_text(
        "# Index\n\nThe area is {glue:text}`chapter.md::area:.2f` of [it](chapter.md), "
        "{numref}`fig-waves`.\n\n"
        "```{margin}\nA note.\n```\n"
    )
    (root / "book" / "chapter.md").write_text(CHAPTER)
    (root / "book" / "profiles").mkdir()
    (root / "book" / "profiles" / "smoke.yml").write_text("common:\n  n_genes: 400\n")
    names = ("chapter", "how_to_rerun", "status", "glossary", "bibliography")
    chapters = "".join(f"  - file: {name}\n" for name in names)
    (root / "_toc.yml").write_text(f"format: jb-book\nroot: index\nchapters:\n{chapters}")
    return root


def executed_chapter(root):
    folder = root / "_build" / "executed" / "chapter" / "abc"
    (folder / "figures").mkdir(parents=True)
    for name in ("waves.png", "waves.svg", "waves.csv", "scores.csv"):
        (folder / "figures" / name).write_bytes(base64.b64decode(PIXEL))
    figure = {"image/png": PIXEL, "application/vnd.dc2lib.figure+json": FIGURE}
    table = {"text/html": "<table></table>", "application/vnd.dc2lib.table+json": TABLE}
    glued = display(
        {"application/papermill.record/text/plain": "0.125"},
        {"scrapbook": {"name": "area", "mime_prefix": "application/papermill.record/"}},
    )
    (folder / "results.jsonl").write_text("")
    last = {"text/markdown": "*Provenance*", "application/vnd.dc2lib.provenance+json": {}}
    cells = [
        nbformat.v4.new_markdown_cell(
            "# Chapter\n\nThe area is {glue:text}`area:.2f`; {numref}`tab-scores`.\n\n$$a^2$$"
        ),
        code("show_figure()", display(figure), glued),
        code("show_table()", display(table)),
        code("provenance()", display(last)),
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"},
                "prerequisites": ["glossary"]}
    executed = nbformat.v4.new_notebook(cells=cells, metadata=metadata)
    nbformat.write(executed, folder / "executed.ipynb")
    run = {"chapter": "chapter", "profile": "smoke", "data_source": "simulated",
           "hash": "0123456789abcdef", "seeds": {"seed": 5}, "parameters": {"n_genes": 400},
           "started": 1.7e9, "duration": 12.5}
    (folder / "run.json").write_text(json.dumps(run))
    row = {"key": "area", "value": 0.125, "chapter": "chapter", "profile": "smoke"}
    row |= {"data_source": "simulated", "versions": {"numpy": "2.0", "torch": "9"}}
    (root / "_build" / "results.json").write_text(json.dumps([row]))
    rows = [row, row | {"data_source": "published"}]
    (folder / "results.jsonl").write_text("".join(f"{json.dumps(one)}\n" for one in rows))
    return folder


@pytest.fixture(scope="module")
def page(html):
    """The text of the chapter's page."""
    return (html / "chapter.html").read_text()


def test_figures_and_tables_are_numbered_described_and_offer_their_files(html, page):
    assert re.search(r'<span class="caption-number">Fig\. 1', page)
    assert 'id="fig-waves"' in page
    assert "Fig. 1" in (html / "index.html").read_text()
    assert re.search(r'<span class="caption-number">Table 1', page)
    assert "a|b" in page
    for name in ("waves.svg", "waves.csv", "scores.csv"):
        (link,) = set(re.findall(rf'href="(_downloads/[^"]*{name})"', page))
        assert (html / link).exists()


def test_what_comes_from_data_is_text_and_never_runs(page):
    """A mark or cell type may be called like a tag: in a table, its head, or a caption."""
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;&lt;img src=x") == 4
    assert "<script>alert" not in page
    assert "<img src=x" not in page


def test_a_click_on_a_figure_opens_its_vector_version(page):
    found = re.search(r'<a class="vector-version" href="(\S+)" title="\S.*?"><img ([^>]*)>', page)
    assert found[1].endswith("waves.svg")
    for attribute in ('width="1"', 'height="1"', 'loading="lazy"', f'alt="{FIGURE["alt"]}"'):
        assert attribute in found[2]


def test_numbers_are_glued_in_and_across_pages(html, page):
    assert "0.12" in page
    assert "0.12" in (html / "index.html").read_text()


def test_the_status_page_says_what_ran(html):
    page = (html / "status.html").read_text()
    facts = ("12.5 s", "smoke", "simulated", "seed = 5", "0123456789ab", "with numpy 2.0, torch 9")
    for fact in facts:
        assert fact in page


def test_the_notebook_to_download_has_images_and_no_directives(html):
    downloaded = json.loads((html / "_sources" / "chapter.ipynb").read_text())
    assert "image/png" in downloaded["cells"][2]["outputs"][0]["data"]
    assert "Installs dc2lib" in downloaded["cells"][1]["source"][0]
    text = "".join("".join(cell["source"]) for cell in downloaded["cells"])
    assert "chapter-about" not in text


def test_below_the_title_stands_what_the_chapter_takes(html, page):
    about = re.search(r'<div class="chapter-about.*?</div>', page, re.DOTALL)[0]
    for fact in ("To read</strong> 1 min", "To run</strong> 12 s", "simulated", "smoke"):
        assert fact in about
    assert '<a class="reference internal" href="glossary.html">' in about
    for link in ("chapter.ipynb", "chapter.md", "chapter-data.zip"):
        assert f'href="_sources/{link}"' in about
        assert (html / "_sources" / link).exists()
    assert "chapter-about" not in (html / "index.html").read_text()


def test_nothing_is_shipped_that_no_page_loads_and_mathjax_is_the_books_own(html, page):
    assert not list(html.rglob("*.map"))
    assert "ethical-ad" not in page
    assert "thebe" not in page.lower()
    assert "_static/mathjax/tex-svg.js" in page
    assert (html / "_static" / "mathjax" / "tex-svg.js").stat().st_size > 2_000_000


def test_the_page_on_rerunning_lists_parameters_and_costs(html):
    page = (html / "how_to_rerun.html").read_text()
    for fact in ("<code", "n_genes", "genes of a simulated cell type", "400", "12 s",
                 "chapter-parameters"):
        assert fact in page


def links_to(page, text):
    return {link for link in re.findall(r'href="([^"]+)"', page) if text in link}


def test_with_an_address_launch_and_edit_links_lead_to_files_that_exist(published, html, page):
    (colab,) = links_to(page, "colab")
    base = "https://colab.research.google.com/github/someone/deepchrome-book/blob/gh-pages/"
    assert colab.startswith(base)
    assert (html / colab.removeprefix(base)).exists()
    (edit,) = links_to(page, "/edit/")
    assert edit.startswith(f"{REPOSITORY}/edit/main/")
    assert (published / edit.removeprefix(f"{REPOSITORY}/edit/main/")).exists()
    (binder,) = links_to(page, "mybinder")
    opened = re.search(r"urlpath=(?:lab/)?tree/(\S+)", binder)[1]
    assert (published / opened).with_suffix(".md").exists()
    assert "tools.notebooks" in (ROOT / "postBuild").read_text()
    assert os.access(ROOT / "postBuild", os.X_OK)
    assert not links_to((html / "glossary.html").read_text(), "mybinder")


def test_with_an_address_notebooks_install_from_it_and_pages_name_their_own(html, page):
    assert f"git+{REPOSITORY}" in (html / "_sources" / "chapter.ipynb").read_text()
    assert f'<link rel="canonical" href="{PUBLICATION}chapter.html"' in page


def test_heavy_pages_are_found(tmp_path):
    (tmp_path / "a.html").write_text("<img alt='' src=\"b.png\">" + "x" * 90)
    (tmp_path / "b.png").write_bytes(bytes(100))
    assert heavy_pages(tmp_path) == []
    assert heavy_pages(tmp_path, most=200) == ["a.html: 0.0 MB, over 0.0002"]
    assert heavy_pages(tmp_path, most_in_all=200) == ["the pages weigh 0.0 MB, over 0.0002"]


def test_links_lead_somewhere(html):
    assert broken_links(html) == []


def test_broken_links_are_found(tmp_path):
    (tmp_path / "a.html").write_text('<a href="b.html#here">x</a><a href="c.html">y</a>')
    (tmp_path / "b.html").write_text("<p id='there'></p>")
    assert broken_links(tmp_path) == [
        "a.html: b.html#here names no place of that page",
        "a.html: c.html leads nowhere",
    ]


@needs_browser
def test_pages_have_no_problems_in_a_browser(html):
    shown = ("chapter", "how_to_rerun", "status", "bibliography", "search")
    assert page_problems(html, only=shown) == []


@needs_browser
def test_the_browser_finds_what_is_wrong(tmp_path):
    (tmp_path / "a.html").write_text(
        "<html><head><title>t</title></head><body><main><article class='bd-article'>"
        "<h1>One</h1><h3>Three</h3><a href='#' style='outline: 0; text-decoration: none'>go</a>"
        "<a href='#' style='position: absolute; left: -9999px'>hidden</a>"
        "<div style='width: 3000px'>wide</div><img src='absent.png' alt='x'>"
        "<img src='data:image/png;base64," + PIXEL + "'>"
        "<script>null.x</script><script src='https://example.invalid/x.js'></script>"
        "</article></main></body></html>"
    )
    found = "; ".join(page_problems(tmp_path, widths=(390,)))
    for problem in (
        "script error: TypeError",
        "asks for https://example.invalid/x.js",
        "wider than the window",
        "image absent.png does not load",
        "has no alternative text",
        "alternative text 'x' is a label only",
        "states no size",
        "axe heading-order: h3",
        "hidden\", which is not seen",
        "go\", which does not show it",
    ):
        assert problem in found


@needs_browser
def test_axe_finds_what_keeps_people_out(tmp_path):
    (tmp_path / "a.html").write_text(
        "<html lang='en'><head><title>t</title><style>@media (prefers-color-scheme: dark) "
        "{ p { color: #222; background: #111 } }</style></head><body><main><h1>One</h1>"
        "<button></button><p>Text that is read.</p></main></body></html>"
    )
    found = page_problems(tmp_path, widths=(390,))
    assert any("axe button-name: button" in problem for problem in found)
    dark = [problem for problem in found if "color-contrast" in problem]
    assert len(dark) == 1
    assert dark[0].endswith("[dark]")
