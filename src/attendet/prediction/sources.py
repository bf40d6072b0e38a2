"""What a user names → images, videos and cameras, one at a time."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TypeAlias

from attendet.data.images import is_image
from attendet.data.paths import expand_glob, is_file, is_folder
from attendet.errors import AttendetError, DataError, Location
from attendet.utils.limits import MAX_LINE_LENGTH

VIDEO_SUFFIXES = frozenset(
    {".3gp", ".asf", ".avi", ".flv", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ogv", ".webm", ".wmv"}
)
"""Endings, in lower case, by which videos are known."""


Skip: TypeAlias = Callable[[AttendetError], None]
"""Told of everything that is left out, and why."""


class MediaKind(Enum):
    """How a source is read."""

    IMAGE = "image"
    VIDEO = "video"
    CAMERA = "camera"


@dataclass(frozen=True)
class MediaSource:
    """One image file, video file or camera.

    Attributes:
        kind: How it is read.
        name: Its path, or the camera's number.
    """

    kind: MediaKind
    name: str


def expand(arguments: Iterable[str], skip: Skip, lines: Iterable[str] = ()) -> Iterator[MediaSource]:
    """Yield what arguments name, in their order; nothing is held but the names of one folder at a time.

    An argument is a file; a folder, whose images and videos are taken in the order of their names, without those of
    folders inside; a pattern (`'photos/**/*.jpg'`); a text file (`.txt`) with one path a line; `-` for `lines`; or a
    camera's number. A file whose ending is not a video's is taken as an image. Paths in a text file are relative to
    the current folder or, where there is no such file, to the text file's.

    Args:
        arguments: What the user named.
        skip: Called with an error for each thing that leads to nothing.
        lines: What `-` stands for, such as standard input.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for name in ("b.jpg", "a.png", "notes.md", "c.mp4"):
        ...         Path(folder, name).touch()
        ...     [(source.kind.value, Path(source.name).name) for source in expand([folder, "0"], skip=print)]
        [('image', 'a.png'), ('image', 'b.jpg'), ('video', 'c.mp4'), ('camera', '0')]
        >>> list(expand(["nowhere"], skip=print))
        nowhere: there is no such file or folder
        []
    """
    for argument in arguments:
        try:
            yield from _argument(argument, skip, lines)
        except DataError as error:
            skip(error)


def _argument(argument: str, skip: Skip, lines: Iterable[str]) -> Iterator[MediaSource]:
    if argument == "-":
        yield from _listed(lines, "standard input", Path(), skip)
    elif os.path.lexists(argument) and Path(argument).suffix.lower() == ".txt" and is_file(argument):
        yield from _list_file(Path(argument), skip)
    elif os.path.lexists(argument):
        yield from _path(argument)
    elif argument.isdecimal():
        yield MediaSource(MediaKind.CAMERA, str(int(argument)))
    elif glob.has_magic(argument):
        yield from _taken(sorted(expand_glob(argument)), argument, "no image or video matches")
    else:
        yield from _path(argument)


def _path(path: str) -> Iterator[MediaSource]:
    if is_folder(path):
        try:
            names = sorted(entry.path for entry in os.scandir(path))
        except OSError as error:
            raise DataError(f"the folder cannot be read: {error.strerror}", where=Location(path)) from error
        yield from _taken(names, path, "the folder has no image or video")
    elif is_file(path):
        is_video = Path(path).suffix.lower() in VIDEO_SUFFIXES
        yield MediaSource(MediaKind.VIDEO if is_video else MediaKind.IMAGE, path)
    else:
        remedy = "download it first" if "://" in path else None
        raise DataError("there is no such file or folder", where=Location(path), remedy=remedy)


def _taken(paths: list[str], where: str, nothing: str) -> Iterator[MediaSource]:
    """Yield the paths that end like images and videos."""
    empty = True
    for path in paths:
        is_video = Path(path).suffix.lower() in VIDEO_SUFFIXES
        if (is_video or is_image(path)) and not is_folder(path):
            empty = False
            yield MediaSource(MediaKind.VIDEO if is_video else MediaKind.IMAGE, path)
    if empty:
        raise DataError(nothing, where=Location(where))


def _list_file(path: Path, skip: Skip) -> Iterator[MediaSource]:
    try:
        # Names of files are bytes; those that are no UTF-8 survive on their way to the system.
        with path.open(encoding="utf-8-sig", errors="surrogateescape") as file:
            yield from _listed(iter(lambda: file.readline(MAX_LINE_LENGTH), ""), str(path), path.parent, skip)
    except OSError as error:
        raise DataError(f"the file cannot be read: {error.strerror}", where=Location(str(path))) from error


def _listed(lines: Iterable[str], name: str, folder: Path, skip: Skip) -> Iterator[MediaSource]:
    empty = True
    for number, line in enumerate(lines, start=1):
        path = line.rstrip("\r\n")
        if not path.strip():
            continue
        empty = False
        if len(line) >= MAX_LINE_LENGTH or "\0" in path:
            raise DataError("this is not a path", where=Location(name, number), remedy="write one path a line")
        if not os.path.lexists(path) and os.path.lexists(folder / path):
            path = str(folder / path)
        try:
            yield from _path(path)
        except DataError as error:
            skip(error)
    if empty:
        raise DataError("the list is empty", where=Location(name), remedy="write one path a line")
