"""The one error of the build that a user can act on."""

from __future__ import annotations

import sys
from collections.abc import Callable

from dc2lib.errors import DataError


class BuildError(Exception):
    """The book cannot be built; the message names the file or chapter and what to do."""


def exit_code(command: Callable[[], int | None]) -> int:
    """Run a command; what a user can act on becomes a line on standard error and exit code 1.

    That is a `BuildError`, a `DataError`, or what the system says of a file, a disk or a pipe.
    """
    try:
        return command() or 0
    except (BuildError, DataError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
