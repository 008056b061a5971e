"""Chromium is started, asked and stopped, whatever the machine is busy with or set to."""

from __future__ import annotations

import asyncio
import shutil
import subprocess

import pytest

from tools import browser

needs_browser = pytest.mark.skipif(browser.find_browser() is None, reason="no Chromium here")


async def title(url: str) -> str:
    async with browser.open_tab() as tab:
        await tab.open(url)
        return await tab.evaluate("document.title")


@needs_browser
def test_a_page_is_asked_past_any_proxy(tmp_path, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    page = tmp_path / "page.html"
    page.write_text("<title>here</title>")
    assert asyncio.run(title(page.as_uri())) == "here"


def test_the_load_of_another_page_is_not_waited_for():
    event = {"method": "Page.lifecycleEvent", "params": {"name": "load", "loaderId": "A"}}
    assert browser._is_loaded(event, "A")
    assert not browser._is_loaded(event, "B")
    assert not browser._is_loaded({"method": "Page.loadEventFired", "params": {}}, "A")


def test_a_browser_that_ends_at_its_start_is_reported_at_once(monkeypatch):
    monkeypatch.setattr(browser, "find_browser", lambda: shutil.which("false"))
    with pytest.raises(RuntimeError, match="ended at its start with code 1"):
        asyncio.run(title("about:blank"))


def test_a_browser_that_does_not_stop_is_killed(monkeypatch):
    monkeypatch.setattr(browser, "STOP_SECONDS", 0.1)
    deaf = subprocess.Popen(
        ["sh", "-c", "trap '' TERM; echo deaf; exec sleep 600"], stdout=subprocess.PIPE, text=True
    )
    assert deaf.stdout.readline() == "deaf\n"
    browser._stop(deaf)
    assert deaf.returncode == -9
    deaf.stdout.close()
