"""Processes that end with the one that started them, however that ended."""

from __future__ import annotations

import os
import signal
import threading
import time

import psutil

POLL_S = 0.5
PATIENCE_S = 15


def end_with(parent: int) -> None:
    """Stop this process, and kill all that it started, once `parent` is its parent no more.

    It gets SIGTERM, so that it can put its things in order, and SIGKILL if that takes too long.
    """

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(POLL_S)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(PATIENCE_S)
        kill_children()
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()


def kill_children(process: int | None = None) -> None:
    """Kill what a process, by default this one, has started, and what that has started."""
    try:
        children = psutil.Process(process).children(recursive=True)
    except psutil.NoSuchProcess:
        return
    for child in children:
        try:
            child.kill()
        except psutil.NoSuchProcess:
            continue


def stop_when_told(*, with_children: bool = False) -> None:
    """SIGTERM and SIGHUP stop this process as Ctrl-C does, so that it can stop its children.

    With `with_children` they are killed before: a kernel that ends in order leaves its own.
    """

    def interrupt(*_: object) -> None:
        if with_children:
            kill_children()
        raise KeyboardInterrupt

    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), interrupt)
