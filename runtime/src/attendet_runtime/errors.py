"""The errors that a user can cause; the command prints each as one line."""

from __future__ import annotations

_MAX_LENGTH = 2000


class UserError(Exception):
    """Base class of all errors that a user can cause; its text is one line without control characters."""

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


class UsageError(UserError):
    """An option or an argument with an invalid value."""


class RuntimeFileError(UserError):
    """An exported file that cannot be read, or that is not a detector."""


class ImageError(UserError):
    """An image that cannot be read."""


def printable(text: str) -> str:
    r"""Return a text as one line of at most 2,000 characters; characters that a terminal obeys are escaped.

    Example:
        >>> printable("a" + chr(27) + "[2J")
        'a\\x1b[2J'
    """
    line = "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)
    return line if len(line) <= _MAX_LENGTH else f"{line[: _MAX_LENGTH - 2]} …"


def first_line(error: BaseException) -> str:
    """Return the first line of the text of an exception, or the name of its class."""
    return (str(error).splitlines() or [type(error).__name__])[0]
