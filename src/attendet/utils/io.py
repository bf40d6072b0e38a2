"""Bounded reading, atomic writing, JSON and CSV files, and new folders for runs."""

from __future__ import annotations

import contextlib
import csv
import itertools
import json
import math
import os
import re
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attendet.errors import AttendetError, DataError, Location, OutputError

# Names of files that are not UTF-8 have lone surrogates in Python, and no encoding of text has these.
_SURROGATE = re.compile("[\ud800-\udfff]")


def read_bytes(
    path: Path, max_bytes: int, raises: type[AttendetError] = DataError, *, remedy: str | None = None
) -> bytes:
    """Return the content of a file of at most `max_bytes` bytes.

    Args:
        path: The file.
        max_bytes: Largest size; no more than this is read into memory.
        raises: Class of the errors.
        remedy: How to mend a file that is too large.

    Raises:
        AttendetError: Of the class given, if the file cannot be opened or is too large.
    """
    where = Location(str(path))
    try:
        with path.open("rb") as file:
            content = file.read(max_bytes + 1)
    except OSError as error:
        raise raises(f"the file cannot be read: {error.strerror or error}", where=where) from error
    if len(content) > max_bytes:
        raise raises(f"the file is larger than {max_bytes:,} bytes", where=where, remedy=remedy)
    return content


def read_text(path: Path, max_bytes: int, raises: type[AttendetError] = DataError, *, remedy: str | None = None) -> str:
    """Return the text of a UTF-8 file of at most `max_bytes` bytes; lines end in a line feed alone.

    Args:
        path: The file; a byte order mark at its start is dropped.
        max_bytes: Largest size.
        raises: Class of the errors.
        remedy: How to mend a file that is too large.

    Raises:
        AttendetError: Of the class given, if the file cannot be opened, is too large, or is not UTF-8.
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
        raises: Class of the errors.
        remedy: How to mend a file that is too large.
        object_hook: Called with each object as soon as it is read; its result takes the place of the object.

    Raises:
        AttendetError: Of the class given, if the file cannot be opened, is too large, or is not JSON (with line and
            column).

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_json(Path(folder, "a.json"), {"map50": math.nan})
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
    """Yield a temporary path next to `path`, with the same suffix, and rename it to `path` if the block succeeds.

    Until then an existing file stays in place; if the block raises, it stays for good. After a power failure the file
    is the old one or the new one. Missing folders are created.

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
        # Without this, the disk may hold the new name before the new content.
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file atomically.

    Raises:
        OutputError: If the file cannot be written.
    """
    with write_atomically(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: object, *, indent: int | None = 2) -> None:
    """Write a JSON file atomically, in the form of `to_json`.

    Raises:
        OutputError: If the file cannot be written.
    """
    write_text(path, to_json(value, indent=indent))


def write_csv(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """Write a CSV file atomically: a header and one line per row.

    Args:
        path: The file.
        rows: At least one; the keys of the first row are the columns. None is written as an empty cell.

    Raises:
        OutputError: If the file cannot be written.
    """
    with write_atomically(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def to_json(value: object, *, indent: int | None = 2) -> str:
    r"""Return a value as JSON text that every JSON reader accepts and every encoding of Unicode can hold.

    Numbers that are not finite become null: JSON has no NaN. A lone surrogate, as in the name of a file that is not
    UTF-8, is escaped.

    Args:
        value: Mappings, lists, tuples, and scalars, nested.
        indent: Spaces per level; None for a single line.

    Example:
        >>> to_json({"name": "зебра", "map50": float("nan")}, indent=None)
        '{"name": "зебра", "map50": null}'
        >>> to_json("caf\udce9.png")
        '"caf\\udce9.png"'
    """
    text = json.dumps(finite_or_none(value), indent=indent, ensure_ascii=False, allow_nan=False)
    return _SURROGATE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def finite_or_none(value: Any) -> Any:
    """Return a nested value with None in the place of each number that is not finite.

    Args:
        value: Mappings, lists, tuples, and scalars, nested; tuples become lists.

    Example:
        >>> finite_or_none({"a": (1.0, math.nan)})
        {'a': [1.0, None]}
    """
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list | tuple):
        return [finite_or_none(each) for each in value]
    if isinstance(value, Mapping):
        return {key: finite_or_none(each) for key, each in value.items()}
    return value


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

    Raises:
        OutputError: If the path exists.
    """
    if os.path.lexists(path):
        raise OutputError("already exists", where=Location(str(path)), remedy="choose another name")


def cannot_write(path: Path, error: OSError) -> OutputError:
    """Return the error for a file or folder that the operating system refuses to write."""
    return OutputError(f"cannot be written: {error.strerror or error}", where=Location(str(path)))
