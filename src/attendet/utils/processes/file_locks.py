"""Locks of the operating system; they end with the process that holds them, however it ends."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

LOCK_NAME = ".lock"
"""Name of the file in a folder that the process that works in the folder has locked."""

_FLAGS = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def try_lock(descriptor: int) -> bool:
    """Lock an open file, and return whether no other process has locked it.

    Args:
        descriptor: Descriptor of the file, open for writing. The lock ends when it is closed.

    Raises:
        OSError: If the file system has no locks.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def create_lock_file(folder: Path) -> int:
    """Return a descriptor of the file in a folder that `try_lock` locks, and create the file if it is missing.

    Raises:
        OSError: If it cannot be created.
    """
    return os.open(folder / LOCK_NAME, _FLAGS | os.O_CREAT, 0o666)


def open_lock_file(folder: int) -> int:
    """Return a descriptor of the file in a folder that `try_lock` locks.

    Args:
        folder: Descriptor of the folder.

    Raises:
        OSError: If the file does not exist.
    """
    return os.open(LOCK_NAME, _FLAGS, dir_fd=folder)
