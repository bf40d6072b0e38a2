"""Open files that strangers named: a pipe or a device in the place of a file must neither block nor run on forever."""

from __future__ import annotations

import os
import re
import stat
from io import BufferedReader
from pathlib import Path

from attendet.errors import AttendetError, DataError, Location

# Pipes that the caller of a program hands over: `attendet check /dev/stdin` and, in bash, `attendet check <(command)`.
_HANDED_OVER = re.compile(r"/dev/stdin|/dev/fd/[0-9]+|/proc/self/fd/[0-9]+")
_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def open_regular(
    path: str | os.PathLike[str],
    raises: type[AttendetError] = DataError,
    *,
    max_bytes: int | None = None,
    remedy: str | None = None,
) -> BufferedReader:
    """Open a regular file to read its bytes; opening anything else fails at once, and never waits.

    Only the pipes `/dev/stdin` and `/dev/fd/N` are opened too, because the user handed them over.

    Args:
        path: The file.
        raises: Class of the errors that this function raises.
        max_bytes: Largest size; None for any size.
        remedy: Remedy in the error about a file that is too large.

    Returns:
        The file at its start; the caller closes it.

    Raises:
        AttendetError: If the file cannot be opened, is too large, or is a folder, a pipe, or a device.

    Example:
        >>> open_regular("/dev/zero")
        Traceback (most recent call last):
            ...
        attendet.errors.DataError: /dev/zero: the path must be a regular file, got a device
    """
    where = Location(os.fspath(path))
    if _HANDED_OVER.fullmatch(os.fspath(path)):
        return _opened(path, where, raises)
    # Without O_NONBLOCK, opening a pipe waits until another program writes to it.
    file = _opened(path, where, raises, getattr(os, "O_NONBLOCK", 0))
    status = os.fstat(file.fileno())
    problem = None
    if not stat.S_ISREG(status.st_mode):
        problem = raises(f"the path must be a regular file, got {_kind(status.st_mode)}", where=where)
    elif max_bytes is not None and status.st_size > max_bytes:
        problem = raises(f"the file is larger than {max_bytes:,} bytes", where=where, remedy=remedy)
    if problem is not None:
        file.close()
        raise problem
    return file


def _opened(
    path: str | os.PathLike[str], where: Location, raises: type[AttendetError], flags: int = 0
) -> BufferedReader:
    try:
        return open(path, "rb", opener=lambda name, mode: os.open(name, mode | flags))
    except IsADirectoryError as error:
        raise raises("the path must be a regular file, got a folder", where=where) from error
    except ValueError as error:
        raise raises("the path must not contain a null character", where=where) from error
    except OSError as error:
        # A socket cannot be opened.
        kind = "a socket" if Path(path).is_socket() else None
        reason = error.strerror or str(error)
        message = f"the path must be a regular file, got {kind}" if kind else f"the file cannot be read: {reason}"
        raise raises(message, where=where) from error


def _kind(mode: int) -> str:
    return _KINDS.get(stat.S_IFMT(mode), "something else")
