"""Readers of single image and label files, and a pool of processes that reads many of them."""

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

from attendet.data.formats.labels import ImageLabels, labels_from_json, labels_to_json
from attendet.data.formats.voc import read_voc_labels
from attendet.data.formats.yolo import read_yolo_labels
from attendet.data.images import ImageInfo, read_image_info
from attendet.errors import DataError, Location
from attendet.utils.processes.child_processes import module_command, module_environment

MIN_FILES_FOR_PROCESSES = 500
"""Number of files read before processes are started; starting them takes as long as reading a few hundred files."""

MAX_PROCESSES = 16

ReadResult: TypeAlias = "ImageInfo | ImageLabels | DataError"
"""Content of a file, or the error that reading it raised."""

SerializedResult: TypeAlias = "tuple[bool, str]"
"""Whether a file could be read, and its content or the error as JSON."""


@dataclass(frozen=True)
class FileReader:
    """A reader of one kind of file, which can also serialize what it reads.

    Attributes:
        read: Reads the file at a path; raises `DataError`.
        dump: Serializes the content of a file.
        load: Restores content from the path and the serialized content; raises `ValueError`, `TypeError`, or `KeyError`
            for a text that `dump` did not write.
    """

    read: Callable[[str], Any]
    dump: Callable[[Any], str]
    load: Callable[[str, str], Any]

    def read_serialized(self, path: str) -> SerializedResult:
        """Read a file and return its content, or the error, as JSON."""
        try:
            return True, self.dump(self.read(path))
        except DataError as error:
            return False, json.dumps([error.message, error.where and astuple(error.where), error.remedy])

    def restore(self, path: str, result: SerializedResult) -> ReadResult:
        """Return the content, or the error, that `read_serialized` serialized for a path."""
        is_readable, text = result
        if is_readable:
            return self.load(path, text)
        what, where, remedy = json.loads(text)
        return DataError(what, where=where and Location(*where), remedy=remedy)


def _dump_image_info(info: ImageInfo) -> str:
    return json.dumps(astuple(info))


def _load_image_info(_: str, text: str) -> ImageInfo:
    width, height, rotated, digest, unfinished, largest = json.loads(text)
    largest = None if largest is None else int(largest)
    return ImageInfo(int(width), int(height), bool(rotated), str(digest), bool(unfinished), largest)


READERS: Mapping[str, FileReader] = {
    "image": FileReader(read_image_info, _dump_image_info, _load_image_info),
    "yolo": FileReader(read_yolo_labels, labels_to_json, labels_from_json),
    "voc": FileReader(read_voc_labels, labels_to_json, labels_from_json),
}
"""Readers by name; the name is also stored in the cache and passed to other processes."""


class ReaderPool:
    """A pool that reads files in this process at first, and in several processes if there are many files.

    The processes are started as commands and exchange lines of JSON. Unlike the workers of multiprocessing,
    they neither run the caller's script again nor copy its threads.

    Args:
        reader: Name of a reader in `READERS`.
        workers: Number of processes; None uses one per processor, at most 16.
    """

    def __init__(self, reader: str, workers: int | None = None) -> None:
        self._reader = reader
        self._count = workers if workers is not None else min(len(os.sched_getaffinity(0)), MAX_PROCESSES)
        self._files_read = 0
        self._processes: list[subprocess.Popen[str]] = []
        self._stack = ExitStack()

    def close(self) -> None:
        """Let the processes end."""
        # Closing the input of a process that has died flushes it once more, and fails once more.
        with suppress(OSError):
            self._stack.close()
        self._processes = []

    def read(self, paths: Sequence[str]) -> list[SerializedResult]:
        """Return the serialized result of reading each file, in the order of `paths`."""
        self._files_read += len(paths)
        if self._count < 2 or self._files_read <= MIN_FILES_FOR_PROCESSES or not paths:
            return _read_here(self._reader, paths)
        try:
            if not self._processes:
                self._processes = [self._stack.enter_context(_start(self._reader)) for _ in range(self._count)]
            return self._read_in_processes(paths)
        except (OSError, ValueError):
            # The processes could not be started, or one was killed: reading slowly is better than failing.
            self.close()
            self._count = 1
            return _read_here(self._reader, paths)

    def _read_in_processes(self, paths: Sequence[str]) -> list[SerializedResult]:
        for process, part in zip(self._processes, _split_evenly(paths, self._count), strict=True):
            print(json.dumps(part), file=process.stdin, flush=True)
        return [(good, text) for process in self._processes for good, text in json.loads(_read_line(process))]


def _split_evenly(paths: Sequence[str], count: int) -> list[Sequence[str]]:
    bounds = [len(paths) * part // count for part in range(count + 1)]
    return [paths[start:end] for start, end in pairwise(bounds)]


def _read_line(process: subprocess.Popen[str]) -> str:
    return process.stdout.readline() if process.stdout else ""


def _start(reader: str) -> subprocess.Popen[str]:
    return subprocess.Popen(  # noqa: S603 - this module, run by this interpreter
        module_command("attendet.data.reading.file_readers", reader),
        env=module_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        encoding="utf-8",
    )


def _read_here(reader: str, paths: Sequence[str]) -> list[SerializedResult]:
    return [READERS[reader].read_serialized(path) for path in paths]


def _serve() -> None:
    """Answer each line of paths on standard input with a line of results, until the input ends."""
    # Ctrl-C reaches the whole process group; the parent ends this process by closing its input.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for line in sys.stdin:
        print(json.dumps(_read_here(sys.argv[1], json.loads(line))), flush=True)  # noqa: T201 - read by the parent


if __name__ == "__main__":
    _serve()
