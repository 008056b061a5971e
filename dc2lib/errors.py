"""Errors that a user can act on."""


class DataError(ValueError):
    """Input that cannot be used; the message names where it is, what to expect and what to do."""
