"""Sources → pixels with names to write under."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from attendet.data.images import read_image
from attendet.errors import DataError
from attendet.prediction.sources import MediaKind, MediaSource, Skip
from attendet.prediction.video import VideoTimestamp, read_camera, read_video

LONGEST_NAME = 230
"""Bytes of what files are named after: most disks take 255, and numbers and an ending follow."""


@dataclass(frozen=True)
class InputFrame:
    """An image, or a frame of a video.

    Attributes:
        source: Where it comes from.
        stem: What its files are named after: the source's name without its ending, and no other source's of this run.
        image: (H, W, 3) red, green, blue in 0-255.
        moment: Where in a video it stands; None for an image.
    """

    source: MediaSource
    stem: str
    image: NDArray[np.uint8]
    moment: VideoTimestamp | None = None

    @property
    def number(self) -> int | None:
        """The frame's number in its video, from 1; None for an image."""
        return None if self.moment is None else self.moment.number


class UniqueNames:
    """Gives every name once: `cell`, `cell-2`, `cell-3`; small and capital letters are the same, as on some disks.

    Names longer than 230 bytes are cut.

    Example:
        >>> names = UniqueNames()
        >>> [names.take(name) for name in ("cell", "Cell", "cell-2", "cell")]
        ['cell', 'Cell-2', 'cell-2-2', 'cell-3']
    """

    def __init__(self) -> None:
        self._next: dict[str, int] = {}

    def take(self, name: str) -> str:
        """Return the name, or the next free one like it."""
        while len(os.fsencode(name)) > LONGEST_NAME:
            name = name[:-1]
        free, number = name, self._next.get(name.lower(), 1)
        while free.lower() in self._next:
            number += 1
            free = f"{name}-{number}"
        self._next[free.lower()] = 1
        if free != name:
            self._next[name.lower()] = number
        return free


def read_frames(sources: Iterable[MediaSource], skip: Skip, stride: int = 1) -> Iterator[InputFrame]:
    """Yield the images and frames of sources, one at a time.

    Args:
        sources: Where they come from.
        skip: Called with an error for each source that cannot be read, or not to its end.
        stride: Every how many frames of a video one is taken.
    """
    names = UniqueNames()
    for source in sources:
        try:
            yield from _frames_of(source, names, stride)
        except DataError as error:
            skip(error)


def _frames_of(source: MediaSource, names: UniqueNames, stride: int) -> Iterator[InputFrame]:
    if source.kind is MediaKind.IMAGE:
        image = read_image(source.name)
        yield InputFrame(source, names.take(Path(source.name).stem), image)
        return
    is_camera = source.kind is MediaKind.CAMERA
    stem = None
    for moment, image in (read_camera if is_camera else read_video)(source.name, stride):
        stem = stem or names.take(f"camera{source.name}" if is_camera else Path(source.name).stem)
        yield InputFrame(source, stem, image, moment)
