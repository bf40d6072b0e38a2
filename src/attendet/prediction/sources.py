"""The images, videos, and cameras that command-line arguments name."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TypeAlias

from attendet.data.images import is_image
from attendet.data.paths import expand_glob, is_file, is_folder, locate
from attendet.errors import AttendetError, DataError, Location
from attendet.prediction.addresses import PROTOCOLS, is_address, public_name
from attendet.prediction.media_content import is_video_file
from attendet.utils.limits import MAX_LINE_LENGTH
from attendet.utils.regular_files import open_regular

VIDEO_SUFFIXES = frozenset(
    {
        *(".3g2", ".3gp", ".asf", ".avi", ".divx", ".f4v", ".flv", ".m2t", ".m2ts", ".m2v", ".m4v", ".mkv", ".mov"),
        *(".mp4", ".mpe", ".mpeg", ".mpg", ".ogv", ".tod", ".vob", ".webm", ".wmv"),
    }
)
"""Suffixes of video files, in lower case. Files with other suffixes, such as `.ts`, are videos by their content."""

_LIST_SUFFIXES = frozenset({".txt", ".streams"})
_CAMERA = re.compile(r"(?:/dev/video)?([0-9]{1,3})")

OnSkip: TypeAlias = Callable[[AttendetError], None]
"""Receives the error of each input that is skipped, or output that cannot be written."""


class MediaKind(Enum):
    """The way in which a source is read."""

    IMAGE = "image"
    VIDEO = "video"
    STREAM = "stream"
    CAMERA = "camera"


@dataclass(frozen=True)
class MediaSource:
    """An image file, a video file, a network stream, or a camera.

    Attributes:
        kind: The way in which it is read.
        name: Path of the file, number of the camera, or address of the stream without its password.
        address: Address of a stream, with its password if it has one; it must not be printed or stored.
    """

    kind: MediaKind
    name: str
    address: str = field(default="", repr=False)

    @property
    def label(self) -> str:
        """Name in messages: `camera 0`, or the path or address."""
        return f"camera {self.name}" if self.kind is MediaKind.CAMERA else self.name

    @property
    def is_watched(self) -> bool:
        """Whether it is a stream or a camera: all of these are read at the same time."""
        return self.kind in (MediaKind.STREAM, MediaKind.CAMERA)


def expand_sources(
    arguments: Iterable[str], on_skip: OnSkip, standard_input: Iterable[str] = ()
) -> Iterator[MediaSource]:
    """Yield the sources that arguments name, in their order.

    An argument is one of:

    - a file: an image or a video
    - a folder: its images and videos in the order of their names, without subfolders
    - a pattern such as `'photos/**/*.jpg'`
    - the address of a stream, such as `rtsp://host/1` or `https://host/film.mp4`
    - the number of a camera
    - a list (`.txt`, `.streams`) with one of these per line, except patterns; paths are relative to the current folder
      or else to the folder of the list, and `#` begins a comment
    - `-`: such a list in `standard_input`

    A file with the suffix of an image or a video has this kind until it is read; any other file is a video if it begins
    like one. Only the file names of one folder are in memory at a time.

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
    elif Path(argument).suffix.lower() in _LIST_SUFFIXES and is_file(argument):
        yield from _sources_in_text_file(Path(argument), on_skip)
    elif glob.has_magic(argument) and not os.path.lexists(argument) and "://" not in argument:
        yield from _images_and_videos(sorted(expand_glob(argument)), argument, "no image or video matches")
    else:
        yield from _sources_at(argument)


def _sources_at(text: str, folder: str | os.PathLike[str] = "") -> Iterator[MediaSource]:
    """Yield the sources that a text without a pattern names, as a path relative to the current or to another folder."""
    path = locate(text, ("", folder)) if text else None
    camera = _CAMERA.fullmatch(text)
    if camera is not None and (path is None or path.startswith("/dev/video")):
        yield MediaSource(MediaKind.CAMERA, str(int(camera[1])))
    elif path is None and is_address(text):
        yield MediaSource(MediaKind.STREAM, public_name(text), text)
    elif path is None and "://" in text:
        known = ", ".join(f"{scheme}://" for scheme in PROTOCOLS)
        message = f"an address must begin with one of {known}"
        raise DataError(message, where=Location(public_name(text)), remedy="or download the file first")
    elif path is None:
        # It may be an address with a mistake, and so contain a password.
        raise DataError("file or folder not found", where=Location(public_name(text)))
    elif is_folder(path):
        try:
            names = sorted(entry.path for entry in os.scandir(path))
        except OSError as error:
            raise DataError(f"the folder cannot be read: {error.strerror}", where=Location(path)) from error
        yield from _images_and_videos(names, path, "the folder has no image or video")
    else:
        # An error about pipes, devices, and files that may not be read.
        open_regular(path).close()
        yield MediaSource(_kind_of(path) or MediaKind.IMAGE, path)


def _kind_of(path: str) -> MediaKind | None:
    """Return the kind of a file by its suffix, or else by its content; None if it is neither image nor video."""
    if is_image(path):
        return MediaKind.IMAGE
    is_video = Path(path).suffix.lower() in VIDEO_SUFFIXES or is_video_file(path)
    return MediaKind.VIDEO if is_video else None


def _images_and_videos(paths: list[str], where: str, if_empty: str) -> Iterator[MediaSource]:
    """Yield the files that are images or videos; raise a DataError without such files."""
    is_empty = True
    for path in paths:
        kind = None if is_folder(path) else _kind_of(path)
        if kind is not None:
            is_empty = False
            yield MediaSource(kind, path)
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
        if len(line) >= MAX_LINE_LENGTH or "\0" in line:
            raise DataError("the line is not a path", where=Location(name, number), remedy="write one path per line")
        text = _without_comment(line.rstrip("\r\n"), folder)
        if not text:
            continue
        is_empty = False
        try:
            yield from _sources_at(text, folder)
        except DataError as error:
            on_skip(error)
    if is_empty:
        raise DataError("the list of paths is empty", where=Location(name), remedy="write one path per line")


def _without_comment(line: str, folder: Path) -> str:
    """Return the path or address in a line without a comment and outer spaces, unless a file has them in its name."""
    if line.strip() and locate(line, ("", folder)) is not None:
        return line
    return re.sub(r"(?:^|\s+)#.*", "", line.strip())
