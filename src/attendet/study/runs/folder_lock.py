"""A lock that lets one process at a time work in a folder."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from attendet.errors import OptionError
from attendet.utils.io import cannot_write


@contextmanager
def exclusive_lock(folder: Path, what: str) -> Iterator[None]:
    """Lock a folder while the block runs. The operating system releases the lock if the process dies.

    Args:
        folder: The folder; created if missing.
        what: Name of the work for the error message, such as `study`.

    Raises:
        OptionError: If another process holds the lock.
        OutputError: If the folder cannot be created.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder, exclusive_lock(Path(folder), "study"):
        ...     print("locked")
        locked
    """
    with _file(folder) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise OptionError(
                f"another process is running the {what} in {folder}", remedy="wait for it, or stop it"
            ) from error
        yield


def _file(folder: Path) -> IO[str]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return (folder / ".lock").open("w")
    except OSError as error:
        raise cannot_write(folder, error) from error
