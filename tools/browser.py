"""A headless Chromium of this machine, driven by Playwright."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tools.errors import BuildError

if TYPE_CHECKING:
    from playwright.sync_api import Browser

BROWSERS = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
    "microsoft-edge",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)
# A container often has no namespaces for the sandbox and little shared memory.
FLAGS = ("--no-sandbox", "--disable-dev-shm-usage")


def find_browser() -> str | None:
    """Return the path of a Chromium: of ``$CHROMIUM``, else the first one installed, or None."""
    named = os.environ.get("CHROMIUM")
    return next(filter(None, map(shutil.which, [named] if named else BROWSERS)), None)


def missing() -> str:
    """Return what has to be installed before a page can be opened; empty if nothing."""
    if importlib.util.find_spec("playwright") is None:
        return "Playwright is missing: make env"
    if find_browser() is None:
        return "no Chromium found: apt install chromium, or name one with CHROMIUM=/path/to/it"
    return ""


@contextmanager
def open_browser() -> Iterator[Browser]:
    """Start Chromium, and stop it after the block.

    Raises
    ------
    BuildError
        If Chromium or Playwright is missing, or Chromium does not start.
    """
    if missing():
        raise BuildError(missing())
    from playwright.sync_api import Error, sync_playwright

    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=find_browser(), args=list(FLAGS))
        except Error as error:
            raise BuildError(f"{find_browser()} does not start: {error}") from error
        try:
            yield browser
        finally:
            browser.close()
