"""Files that are there whole or not at all, and folders of runs that never overwrite each other."""

from __future__ import annotations

import contextlib
import itertools
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from attendet.errors import Location, OutputError


@contextmanager
def write_atomically(path: Path) -> Iterator[Path]:
    """Give a temporary name beside `path`, with the same ending, and rename it when the block ends well.

    Until then an older file of this name stays; after an exception it stays for good, and where the power fails there
    is one of the two. Missing folders are made.

    Raises:
        OutputError: If the file cannot be written.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with write_atomically(Path(folder, "a", "b.txt")) as temporary:
        ...         _ = temporary.write_text("done")
        ...     [(found.name, found.read_text()) for found in Path(folder, "a").iterdir()]
        [('b.txt', 'done')]
    """
    temporary = path.with_name(f".{uuid.uuid4().hex}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        # A name can reach the disk before what it names.
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def new_run_folder(project: Path, name: str, *, exist_ok: bool = False) -> Path:
    """Make and return `project/name`, or `name2`, `name3`, … where that exists.

    Args:
        project: The folder of all runs; made where it is missing.
        name: The run's name.
        exist_ok: Take `project/name` even if it exists.

    Raises:
        OutputError: If it cannot be made.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as project:
        ...     [new_run_folder(Path(project), "exp").name for _ in range(3)]
        ['exp', 'exp2', 'exp3']
    """
    first = project / name
    try:
        first.parent.mkdir(parents=True, exist_ok=True)
        if exist_ok:
            first.mkdir(exist_ok=True)
            return first
        for number in itertools.count(2):
            # Made, not asked for first, so that two runs which start together get two folders.
            with contextlib.suppress(FileExistsError):
                first.mkdir()
                return first
            first = project / f"{name}{number}"
    except OSError as error:
        raise cannot_write(first, error) from error
    raise AssertionError  # itertools.count does not end


def refuse_existing(path: Path) -> None:
    """Allow a folder or file that is not there yet.

    Raises:
        OutputError: If something is there.
    """
    if os.path.lexists(path):
        raise OutputError("it exists", where=Location(str(path)), remedy="name a new one")


def cannot_write(path: Path, error: OSError) -> OutputError:
    """Return the error for a file or folder that the system does not let us write."""
    return OutputError(f"it cannot be written: {error.strerror or error}", where=Location(str(path)))
