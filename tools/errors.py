"""The one error of the build that a user can act on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import dc2lib.errors

BUILT = Path(__file__).resolve().parents[1] / "_build"


class BuildError(Exception):
    """The book cannot be built; the message names the file or chapter and what to do."""


def exit_code(command: Callable[[], int | None]) -> int:
    """Run a command as `dc2lib.errors.exit_code` does; a `BuildError` becomes a line too.

    A full disk, of which the system does not say where it is, is that of what is built.
    """

    def named() -> int | None:
        try:
            return command()
        except OSError as error:
            error.filename = error.filename or str(BUILT)
            raise

    return dc2lib.errors.exit_code(named, BuildError)
