"""Jobs for the tests of the engine: importable by workers."""

import os
import signal
import time


def one_more(number):
    return number + 1


def die_once(marker, deadly):
    """The marker's name; where deadly, the first call kills its process."""
    if deadly and not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return marker.name


def die_always(name, deadly):
    if deadly:
        os.kill(os.getpid(), signal.SIGKILL)
    return name.name


def compute_for_long(file):
    file.write_text(str(os.getpid()))
    time.sleep(3600)
