"""The one error of the build that a user can act on."""


class BuildError(Exception):
    """The book cannot be built; the message names the file or chapter and what to do."""
