"""Self checks: the directive, and that they work by keyboard and without a script."""

from __future__ import annotations

import asyncio
import io
import re
import shutil
import sys
from pathlib import Path

import pytest
from sphinx.application import Sphinx

from tools.browser import Tab, find_browser, open_tab

ROOT = Path(__file__).resolve().parents[2]
EXTENSIONS = ROOT / "book" / "_ext"
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
        Sphinx(str(source), None, str(out), str(folder / "trees"), "html", settings,
               status=None, warning=warnings).build()
        return out / "index.html", warnings.getvalue()

    sys.path.insert(0, str(EXTENSIONS))
    yield built
    sys.path.remove(str(EXTENSIONS))


@pytest.fixture(scope="module")
def page(build):
    return build(GOOD)[0]


def test_a_question_is_a_field_set_with_labelled_radio_buttons(page):
    text = page.read_text()
    assert re.search(r"<fieldset[^>]*><legend><strong>Question 1\.</strong> What does a <em>", text)
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


@pytest.mark.skipif(find_browser() is None, reason="no Chromium here")
def test_the_keyboard_is_enough(page):
    said = asyncio.run(_answer_by_keyboard(page))
    assert said == ["Choose an answer first.", "✗ Not this one. It is wider.",
                    "✓ Right. Of one mark."]


async def _answer_by_keyboard(page: Path) -> list[str]:
    async with open_tab() as tab:
        await tab.open(page.as_uri())
        await tab.evaluate("document.querySelector('.dc2quiz button').focus()")
        said = [await _said_after(tab, "Enter")]
        await tab.evaluate("document.querySelector('.dc2quiz input').focus()")
        await _press(tab, " ")
        said.append(await _said_after(tab, "Enter"))
        await _press(tab, "ArrowDown")
        await _press(tab, "Tab")
        said.append(await _said_after(tab, "Enter"))
        return said


async def _press(tab: Tab, key: str) -> None:
    codes = {"Enter": 13, " ": 32, "ArrowDown": 40, "Tab": 9}
    texts = {"Enter": "\r", " ": " "}
    about = {"key": key, "windowsVirtualKeyCode": codes[key]}
    down = {"type": "keyDown", **about} | ({"text": texts[key]} if key in texts else {})
    await tab.call("Input.dispatchKeyEvent", **down)
    await tab.call("Input.dispatchKeyEvent", type="keyUp", **about)


async def _said_after(tab: Tab, key: str) -> str:
    await _press(tab, key)
    return await tab.evaluate("document.querySelector('.dc2quiz-said').textContent.trim()")
