"""The images and video frames of sources, with unique names for their output files."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from attendet.data.images import decode_image
from attendet.errors import DataError
from attendet.prediction.addresses import stem_of
from attendet.prediction.media_content import is_video_file
from attendet.prediction.sources import MediaKind, MediaSource, OnSkip
from attendet.prediction.streams import OnLoss, ReconnectionPolicy
from attendet.prediction.video import VideoTimestamp, read_video
from attendet.prediction.watching import watch_streams
from attendet.utils.file_names import UniqueNames


@dataclass(frozen=True)
class InputFrame:
    """An image, or a frame of a video.

    Attributes:
        source: The file or camera that it comes from.
        stem: Stem of the names of its output files: that of the source, made unique within the run.
        image: (H, W, 3) red, green, blue in 0-255.
        timestamp: Position in the video; None for an image.
        unfinished: Whether the image is a JPEG file without an end marker that has all its pixels.
    """

    source: MediaSource
    stem: str
    image: NDArray[np.uint8]
    timestamp: VideoTimestamp | None = None
    unfinished: bool = False

    @property
    def number(self) -> int | None:
        """Number of the frame in its video, from 1; None for an image."""
        return None if self.timestamp is None else self.timestamp.number


def read_frames(
    sources: Iterable[MediaSource],
    on_skip: OnSkip,
    stride: int = 1,
    *,
    on_loss: OnLoss | None = None,
    policy: ReconnectionPolicy | None = None,
    bit_depth: int = 16,
) -> Generator[InputFrame, None, None]:
    """Yield the images and video frames of sources, one at a time.

    Files come first, in their order. Then all streams and cameras are watched at the same time, as `watch_streams`
    describes.

    Args:
        sources: Files, streams, and cameras.
        on_skip: Called with the error of each source that cannot be read, or is read only in part.
        stride: Every how many frames of a video one is used.
        on_loss: Called once per lost connection of a stream, before it is opened again (default: nothing).
        policy: When a lost stream is opened again.
        bit_depth: Number of bits of the values in images with 16 bits per channel; see `attendet.data.read_image`.
    """
    names = UniqueNames()
    watched = []
    for source in sources:
        if source.is_watched:
            watched.append(source)
            continue
        try:
            yield from _frames_of_file(source, names, stride, bit_depth)
        except DataError as error:
            on_skip(error)
    stems: dict[MediaSource, str] = {}
    for source, timestamp, image in watch_streams(watched, on_skip, on_loss or _ignore, stride, policy, bit_depth):
        if source not in stems:
            stems[source] = names.take(_stem(source))
        yield InputFrame(source, stems[source], image, timestamp)


def _frames_of_file(
    source: MediaSource, names: UniqueNames, stride: int, bit_depth: int
) -> Generator[InputFrame, None, None]:
    is_video = source.kind is MediaKind.VIDEO
    try:
        # Names are wrong at times: an image is tried where a video does not begin like one, and the other way round.
        image = None if is_video and is_video_file(source.name) else decode_image(source.name, bit_depth)
    except DataError:
        if not is_video and not is_video_file(source.name):
            raise
        image = None
    if image is not None:
        yield InputFrame(source, names.take(_stem(source)), image.pixels, unfinished=image.unfinished)
        return
    stem = None
    for timestamp, image in read_video(source.name, stride):
        stem = stem or names.take(_stem(source))
        yield InputFrame(source, stem, image, timestamp)


def _stem(source: MediaSource) -> str:
    if source.kind is MediaKind.CAMERA:
        return f"camera{source.name}"
    return stem_of(source.address) if source.kind is MediaKind.STREAM else Path(source.name).stem


def _ignore(source: MediaSource, reason: str) -> None:
    """Do nothing about a lost connection."""
