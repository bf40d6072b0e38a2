"""Checks and glob patterns for paths in files from strangers.

Such a path may be too long or otherwise impossible. It is then treated as a path that does not exist instead of raising
an error.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress


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


def read_head(path: str | os.PathLike[str], count: int) -> bytes:
    """Return the first bytes of a regular file; none of a file that does not exist or cannot be read.

    Args:
        path: The file.
        count: Largest number of bytes.

    Example:
        >>> read_head("nowhere.data", 100)
        b''
    """
    if is_file(path):
        with suppress(OSError), open(path, "rb") as file:  # noqa: PTH123 - see exists
            return file.read(count)
    return b""


def locate(path: str, folders: Iterable[str | os.PathLike[str]] = ("",)) -> str | None:
    r"""Return the first file or folder that a path names in some folders, or None.

    Programs for Windows write backslashes between folders. They are taken for separators if no file has the name as it
    is written.

    Args:
        path: An absolute path, or one that is relative to a folder.
        folders: The folders, in the order of preference; by default the current folder.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Path(folder, "a").mkdir()
        ...     Path(folder, "a/b.jpg").touch()
        ...     [locate(path, [folder]).removeprefix(folder) for path in ("a/b.jpg", "a\\b.jpg")]
        ['/a/b.jpg', '/a/b.jpg']
        >>> locate("nowhere/b.jpg")
    """
    for spelling in dict.fromkeys((path, path.replace("\\", "/"))):
        for folder in folders:
            candidate = os.path.normpath(os.path.join(folder, spelling))  # noqa: PTH118 - 100,000 times
            # A name with a null character cannot exist, and `lexists` raises ValueError for it.
            with suppress(ValueError):
                if os.path.lexists(candidate):
                    return candidate
    return None


def walk(folder: str, *, hidden: bool = False) -> Iterator[tuple[str, list[str]]]:
    """Yield a folder and all folders below it, each with the names of its files.

    Folders and files come in alphabetical order; hidden folders are left out. Links to folders are followed, but each
    folder is visited once, so that a link to a parent folder does not lead in a circle.

    Args:
        folder: The folder.
        hidden: Whether to include files whose names start with a dot.
    """
    seen = set()
    for parent, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(parent)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield parent, sorted(name for name in files if hidden or not name.startswith("."))


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
