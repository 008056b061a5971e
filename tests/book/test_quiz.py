"""Self checks: the directive, and that they work by keyboard and without a script."""

import io
import re
import shutil
from pathlib import Path

import pytest
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace

from tools.browser import missing, open_browser

ROOT = Path(__file__).resolve().parents[2]
GOOD = """# Page

:::{quiz}
What does a *bin* hold?

- [ ] A base pair.

  It is wider.
- [x] Reads, `counted`.

  Of one mark.
:::
"""


@pytest.fixture(scope="module")
def build(tmp_path_factory):
    """Build one page and return its file and the warnings."""

    def built(text: str) -> tuple[Path, str]:
        folder = tmp_path_factory.mktemp("quiz")
        source = folder / "source"
        (source / "_static").mkdir(parents=True)
        for name in ("quiz.js", "quiz.css"):
            shutil.copy(ROOT / "book" / "_static" / name, source / "_static")
        (source / "index.md").write_text(text)
        warnings = io.StringIO()
        settings = {
            "extensions": ["myst_parser", "dc2quiz"],
            "myst_enable_extensions": ["colon_fence"],
            "html_static_path": ["_static"],
            "html_js_files": ["quiz.js"],
            "html_css_files": ["quiz.css"],
            "html_theme": "basic",
        }
        out = folder / "html"
        with docutils_namespace():
            Sphinx(str(source), None, str(out), str(folder / "trees"), "html", settings,
                   status=None, warning=warnings).build()
        return out / "index.html", warnings.getvalue()

    return built


@pytest.fixture(scope="module")
def page(build):
    return build(GOOD)[0]


def test_a_question_is_a_field_set_with_labelled_radio_buttons(page):
    text = page.read_text()
    opening = r"<fieldset[^>]*><legend><strong>Question 1\.</strong> (<span>)?What does a <em>"
    assert re.search(opening, text)
    buttons = re.findall(r'<input type="radio" id="([^"]+)" name="([^"]+)" value="(\d)">', text)
    assert [(name, number) for _, name, number in buttons] == [("quiz-index-1", "1"),
                                                               ("quiz-index-1", "2")]
    assert all(f'<label for="{identity}">' in text for identity, *_ in buttons)
    assert 'role="status" aria-live="polite"' in text
    assert "[x]" not in text and "[ ]" not in text


def test_everything_can_be_read_without_a_script(page):
    details = re.search(r"(?s)<details.*?</details>", page.read_text())[0]
    assert "<summary>" in details
    said = re.sub(r"\s+", " ", re.sub("<[^>]+>", "", details))
    assert "Wrong: A base pair. It is wider. Right: Reads, counted. Of one mark." in said


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ("A question?", "at least two answers"),
        ("- [x] a\n\n  why\n- [ ] b\n\n  why", "begin with the question"),
        ("Q?\n\n- [ ] a\n\n  why\n- [ ] b\n\n  why", "only one"),
        ("Q?\n\n- [x] a\n\n  why\n- b\n\n  why", "begin each answer"),
        ("Q?\n\n- [x] a\n- [ ] b\n\n  why", "say a word"),
    ],
)
def test_what_is_no_question_is_refused(build, body, complaint):
    assert complaint in build(f"# Page\n\n:::{{quiz}}\n{body}\n:::\n")[1]


@pytest.mark.skipif(bool(missing()), reason=missing())
def test_the_keyboard_is_enough(page):
    with open_browser() as browser:
        tab = browser.new_page()
        tab.goto(page.as_uri())

        def said(*keys: str) -> str:
            for key in keys:
                tab.keyboard.press(key)
            return tab.text_content(".dc2quiz-said").strip()

        tab.focus(".dc2quiz button")
        assert said("Enter") == "Choose an answer first."
        tab.focus(".dc2quiz input")
        assert said("Space", "Enter") == "✗ Not this one. It is wider."
        assert said("ArrowDown", "Tab", "Enter") == "✓ Right. Of one mark."
