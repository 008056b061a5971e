"""Headless Chromium over its DevTools protocol: open pages, ask them, print them."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, build_opener

from tornado.websocket import WebSocketClientConnection, websocket_connect

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
    "--remote-allow-origins=*",
)
START_SECONDS = 120
ANSWER_SECONDS = 120
STOP_SECONDS = 20


def find_browser() -> str | None:
    """Return the path of a Chromium, or None."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


class Tab:
    """Calls to one browser tab."""

    def __init__(self, connection: WebSocketClientConnection) -> None:
        self.connection = connection
        self.events: list[dict[str, Any]] = []
        self.numbers = itertools.count(1)

    async def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Return what the browser answers to one call of the protocol.

        Raises
        ------
        RuntimeError
            If the browser refuses it or goes away.
        """
        number = next(self.numbers)
        message = {"id": number, "method": method, "params": parameters}
        await self.connection.write_message(json.dumps(message))
        while True:
            answer = await self._next()
            if answer.get("id") == number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']['message']}")
                return answer["result"]

    async def open(self, url: str) -> None:
        """Go to an address and wait until it is loaded, and not what was on its way before."""
        self.events.clear()
        loader = (await self.call("Page.navigate", url=url)).get("loaderId")
        while loader is not None and not any(_is_loaded(event, loader) for event in self.events):
            await self._next()

    async def evaluate(self, expression: str) -> Any:
        """Return the value of an expression or of the promise that it gives.

        Raises
        ------
        RuntimeError
            If it throws.
        """
        answer = await self.call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        if "exceptionDetails" in answer:
            raise RuntimeError(f"a script threw: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    async def resize(self, width: int, height: int = 900) -> None:
        """Show the page at a width in CSS pixels; below 600 as a phone does."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        await self.call("Emulation.setDeviceMetricsOverride", **size)

    async def prefer(self, theme: str) -> None:
        """Say that the reader prefers the ``light`` or the ``dark`` theme."""
        feature = {"name": "prefers-color-scheme", "value": theme}
        await self.call("Emulation.setEmulatedMedia", features=[feature])

    async def pdf(self, **options: Any) -> bytes:
        """Return the open page printed to PDF; options as of ``Page.printToPDF``."""
        return base64.b64decode((await self.call("Page.printToPDF", **options))["data"])

    async def shoot(self, path: Path, most: int = 8000) -> None:
        """Write a picture of the whole page, at most so many pixels high."""
        layout = await self.call("Page.getLayoutMetrics")
        size = layout["cssContentSize"]
        height = min(size["height"], most)
        clip = {"x": 0, "y": 0, "width": size["width"], "height": height, "scale": 1}
        image = await self.call("Page.captureScreenshot", clip=clip, captureBeyondViewport=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(image["data"]))

    async def _next(self) -> dict[str, Any]:
        message = await asyncio.wait_for(self.connection.read_message(), timeout=ANSWER_SECONDS)
        if message is None:
            raise RuntimeError("Chromium closed the connection")
        answer = json.loads(message)
        if "method" in answer:
            self.events.append(answer)
        return answer


@asynccontextmanager
async def open_tab() -> AsyncIterator[Tab]:
    """Start Chromium and give one tab of it.

    Raises
    ------
    RuntimeError
        If there is no Chromium, or it does not start.
    """
    with _browser() as address:
        connection = await websocket_connect(address, max_message_size=2**28)
        tab = Tab(connection)
        try:
            for domain in ("Page", "Runtime", "Log", "Network"):
                await tab.call(f"{domain}.enable")
            await tab.call("Page.setLifecycleEventsEnabled", enabled=True)
            yield tab
        finally:
            connection.close()
            while await connection.read_message() is not None:
                pass


@contextmanager
def _browser() -> Iterator[str]:
    """Start Chromium with a profile of its own; yield the address of its tab."""
    executable = find_browser()
    if executable is None:
        raise RuntimeError(f"none of {', '.join(BROWSERS)} is installed")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = subprocess.Popen(
            [executable, *FLAGS, f"--user-data-dir={profile}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            yield _tab_address(Path(profile), process)
        finally:
            _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _tab_address(profile: Path, process: subprocess.Popen[bytes]) -> str:
    port_file = profile / "DevToolsActivePort"
    direct = build_opener(ProxyHandler({}))
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        if port_file.exists() and "\n" in port_file.read_text():
            port = port_file.read_text().splitlines()[0]
            with direct.open(f"http://127.0.0.1:{port}/json/list", timeout=START_SECONDS) as answer:
                tabs = json.load(answer)
            for tab in tabs:
                if tab["type"] == "page":
                    return tab["webSocketDebuggerUrl"]
        time.sleep(0.1)
    if process.poll() is not None:
        raise RuntimeError(f"Chromium ended at its start with code {process.returncode}")
    raise RuntimeError(f"Chromium did not start within {START_SECONDS} s")


def _is_loaded(event: Mapping[str, Any], loader: str) -> bool:
    about = event["params"]
    return event["method"] == "Page.lifecycleEvent" and (
        about["name"] == "load" and about["loaderId"] == loader
    )
