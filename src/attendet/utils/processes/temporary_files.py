"""Folders with names of our own for unfinished files, and the removal of folders that killed processes left."""

from __future__ import annotations

import os
import re
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from attendet.utils.processes.file_locks import LOCK_NAME, create_lock_file, open_lock_file, try_lock

_PREFIX = ".attendet-"
_NAME = re.compile(re.escape(_PREFIX) + r"([0-9a-f]{32}|get-.+)", re.DOTALL)

# Seconds after its creation in which an empty folder may belong to a process that is about to lock it.
_GRACE_SECONDS = 10


@dataclass(frozen=True)
class Leftover:
    """A folder of unfinished files that was found.

    Attributes:
        path: The folder.
        size: Bytes that its files take on the disk.
        kept: The reason why it was not removed; None if it was.
    """

    path: Path
    size: int
    kept: str | None


@contextmanager
def temporary_place(path: Path) -> Iterator[Path]:
    """Yield a path of the same name in a new hidden folder next to `path`, and remove the folder after the block.

    The block writes a file or a folder at the new path, and moves it to `path`. The hidden folder is locked, so that
    `remove_leftovers` can tell it from one that a killed process left.

    Args:
        path: The file or folder that is to be written.

    Raises:
        OSError: If the hidden folder cannot be created.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with temporary_place(Path(folder, "a.txt")) as temporary:
        ...         _ = temporary.write_text("done")
        ...         _ = temporary.rename(Path(folder, "a.txt"))
        ...     os.listdir(folder)
        ['a.txt']
    """
    folder = path.with_name(f"{_PREFIX}{uuid.uuid4().hex}")
    folder.mkdir()
    try:
        lock = create_lock_file(folder)
        try:
            # On a file system without locks, a leftover cannot be recognized, and is kept.
            with suppress(OSError):
                try_lock(lock)
            yield folder / path.name
        finally:
            os.close(lock)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def download_folder(path: Path) -> Path:
    """Return the hidden folder next to `path` for its download, which stays after an interruption.

    Args:
        path: The file or folder that is downloaded.

    Example:
        >>> download_folder(Path("data/pears")).as_posix()
        'data/.attendet-get-pears'
    """
    return path.with_name(f"{_PREFIX}get-{path.name}")


def remove_leftovers(folder: Path, *, dry_run: bool = False) -> list[Leftover]:
    """Remove the unfinished files that killed processes and interrupted downloads left anywhere in a folder.

    Only folders with the names of this module are removed, and only if no living process has locked them. Links are
    neither followed nor removed.

    Args:
        folder: The folder.
        dry_run: Only find them.

    Returns:
        All that were found, in the order of their paths.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder, temporary_place(Path(folder, "a.txt")):
        ...     [leftover.kept for leftover in remove_leftovers(Path(folder))]
        ['a running process uses it']
    """
    found = []
    for root, folders, _, descriptor in os.fwalk(folder):
        for name in filter(_NAME.fullmatch, folders):
            leftover = _remove(Path(root, name), descriptor, dry_run=dry_run)
            if leftover is not None:
                found.append(leftover)
        folders[:] = [name for name in folders if not _NAME.fullmatch(name)]
    return sorted(found, key=lambda leftover: leftover.path)


def _remove(path: Path, parent: int, *, dry_run: bool) -> Leftover | None:
    """Remove a folder by its name in an open folder; return None for a link with this name."""
    try:
        folder = os.open(path.name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    except NotADirectoryError:
        return None
    except OSError as error:
        return Leftover(path, 0, error.strerror or str(error))
    try:
        reason = _owner(folder)
        size = 0 if reason else _size(folder)
        if reason is None and not dry_run:
            shutil.rmtree(path.name, dir_fd=parent)
    except OSError as error:
        return Leftover(path, 0, error.strerror or str(error))
    finally:
        os.close(folder)
    return Leftover(path, size, reason)


def _owner(folder: int) -> str | None:
    """Return why a folder may be in use, or None if no process uses it."""
    try:
        lock = open_lock_file(folder)
    except FileNotFoundError:
        is_new = not os.listdir(folder) and time.time() - os.fstat(folder).st_mtime < _GRACE_SECONDS
        return "it was created a moment ago" if is_new else None
    try:
        return None if try_lock(lock) else "a running process uses it"
    except OSError as error:
        return f"the file system cannot tell whether a process uses it: {error.strerror or error}"
    finally:
        os.close(lock)


def _size(folder: int) -> int:
    """Return the bytes of all files in an open folder; a file that another name keeps takes none of them."""
    size = 0
    for _, _, names, descriptor in os.fwalk(".", dir_fd=folder):
        states = [os.stat(name, dir_fd=descriptor, follow_symlinks=False) for name in names if name != LOCK_NAME]
        size += sum(state.st_size for state in states if state.st_nlink == 1)
    return size
