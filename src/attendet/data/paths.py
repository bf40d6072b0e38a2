"""What lies at a path that a stranger wrote: a name too long or otherwise impossible is nowhere, and no error."""

from __future__ import annotations

import os


def exists(path: str | os.PathLike[str]) -> bool:
    """Return whether something is there."""
    return os.path.exists(path)  # noqa: PTH110 - pathlib raises for names that are too long


def is_file(path: str | os.PathLike[str]) -> bool:
    """Return whether a plain file is there; asked before opening, because opening a pipe would wait for ever.

    Example:
        >>> is_file("a" * 5000)
        False
    """
    return os.path.isfile(path)  # noqa: PTH113


def is_folder(path: str | os.PathLike[str]) -> bool:
    """Return whether a folder is there."""
    return os.path.isdir(path)  # noqa: PTH112
