"""The images and video frames of sources, and unique names for their output files."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from attendet.data.images import read_image
from attendet.errors import DataError
from attendet.prediction.sources import MediaKind, MediaSource, OnSkip
from attendet.prediction.video import VideoTimestamp, read_camera, read_video

MAX_NAME_BYTES = 230
"""Longest stem of a file name in bytes: most file systems allow 255, and a number and a suffix follow."""


@dataclass(frozen=True)
class InputFrame:
    """An image, or a frame of a video.

    Attributes:
        source: The file or camera that it comes from.
        stem: Stem of the names of its output files: that of the source, made unique within the run.
        image: (H, W, 3) red, green, blue in 0-255.
        timestamp: Position in the video; None for an image.
    """

    source: MediaSource
    stem: str
    image: NDArray[np.uint8]
    timestamp: VideoTimestamp | None = None

    @property
    def number(self) -> int | None:
        """Number of the frame in its video, from 1; None for an image."""
        return None if self.timestamp is None else self.timestamp.number


class UniqueNames:
    """Names that a number makes unique: `cell`, `cell-2`, `cell-3`.

    Names that differ in case only are equal, as on some file systems. Names are cut to 230 bytes.

    Example:
        >>> names = UniqueNames()
        >>> [names.take(name) for name in ("cell", "Cell", "cell-2", "cell")]
        ['cell', 'Cell-2', 'cell-2-2', 'cell-3']
    """

    def __init__(self) -> None:
        self._next: dict[str, int] = {}

    def take(self, name: str) -> str:
        """Return the name, or the name with the next free number if it is taken."""
        while len(os.fsencode(name)) > MAX_NAME_BYTES:
            name = name[:-1]
        free, number = name, self._next.get(name.lower(), 1)
        while free.lower() in self._next:
            number += 1
            free = f"{name}-{number}"
        self._next[free.lower()] = 1
        if free != name:
            self._next[name.lower()] = number
        return free


def read_frames(sources: Iterable[MediaSource], on_skip: OnSkip, stride: int = 1) -> Iterator[InputFrame]:
    """Yield the images and video frames of sources, one at a time.

    Args:
        sources: Files and cameras.
        on_skip: Called with the error of each source that cannot be read, or is read only in part.
        stride: Every how many frames of a video one is used.
    """
    names = UniqueNames()
    for source in sources:
        try:
            yield from _frames_of(source, names, stride)
        except DataError as error:
            on_skip(error)


def _frames_of(source: MediaSource, names: UniqueNames, stride: int) -> Iterator[InputFrame]:
    if source.kind is MediaKind.IMAGE:
        image = read_image(source.name)
        yield InputFrame(source, names.take(Path(source.name).stem), image)
        return
    is_camera = source.kind is MediaKind.CAMERA
    stem = None
    for timestamp, image in (read_camera if is_camera else read_video)(source.name, stride):
        stem = stem or names.take(f"camera{source.name}" if is_camera else Path(source.name).stem)
        yield InputFrame(source, stem, image, timestamp)
