"""Errors that a user can act on."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable


class DataError(ValueError):
    """Input that cannot be used; the message names where it is, what to expect and what to do."""


def exit_code(command: Callable[[], int | None], *known: type[Exception]) -> int:
    """Run a command; what its user can act on becomes a line on standard error, and an exit code.

    That is 1 after a `DataError`, what the system says of a file or a disk, or another `known`
    error; 130 after Ctrl-C; and 141, without a line, where nobody reads the output any more.
    """
    try:
        code = command() or 0
        if sys.stdout:  # None where the shell closed it: >&-
            sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what is still to come
        return 141
    except KeyboardInterrupt:
        print("\nstopped; what was finished is kept, the same command goes on", file=sys.stderr)
        return 130
    except (DataError, OSError, *known) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return code
