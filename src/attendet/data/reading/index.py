"""Facts of many files: a bounded number at a time, in turn, and remembered in an SQLite file."""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, closing, suppress
from itertools import islice
from pathlib import Path

from attendet.data.reading.file_readers import READERS, Facts, Processes, Text

CHUNK = 512
"""Files whose facts are in memory at once."""

PATIENCE = 3.0
"""Seconds to wait for another process that writes."""

VERSION = 1
"""Of what is remembered; facts of another version are forgotten."""


def cache_file(root: Path) -> Path:
    """Return where the facts of a data set in a folder are remembered."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    folder = root.resolve()
    digest = hashlib.blake2b(os.fsencode(folder), digest_size=8).hexdigest()
    return home / "attendet" / f"data-{digest}.sqlite"


def read_files(
    paths: Iterable[str], reader: str, *, cache: Path | None = None, workers: int | None = None
) -> Iterator[Facts]:
    """Yield the facts of each file in turn, or the `DataError` that reading it raised.

    Args:
        paths: The files.
        reader: Name of a reader in `attendet.data.reading.file_readers`.
        cache: Where facts are remembered, by path, size and time of change; None remembers nothing.
        workers: Processes to read with; None takes as many as there are processors, at most 16.
    """
    paths = iter(paths)
    with closing(_Memory(cache, reader)) as memory, closing(Processes(reader, workers)) as processes:
        while chunk := list(islice(paths, CHUNK)):
            stamps = {path: _stamp(path) for path in chunk}
            facts = memory.recall(stamps)
            missing = [path for path in stamps if path not in facts]
            texts = dict(zip(missing, processes.texts(missing), strict=True))
            memory.keep(stamps, texts)
            facts |= {path: READERS[reader].facts(path, text) for path, text in texts.items()}
            yield from (facts[path] for path in chunk)


def _stamp(path: str) -> tuple[int, int] | None:
    """Return size and time of change, or None where there is no such file."""
    try:
        state = os.stat(path)  # noqa: PTH116 - 100,000 times
    except (OSError, ValueError):
        return None
    return state.st_size, state.st_mtime_ns


class _Memory:
    """What is remembered of files; rather forgets than fails.

    Args:
        file: The SQLite file; without one, nothing is remembered.
        reader: Whose facts these are.
    """

    def __init__(self, file: Path | None, reader: str) -> None:
        self._file, self._reader = file, reader
        self._database = self._open()
        self._keeps = True

    def close(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None

    def recall(self, stamps: Mapping[str, tuple[int, int] | None]) -> dict[str, Facts]:
        """Return the facts of files that have not changed."""
        if self._database is None:
            return {}
        keys = [os.fsencode(path) for path, stamp in stamps.items() if stamp]
        marks = ",".join("?" * len(keys))
        question = f"SELECT path, size, changed, facts FROM facts WHERE reader = ? AND path IN ({marks})"  # noqa: S608
        try:
            rows = self._database.execute(question, (self._reader, *keys)).fetchall()
        except sqlite3.OperationalError:
            self.close()
            return {}
        except sqlite3.Error:
            self._recover()
            return {}
        facts: dict[str, Facts] = {}
        for key, size, changed, text in rows:
            path = os.fsdecode(key)
            if stamps[path] == (size, changed):
                with suppress(ValueError, TypeError, KeyError):
                    facts[path] = READERS[self._reader].load(path, text)
        return facts

    def keep(self, stamps: Mapping[str, tuple[int, int] | None], texts: Mapping[str, Text]) -> None:
        """Remember the texts of files that could be read; the others may be readable next time."""
        rows = [
            (self._reader, os.fsencode(path), *stamp, text)
            for path, (good, text) in texts.items()
            if good and (stamp := stamps[path])
        ]
        if self._database is None or not self._keeps or not rows:
            return
        try:
            with self._database:
                self._database.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?, ?, ?, ?)", rows)
        except sqlite3.OperationalError:
            # Locked, full or read-only: what is there can still be recalled.
            self._keeps = False
        except sqlite3.Error:
            self._recover()

    def _open(self) -> sqlite3.Connection | None:
        if self._file is None:
            return None
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            return _connect(self._file)
        except (OSError, sqlite3.OperationalError):
            # Locked or not ours to write: done without.
            return None
        except sqlite3.Error:
            return self._begin_again(self._file)

    def _recover(self) -> None:
        """Go on with a new database, or without one, after part of it turned out to be broken."""
        self.close()
        if self._file is not None:
            self._database = self._begin_again(self._file)

    def _begin_again(self, file: Path) -> sqlite3.Connection | None:
        with suppress(OSError, sqlite3.Error):
            file.unlink()
            return _connect(file)
        return None


def _connect(file: Path) -> sqlite3.Connection:
    with ExitStack() as stack:
        database = stack.enter_context(closing(sqlite3.connect(file, timeout=PATIENCE)))
        # What a power cut loses is read again.
        database.execute("PRAGMA synchronous = OFF")
        _prepare(database)
        stack.pop_all()
    return database


def _prepare(database: sqlite3.Connection) -> None:
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if version == VERSION:
        return
    with database:
        database.execute("DROP TABLE IF EXISTS facts")
        database.execute(
            "CREATE TABLE facts (reader TEXT, path BLOB, size INTEGER, changed INTEGER, facts TEXT,"
            " PRIMARY KEY (reader, path)) WITHOUT ROWID"
        )
        database.execute(f"PRAGMA user_version = {VERSION}")
