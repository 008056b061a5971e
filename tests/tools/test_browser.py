"""Chromium is found, opened, and missed in words that help."""

import shutil

import pytest

from tools import browser
from tools.errors import BuildError

needs_browser = pytest.mark.skipif(bool(browser.missing()), reason=browser.missing())


@needs_browser
def test_a_page_is_opened(tmp_path):
    page = tmp_path / "page.html"
    page.write_text("<title>here</title>")
    with browser.open_browser() as chromium:
        tab = chromium.new_page()
        tab.goto(page.as_uri())
        assert tab.title() == "here"


@pytest.mark.skipif("Playwright" in browser.missing(), reason=browser.missing())
def test_a_browser_that_ends_at_its_start_is_an_error(monkeypatch):
    monkeypatch.setenv("CHROMIUM", shutil.which("false"))
    with pytest.raises(BuildError, match="false does not start"), browser.open_browser():
        pass


def test_the_named_browser_is_taken_and_a_wrong_name_is_not_passed_over(monkeypatch):
    monkeypatch.setenv("CHROMIUM", shutil.which("true"))
    assert browser.find_browser() == shutil.which("true")
    monkeypatch.setenv("CHROMIUM", "/nowhere/chromium")
    assert browser.find_browser() is None
    with pytest.raises(BuildError, match=r"CHROMIUM|Playwright"), browser.open_browser():
        pass


@pytest.mark.parametrize("name", [
    "google-chrome-stable", "brave-browser", "microsoft-edge-stable", "ungoogled-chromium",
    ".cache/ms-playwright/chromium-1200/chrome-linux/chrome",
    "Applications/Chromium.app/Contents/MacOS/Chromium",
])  # fmt: skip
def test_a_chromium_of_another_name_is_found(monkeypatch, tmp_path, name):
    program = tmp_path / name
    program.parent.mkdir(parents=True, exist_ok=True)
    program.symlink_to(shutil.which("true"))
    monkeypatch.setattr(browser, "BROWSERS", [
        one for one in browser.BROWSERS if not one.startswith("/")  # what this machine has
    ])
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("CHROMIUM", raising=False)
    assert browser.find_browser() == str(program)
    monkeypatch.setenv("CHROMIUM", f"~/{name}")
    assert browser.find_browser() == str(program)
