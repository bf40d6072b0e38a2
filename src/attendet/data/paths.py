"""Checks and glob patterns for paths in files from strangers.

Such a path may be too long or otherwise impossible. It is then treated as a path that does not exist instead of raising
an error.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator


def exists(path: str | os.PathLike[str]) -> bool:
    """Return whether a file or folder exists at a path."""
    return os.path.exists(path)  # noqa: PTH110 - pathlib raises for names that are too long


def is_file(path: str | os.PathLike[str]) -> bool:
    """Return whether a path is a regular file.

    Check this before opening a file: opening a named pipe would wait forever.

    Example:
        >>> is_file("a" * 5000)
        False
    """
    return os.path.isfile(path)  # noqa: PTH113 - see exists


def is_folder(path: str | os.PathLike[str]) -> bool:
    """Return whether a path is a folder."""
    return os.path.isdir(path)  # noqa: PTH112 - see exists


def walk(folder: str) -> Iterator[tuple[str, list[str]]]:
    """Yield a folder and all folders below it, each with the names of its files.

    Folders and files come in alphabetical order; hidden ones are left out. Links to folders are followed, but each
    folder is visited once, so that a link to a parent folder does not lead in a circle.
    """
    seen = set()
    for parent, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(parent)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield parent, sorted(name for name in files if not name.startswith("."))


def expand_glob(pattern: str) -> Iterator[str]:
    """Yield the paths that match a glob pattern, as `glob.glob` does, but let `**` visit each folder once.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Path(folder, "a").mkdir()
        ...     Path(folder, "a/b.jpg").touch()
        ...     Path(folder, "a/back").symlink_to(folder)
        ...     [path.removeprefix(folder) for path in expand_glob(f"{folder}/**/*.jpg")]
        ['/a/b.jpg']
    """
    before, *after = re.split(r"(?:(?:^|/)\*\*)+(?=/|$)", pattern, maxsplit=1)
    if not after:
        yield from glob.iglob(pattern)  # noqa: PTH207 - patterns are absolute
        return
    if pattern.startswith("**"):
        yield from (path.removeprefix("./") for path in expand_glob(f"./{pattern}"))
        return
    for start in glob.iglob(before or "/"):  # noqa: PTH207 - patterns are absolute
        for folder, files in walk(start):
            if after[0]:
                yield from expand_glob(glob.escape(folder) + after[0])
            else:
                yield folder
                yield from (os.path.join(folder, name) for name in files)  # noqa: PTH118 - 100,000 times
