"""Bounded reading, atomic writing, and new folders for runs."""

from __future__ import annotations

import contextlib
import csv
import itertools
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attendet.errors import AttendetError, DataError, Location, OutputError
from attendet.utils.csv_text import csv_cell
from attendet.utils.json_text import to_json
from attendet.utils.processes.temporary_files import temporary_place
from attendet.utils.regular_files import open_regular


def read_bytes(
    path: Path, max_bytes: int, raises: type[AttendetError] = DataError, *, remedy: str | None = None
) -> bytes:
    """Return the content of a file of at most `max_bytes` bytes.

    Args:
        path: The file.
        max_bytes: Largest size; no more than this is read into memory.
        raises: Class of the errors that this function raises.
        remedy: Remedy in the error about a file that is too large.

    Raises:
        AttendetError: If the file cannot be opened, is too large, or is a folder, a pipe, or a device.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_text(Path(folder, "a.txt"), "done")
        ...     read_bytes(Path(folder, "a.txt"), max_bytes=4)
        b'done'
    """
    where = Location(str(path))
    with open_regular(path, raises, max_bytes=max_bytes, remedy=remedy) as file:
        try:
            content = file.read(max_bytes + 1)
        except OSError as error:
            raise raises(f"the file cannot be read: {error.strerror or error}", where=where) from error
    # A pipe has no size, and a file can grow.
    if len(content) > max_bytes:
        raise raises(f"the file is larger than {max_bytes:,} bytes", where=where, remedy=remedy)
    return content


def read_text(path: Path, max_bytes: int, raises: type[AttendetError] = DataError, *, remedy: str | None = None) -> str:
    """Return the text of a UTF-8 file of at most `max_bytes` bytes, with line feeds as line ends.

    Args:
        path: The file; a byte order mark at its start is dropped.
        max_bytes: Largest size.
        raises: Class of the errors that this function raises.
        remedy: Remedy in the error about a file that is too large.

    Raises:
        AttendetError: If the file cannot be opened, is too large, or is not UTF-8.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_text(Path(folder, "a.txt"), "зебра")
        ...     read_text(Path(folder, "a.txt"), max_bytes=10)
        'зебра'
    """
    content = read_bytes(path, max_bytes, raises, remedy=remedy)
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise raises("the file is not UTF-8 text", where=Location(str(path)), remedy="save it as UTF-8") from error


def read_json(
    path: Path,
    max_bytes: int,
    raises: type[AttendetError] = DataError,
    *,
    remedy: str | None = None,
    object_hook: Callable[[dict[str, Any]], Any] | None = None,
) -> Any:
    """Return the value in a JSON file of at most `max_bytes` bytes.

    Args:
        path: The file.
        max_bytes: Largest size.
        raises: Class of the errors that this function raises.
        remedy: Remedy in the error about a file that is too large.
        object_hook: Called with each object as soon as it is read; its result takes the place of the object.

    Raises:
        AttendetError: If the file cannot be opened, is too large, or is not JSON (with line and column).

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_json(Path(folder, "a.json"), {"map50": float("nan")})
        ...     read_json(Path(folder, "a.json"), max_bytes=1000)
        {'map50': None}
    """
    where = Location(str(path))
    try:
        return json.loads(read_text(path, max_bytes, raises, remedy=remedy), object_hook=object_hook)
    except json.JSONDecodeError as error:
        place = Location(str(path), error.lineno, error.colno)
        raise raises(f"the file is not JSON: {error.msg}", where=place) from error
    except (ValueError, RecursionError) as error:
        message = "the JSON has a number that is too long, or lists that are nested too deeply"
        raise raises(message, where=where) from error


@contextmanager
def write_atomically(path: Path) -> Iterator[Path]:
    """Yield a temporary path of the same name, and move the file there to `path` if the block succeeds.

    Until then an existing file stays in place; if the block raises, it stays for good. After a power failure the file
    is the old one or the new one. Missing folders are created.

    Raises:
        OutputError: If the file cannot be written.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with write_atomically(Path(folder, "a", "b.txt")) as temporary:
        ...         _ = temporary.write_text("done")
        ...     [(path.name, path.read_text()) for path in Path(folder, "a").iterdir()]
        [('b.txt', 'done')]
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary_place(path) as temporary:
            yield temporary
            # Without this, the disk may hold the new name before the new content.
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
            temporary.replace(path)
    except OSError as error:
        raise cannot_write(path, error) from error


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file atomically.

    Args:
        path: The file; missing folders are created.
        text: Its whole content.

    Raises:
        OutputError: If the file cannot be written.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_text(Path(folder, "new", "a.txt"), "done")
        ...     Path(folder, "new", "a.txt").read_text()
        'done'
    """
    with write_atomically(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: object, *, indent: int | None = 2) -> None:
    """Write a JSON file atomically, in the form of `to_json`.

    Args:
        path: The file; missing folders are created.
        value: Mappings, lists, tuples, and scalars, nested.
        indent: Spaces per level; None for a single line.

    Raises:
        OutputError: If the file cannot be written.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_json(Path(folder, "a.json"), {"boxes": (1, 2)}, indent=None)
        ...     Path(folder, "a.json").read_text()
        '{"boxes": [1, 2]}'
    """
    write_text(path, to_json(value, indent=indent))


def write_csv(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """Write a CSV file atomically: a header and one line per row.

    Args:
        path: The file.
        rows: At least one; the keys of the first row are the columns. None is written as an empty cell, and a text that
            a spreadsheet would take for a formula with an apostrophe before it.

    Raises:
        OutputError: If the file cannot be written.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_csv(Path(folder, "a.csv"), [{"epoch": 1, "map50": 0.5}, {"epoch": 2, "map50": None}])
        ...     Path(folder, "a.csv").read_text().splitlines()
        ['epoch,map50', '1,0.5', '2,']
    """
    with write_atomically(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        columns = list(rows[0])
        writer = csv.writer(file)
        writer.writerow(map(csv_cell, columns))
        writer.writerows([csv_cell(row.get(column)) for column in columns] for row in rows)


def new_run_folder(project: Path, name: str, *, exist_ok: bool = False) -> Path:
    """Create and return `project/name`, or `project/name2`, `name3`, … if that exists.

    Args:
        project: The folder of all runs; created if it is missing.
        name: The name of the run.
        exist_ok: Return `project/name` even if it exists.

    Raises:
        OutputError: If the folder cannot be created.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as project:
        ...     [new_run_folder(Path(project), "exp").name for _ in range(3)]
        ['exp', 'exp2', 'exp3']
    """
    folder = project / name
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        if exist_ok:
            folder.mkdir(exist_ok=True)
            return folder
        for number in itertools.count(2):
            # Creating the folder, instead of asking whether it exists, gives two runs that start together two folders.
            with contextlib.suppress(FileExistsError):
                folder.mkdir()
                return folder
            folder = project / f"{name}{number}"
    except OSError as error:
        raise cannot_write(folder, error) from error
    raise AssertionError  # itertools.count does not end


def refuse_existing(path: Path) -> None:
    """Raise an error if a file, a folder, or a broken link is at this path.

    Args:
        path: The path of a new file or folder.

    Raises:
        OutputError: If the path exists.

    Example:
        >>> refuse_existing(Path("/"))
        Traceback (most recent call last):
            ...
        attendet.errors.OutputError: /: already exists; choose another name
    """
    if os.path.lexists(path):
        raise OutputError("already exists", where=Location(str(path)), remedy="choose another name")


def cannot_write(path: Path, error: OSError) -> OutputError:
    """Return the error for a file or folder that the operating system refuses to write.

    Args:
        path: The file or folder.
        error: The error of the operating system, such as a full disk or a missing permission.

    Example:
        >>> print(cannot_write(Path("a.txt"), OSError(28, "No space left on device")))
        a.txt: cannot be written: No space left on device
    """
    return OutputError(f"cannot be written: {error.strerror or error}", where=Location(str(path)))
