"""Reading of many files: a bounded number at a time, in order, with results cached in an SQLite file."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import stat
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, closing, suppress
from itertools import islice
from pathlib import Path
from typing import TypeAlias

from attendet.data.reading.file_readers import READERS, ReaderPool, ReadResult, SerializedResult

_Stamp: TypeAlias = tuple[int, int, int, int, bytes]

CHUNK = 512
"""Number of files whose results are in memory at once."""

_MAX_INTEGER = 2**63 - 1

LOCK_TIMEOUT = 3.0
"""Seconds to wait for another process that writes to the cache."""

RECENT = 2.0
"""Seconds after a change during which a file is known by its content; clocks of file systems are coarse."""

VERSION = 5
"""Version of the cache; results of another version are dropped."""


def cache_path(root: Path) -> Path:
    """Return the path of the cache file of the data set in a folder.

    It is in `$XDG_CACHE_HOME/attendet`, by default `~/.cache/attendet`.
    """
    home = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    folder = root.resolve()
    digest = hashlib.blake2b(os.fsencode(folder), digest_size=8).hexdigest()
    return home / "attendet" / f"data-{digest}.sqlite"


def read_files(
    paths: Iterable[str], reader: str, *, cache: Path | None = None, workers: int | None = None
) -> Iterator[ReadResult]:
    """Yield the content of each file, or the `DataError` that reading it raised, in the order of `paths`.

    Args:
        paths: Paths of the files.
        reader: Name of a reader in `attendet.data.reading.file_readers.READERS`.
        cache: SQLite file of cached results, which are found by path and by size, times, and inode; None for
            no cache.
        workers: Number of processes that read; None uses one per processor, at most 16.
    """
    paths = iter(paths)
    with closing(_ResultCache(cache, reader)) as results, closing(ReaderPool(reader, workers)) as pool:
        while chunk := list(islice(paths, CHUNK)):
            stamps = {path: _stamp(path) for path in chunk}
            contents = results.load(stamps)
            missing = [path for path in stamps if path not in contents]
            read = dict(zip(missing, pool.read(missing), strict=True))
            results.store(stamps, read)
            contents |= {path: READERS[reader].restore(path, result) for path, result in read.items()}
            yield from (contents[path] for path in chunk)


def _stamp(path: str) -> _Stamp | None:
    """Return values that identify the content of a file, or None if it does not exist.

    Unpacking an archive sets the modification time, often to the same time for different files; the change time cannot
    be set. The last element is a digest of the content of a file that has just changed, and empty for all others.
    """
    try:
        state = os.stat(path)  # noqa: PTH116 - 100,000 times
        # The clock of a file server may be ahead of the clock of this machine: such a file is recent, too.
        is_recent = stat.S_ISREG(state.st_mode) and time.time() - state.st_ctime < RECENT
        digest = _digest(path) if is_recent else b""
    except (OSError, ValueError):
        return None
    # SQLite has signed integers.
    return state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino & _MAX_INTEGER, digest


def _digest(path: str) -> bytes:
    with open(path, "rb") as file:  # noqa: PTH123 - many times
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).digest()


class _ResultCache:
    """Results of earlier reads; a cache that cannot be used behaves like an empty one.

    Args:
        file: The SQLite file; None caches nothing.
        reader: Name of the reader; each reader has its own results.
    """

    def __init__(self, file: Path | None, reader: str) -> None:
        self._file, self._reader = file, reader
        self._database = self._open()
        self._is_writable = True

    def close(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None

    def load(self, stamps: Mapping[str, _Stamp | None]) -> dict[str, ReadResult]:
        """Return the cached results of the files that have not changed."""
        if self._database is None:
            return {}
        keys = [os.fsencode(path) for path, stamp in stamps.items() if stamp]
        marks = ",".join("?" * len(keys))
        columns = "path, size, modified, changed, inode, digest, content"
        query = f"SELECT {columns} FROM files WHERE reader = ? AND path IN ({marks})"  # noqa: S608
        try:
            rows = self._database.execute(query, (self._reader, *keys)).fetchall()
        except sqlite3.OperationalError:
            self.close()
            return {}
        except sqlite3.Error:
            self._recover()
            return {}
        results: dict[str, ReadResult] = {}
        for key, *stamp, content in rows:
            path = os.fsdecode(key)
            if stamps[path] == tuple(stamp):
                with suppress(ValueError, TypeError, KeyError):
                    results[path] = READERS[self._reader].load(path, content)
        return results

    def store(self, stamps: Mapping[str, _Stamp | None], results: Mapping[str, SerializedResult]) -> None:
        """Cache the results of files that could be read; the other files may be readable next time."""
        rows = [
            (self._reader, os.fsencode(path), *stamp, content)
            for path, (is_readable, content) in results.items()
            if is_readable and (stamp := stamps[path])
        ]
        if self._database is None or not self._is_writable or not rows:
            return
        try:
            with self._database:
                self._database.executemany("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
        except sqlite3.OperationalError:
            # The file is locked, the disk is full, or the folder is read-only: results can still be loaded.
            self._is_writable = False
        except sqlite3.Error:
            self._recover()

    def _open(self) -> sqlite3.Connection | None:
        if self._file is None:
            return None
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            return _connect(self._file)
        except (OSError, sqlite3.OperationalError):
            # The file is locked or belongs to another user.
            return None
        except sqlite3.Error:
            return self._replace(self._file)

    def _recover(self) -> None:
        """Replace a database that turned out to be broken; without permission to do so, continue without a cache."""
        self.close()
        if self._file is not None:
            self._database = self._replace(self._file)

    def _replace(self, file: Path) -> sqlite3.Connection | None:
        with suppress(OSError, sqlite3.Error):
            file.unlink()
            return _connect(file)
        return None


def _connect(file: Path) -> sqlite3.Connection:
    with ExitStack() as stack:
        database = stack.enter_context(closing(sqlite3.connect(file, timeout=LOCK_TIMEOUT)))
        # Results that a power failure destroys are read again.
        database.execute("PRAGMA synchronous = OFF")
        _prepare(database)
        stack.pop_all()
    return database


def _prepare(database: sqlite3.Connection) -> None:
    """Create the table, unless it exists in this version."""
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if version == VERSION:
        return
    with database:
        # Version 1 called the table `facts`.
        database.execute("DROP TABLE IF EXISTS facts")
        database.execute("DROP TABLE IF EXISTS files")
        database.execute(
            "CREATE TABLE files (reader TEXT, path BLOB, size INTEGER, modified INTEGER, changed INTEGER,"
            " inode INTEGER, digest BLOB, content TEXT, PRIMARY KEY (reader, path)) WITHOUT ROWID"
        )
        database.execute(f"PRAGMA user_version = {VERSION}")
