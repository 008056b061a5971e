"""The one error of the build that a user can act on."""

from __future__ import annotations

import sys
from collections.abc import Callable


class BuildError(Exception):
    """The book cannot be built; the message names the file or chapter and what to do."""


def exit_code(command: Callable[[], int | None]) -> int:
    """Run a command; a `BuildError` becomes a line on standard error and the exit code 1."""
    try:
        return command() or 0
    except BuildError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
