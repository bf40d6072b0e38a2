"""One process at a time in a folder."""

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
    """Hold a folder while the block runs; the system lets go of it when this process ends, however it ends.

    Args:
        folder: Which; made where it is missing.
        what: What is going on there, for the error, such as `study`.

    Raises:
        OptionError: If another process holds it.
        OutputError: If it cannot be made.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder, exclusive_lock(Path(folder), "study"):
        ...     print("alone")
        alone
    """
    with _file(folder) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise OptionError(
                f"another process runs the {what} in {folder}", remedy="wait for it, or stop it"
            ) from error
        yield


def _file(folder: Path) -> IO[str]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return (folder / ".lock").open("w")
    except OSError as error:
        raise cannot_write(folder, error) from error
