"""A headless Chromium of this machine, driven by Playwright."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from glob import glob
from itertools import chain
from typing import TYPE_CHECKING

from tools.errors import BuildError

if TYPE_CHECKING:
    from playwright.sync_api import Browser

BROWSERS = (
    "chromium", "chromium-browser", "ungoogled-chromium", "google-chrome", "google-chrome-stable",
    "google-chrome-beta", "google-chrome-unstable", "chrome", "chrome-headless-shell",
    "microsoft-edge", "microsoft-edge-stable", "brave-browser", "brave", "vivaldi",
    "vivaldi-stable", "/snap/bin/chromium",
    "/var/lib/flatpak/exports/bin/org.chromium.Chromium",
    "/var/lib/flatpak/exports/bin/com.google.Chrome",
    *(f"{folder}/{name}.app/Contents/MacOS/{name}"
      for folder in ("/Applications", "~/Applications")
      for name in ("Google Chrome", "Chromium", "Microsoft Edge", "Brave Browser")),
)  # fmt: skip
# What `playwright install chromium` leaves in the user's cache folder.
PLAYWRIGHTS = (
    "~/.cache/ms-playwright/chromium-*/chrome-linux*/chrome",
    "~/Library/Caches/ms-playwright/chromium-*/chrome-mac*/*.app/Contents/MacOS/*",
)
# A container often has no namespaces for the sandbox and little shared memory.
FLAGS = ("--no-sandbox", "--disable-dev-shm-usage")


def find_browser() -> str | None:
    """Return the path of a Chromium: of ``$CHROMIUM``, else the first one installed, or None."""
    named = os.environ.get("CHROMIUM")
    cached = (path for pattern in PLAYWRIGHTS for path in sorted(glob(_home(pattern)))[::-1])
    tried = [named] if named else chain(BROWSERS, cached)
    return next(filter(None, (shutil.which(_home(one)) for one in tried)), None)


def _home(path: str) -> str:
    return os.path.expanduser(path)


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

    BuildError if Chromium or Playwright is missing, or Chromium does not start.
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
