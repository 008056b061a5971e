"""Processes that end with the one that started them, however that ended."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Callable

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


def killed_with_parent() -> Callable[[], None] | None:
    """For ``preexec_fn`` of another program: the kernel kills it when this process ends (Linux).

    Only from the main thread: what counts as the end is that of the thread that started it.
    """
    if not sys.platform.startswith("linux"):
        return None
    libc, set_parent_death_signal = ctypes.CDLL(None), 1
    return lambda: libc.prctl(set_parent_death_signal, signal.SIGKILL)


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
