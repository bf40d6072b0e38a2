"""A lock that lets one process at a time work in a folder."""

from __future__ import annotations

import json
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from attendet.errors import OptionError
from attendet.utils.io import cannot_write
from attendet.utils.processes.file_locks import LOCK_NAME, create_lock_file, try_lock

_MAX_HOLDER_BYTES = 1000

_logger = logging.getLogger(__name__)


@contextmanager
def exclusive_lock(folder: Path, what: str) -> Iterator[None]:
    """Lock a folder in the block, so that no second process works in it.

    The lock ends with the process, even if it is killed. It also holds between machines that share the folder by NFS.
    A warning is logged if the file system has no locks.

    Args:
        folder: The folder; created if missing.
        what: The work for the error message, such as `study`.

    Raises:
        OptionError: If another process holds the lock; the message names its number and its machine.
        OutputError: If the folder cannot be created.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder, exclusive_lock(Path(folder), "study"):
        ...     os.listdir(folder)
        ['.lock']
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = _open_locked(folder)
        if file is not None:
            os.ftruncate(file, 0)
            os.write(file, json.dumps({"pid": os.getpid(), "host": socket.gethostname()}).encode())
    except OSError as error:
        raise cannot_write(folder, error) from error
    if file is None:
        raise OptionError(
            f"{folder}: another process works in this folder: {_holder(folder)}",
            remedy=f"wait until its {what} has ended, or stop it",
        )
    try:
        yield
    finally:
        # Removed while it is locked, so that no other process can hold it.
        with suppress(OSError):
            (folder / LOCK_NAME).unlink()
        os.close(file)


def _open_locked(folder: Path) -> int | None:
    """Return the descriptor of the locked file, or None if another process has locked it."""
    while True:
        file = create_lock_file(folder)
        if not _try_lock(file, folder):
            os.close(file)
            return None
        # The process that held the lock before may have removed the file after it was opened here.
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file), (folder / LOCK_NAME).lstat()):
                return file
        os.close(file)


def _try_lock(file: int, folder: Path) -> bool:
    try:
        return try_lock(file)
    except OSError as error:
        _logger.warning("%s: a second process in this folder would not be noticed: %s", folder, error.strerror or error)
        return True


def _holder(folder: Path) -> str:
    try:
        with (folder / LOCK_NAME).open("rb") as file:
            holder = json.loads(file.read(_MAX_HOLDER_BYTES))
        return f"process {int(holder['pid'])} on {str(holder['host'])[:100]}"
    except (OSError, ValueError, TypeError, KeyError):
        return "it has not written its number"
