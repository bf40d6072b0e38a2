"""What lies at a path that a stranger wrote: a name too long or otherwise impossible is nowhere, and no error."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator


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


def walk(folder: str) -> Iterator[tuple[str, list[str]]]:
    """Yield a folder and those below with the names of their files, both in order and without hidden ones.

    Links to folders are followed, and each folder is met once: a link back up would lead round for ever.
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


def matching(pattern: str) -> Iterator[str]:
    """Yield what a pattern matches, as `glob` has it, but `**` meets each folder once.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Path(folder, "a").mkdir()
        ...     Path(folder, "a/b.jpg").touch()
        ...     Path(folder, "a/back").symlink_to(folder)
        ...     [found.removeprefix(folder) for found in matching(f"{folder}/**/*.jpg")]
        ['/a/b.jpg']
    """
    before, *after = re.split(r"(?:(?:^|/)\*\*)+(?=/|$)", pattern, maxsplit=1)
    if not after:
        yield from glob.iglob(pattern)  # noqa: PTH207 - absolute patterns
        return
    if pattern.startswith("**"):
        yield from (path.removeprefix("./") for path in matching(f"./{pattern}"))
        return
    for start in glob.iglob(before or "/"):  # noqa: PTH207
        for folder, files in walk(start):
            if after[0]:
                yield from matching(glob.escape(folder) + after[0])
            else:
                yield folder
                yield from (os.path.join(folder, name) for name in files)  # noqa: PTH118
