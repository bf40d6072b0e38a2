"""The images, videos, and cameras that command-line arguments name."""

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
"""Suffixes of video files, in lower case."""

OnSkip: TypeAlias = Callable[[AttendetError], None]
"""Receives the error of each input that is skipped, or output that cannot be written."""


class MediaKind(Enum):
    """The way in which a source is read."""

    IMAGE = "image"
    VIDEO = "video"
    CAMERA = "camera"


@dataclass(frozen=True)
class MediaSource:
    """An image file, a video file, or a camera.

    Attributes:
        kind: The way in which it is read.
        name: Path of the file, or number of the camera.
    """

    kind: MediaKind
    name: str


def expand_sources(
    arguments: Iterable[str], on_skip: OnSkip, standard_input: Iterable[str] = ()
) -> Iterator[MediaSource]:
    """Yield the sources that arguments name, in their order.

    An argument is one of:

    - a file: a video if it has a video's suffix, and an image otherwise
    - a folder: its images and videos in the order of their names, without subfolders
    - a pattern such as `'photos/**/*.jpg'`
    - a text file (`.txt`) with one path per line, relative to the current folder or else to the text file's
    - `-`: one path per line of `standard_input`
    - the number of a camera

    Only the file names of one folder are in memory at a time.

    Args:
        arguments: The arguments of the command line.
        on_skip: Called with the error of each argument or line that names no source.
        standard_input: The lines that `-` stands for.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for name in ("b.jpg", "a.png", "notes.md", "c.mp4"):
        ...         Path(folder, name).touch()
        ...     [(source.kind.value, Path(source.name).name) for source in expand_sources([folder, "0"], print)]
        [('image', 'a.png'), ('image', 'b.jpg'), ('video', 'c.mp4'), ('camera', '0')]
        >>> list(expand_sources(["nowhere"], print))
        nowhere: file or folder not found
        []
    """
    for argument in arguments:
        try:
            yield from _sources_of(argument, on_skip, standard_input)
        except DataError as error:
            on_skip(error)


def _sources_of(argument: str, on_skip: OnSkip, standard_input: Iterable[str]) -> Iterator[MediaSource]:
    if argument == "-":
        yield from _sources_in_lines(standard_input, "standard input", Path(), on_skip)
    elif os.path.lexists(argument) and Path(argument).suffix.lower() == ".txt" and is_file(argument):
        yield from _sources_in_text_file(Path(argument), on_skip)
    elif os.path.lexists(argument):
        yield from _sources_at(argument)
    elif argument.isdecimal():
        yield MediaSource(MediaKind.CAMERA, str(int(argument)))
    elif glob.has_magic(argument):
        yield from _images_and_videos(sorted(expand_glob(argument)), argument, "no image or video matches")
    else:
        yield from _sources_at(argument)


def _sources_at(path: str) -> Iterator[MediaSource]:
    if is_folder(path):
        try:
            names = sorted(entry.path for entry in os.scandir(path))
        except OSError as error:
            raise DataError(f"the folder cannot be read: {error.strerror}", where=Location(path)) from error
        yield from _images_and_videos(names, path, "the folder has no image or video")
    elif is_file(path):
        yield _file_source(path)
    else:
        remedy = "download it first" if "://" in path else None
        raise DataError("file or folder not found", where=Location(path), remedy=remedy)


def _file_source(path: str) -> MediaSource:
    is_video = Path(path).suffix.lower() in VIDEO_SUFFIXES
    return MediaSource(MediaKind.VIDEO if is_video else MediaKind.IMAGE, path)


def _images_and_videos(paths: list[str], where: str, if_empty: str) -> Iterator[MediaSource]:
    """Yield the files that have the suffix of an image or a video; raise a DataError without such files."""
    is_empty = True
    for path in paths:
        source = _file_source(path)
        if (source.kind is MediaKind.VIDEO or is_image(path)) and not is_folder(path):
            is_empty = False
            yield source
    if is_empty:
        raise DataError(if_empty, where=Location(where))


def _sources_in_text_file(path: Path, on_skip: OnSkip) -> Iterator[MediaSource]:
    try:
        # File names are bytes; "surrogateescape" keeps names that are not UTF-8 intact.
        with path.open(encoding="utf-8-sig", errors="surrogateescape") as file:
            lines = iter(lambda: file.readline(MAX_LINE_LENGTH), "")
            yield from _sources_in_lines(lines, str(path), path.parent, on_skip)
    except OSError as error:
        raise DataError(f"the file cannot be read: {error.strerror}", where=Location(str(path))) from error


def _sources_in_lines(lines: Iterable[str], name: str, folder: Path, on_skip: OnSkip) -> Iterator[MediaSource]:
    is_empty = True
    for number, line in enumerate(lines, start=1):
        path = line.rstrip("\r\n")
        if not path.strip():
            continue
        is_empty = False
        if len(line) >= MAX_LINE_LENGTH or "\0" in path:
            raise DataError("the line is not a path", where=Location(name, number), remedy="write one path per line")
        if not os.path.lexists(path) and os.path.lexists(folder / path):
            path = str(folder / path)
        try:
            yield from _sources_at(path)
        except DataError as error:
            on_skip(error)
    if is_empty:
        raise DataError("the list of paths is empty", where=Location(name), remedy="write one path per line")
