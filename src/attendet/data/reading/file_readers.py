"""Reading one file's facts, and many files' by several processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import astuple, dataclass
from itertools import pairwise
from typing import Any, TypeAlias

from attendet.data import images
from attendet.data.formats import labels, voc, yolo
from attendet.data.formats.labels import Labels
from attendet.data.images import ImageInfo
from attendet.errors import DataError, Location

ALONE = 500
"""Files that are read before other processes are started, which takes as long as reading a few hundred."""

MOST_PROCESSES = 16

Facts: TypeAlias = "ImageInfo | Labels | DataError"
Text: TypeAlias = "tuple[bool, str]"


@dataclass(frozen=True)
class Reader:
    """How one kind of file is read, and its facts written down.

    Attributes:
        read: Path → facts; raises `DataError`.
        dump: Facts → text.
        load: Path and text → facts; raises `ValueError`, `TypeError` or `KeyError` for a text of others.
    """

    read: Callable[[str], Any]
    dump: Callable[[Any], str]
    load: Callable[[str, str], Any]

    def text(self, path: str) -> Text:
        """Return whether a file could be read, and its facts or what is wrong as text."""
        try:
            return True, self.dump(self.read(path))
        except DataError as error:
            return False, json.dumps([error.what, error.where and astuple(error.where), error.remedy])

    def facts(self, path: str, text: Text) -> Facts:
        """Return what `text` wrote down."""
        good, written = text
        if good:
            return self.load(path, written)
        what, where, remedy = json.loads(written)
        return DataError(what, where=where and Location(*where), remedy=remedy)


def _dump_image(facts: ImageInfo) -> str:
    return json.dumps(astuple(facts))


def _load_image(_: str, text: str) -> ImageInfo:
    width, height, rotated, digest = json.loads(text)
    return ImageInfo(int(width), int(height), bool(rotated), str(digest))


READERS: Mapping[str, Reader] = {
    "image": Reader(images.probe, _dump_image, _load_image),
    "yolo": Reader(yolo.read_labels, labels.to_json, labels.from_json),
    "voc": Reader(voc.read_labels, labels.to_json, labels.from_json),
}
"""By name, under which facts are remembered and other processes are asked."""


class Processes:
    """Reads files here at first, and by other processes where there are many.

    They are started as commands and talk in lines of JSON: unlike multiprocessing's they neither run the caller's
    script again nor copy its threads.

    Args:
        reader: Name of a reader.
        count: Processes; None takes as many as there are processors, at most 16.
    """

    def __init__(self, reader: str, count: int | None = None) -> None:
        self._reader = reader
        self._count = count if count is not None else min(len(os.sched_getaffinity(0)), MOST_PROCESSES)
        self._read = 0
        self._running: list[subprocess.Popen[str]] = []
        self._stack = ExitStack()

    def close(self) -> None:
        """Let the processes end."""
        # The input of one that has died is flushed once more when it is closed, and breaks once more.
        with suppress(OSError):
            self._stack.close()
        self._running = []

    def texts(self, paths: Sequence[str]) -> list[Text]:
        """Return of each file what `Reader.text` does."""
        self._read += len(paths)
        if self._count < 2 or self._read <= ALONE or not paths:
            return _texts(self._reader, paths)
        try:
            if not self._running:
                self._running = [self._stack.enter_context(_start(self._reader)) for _ in range(self._count)]
            return self._ask(paths)
        except (OSError, ValueError):
            # They could not be started, or one was killed: slower is better than not at all.
            self.close()
            self._count = 1
            return _texts(self._reader, paths)

    def _ask(self, paths: Sequence[str]) -> list[Text]:
        for process, part in zip(self._running, _parts(paths, self._count), strict=True):
            print(json.dumps(part), file=process.stdin, flush=True)
        return [(good, text) for process in self._running for good, text in json.loads(_line(process))]


def _parts(paths: Sequence[str], count: int) -> list[Sequence[str]]:
    bounds = [len(paths) * part // count for part in range(count + 1)]
    return [paths[start:end] for start, end in pairwise(bounds)]


def _line(process: subprocess.Popen[str]) -> str:
    return process.stdout.readline() if process.stdout else ""


def _start(reader: str) -> subprocess.Popen[str]:
    # -P and PYTHONPATH: the modules that this process has, and not what lies in the current folder.
    return subprocess.Popen(  # noqa: S603 - this module, by this interpreter
        [sys.executable, "-P", "-m", "attendet.data.reading.file_readers", reader],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        encoding="utf-8",
    )


def _texts(reader: str, paths: Sequence[str]) -> list[Text]:
    return [READERS[reader].text(path) for path in paths]


def _serve() -> None:
    """Answer lines of paths with lines of texts until there are no more."""
    # Ctrl-C reaches the whole group; the parent ends this process by closing its input.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for line in sys.stdin:
        print(json.dumps(_texts(sys.argv[1], json.loads(line))), flush=True)  # noqa: T201 - to the parent


if __name__ == "__main__":
    _serve()
