"""Frames of video files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError, InvalidDataError
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from attendet.errors import DataError, Location
from attendet.prediction.media_content import video_format_of
from attendet.utils.limits import MAX_FRAME_PIXELS

CONTAINERS = "mov,matroska,webm,avi,mpeg,mpegts,mpegvideo,asf,flv,ogg"
"""FFmpeg's names of the formats that are read. Playlists are not: they make FFmpeg open other files and addresses."""

_MAX_RATE = 1000
# Cameras and damaged videos can have wrong timestamps. Longer gaps between two frames are shortened to this.
_MAX_GAP_SECONDS = 60


@dataclass(frozen=True)
class VideoTimestamp:
    """The position of a frame in a video.

    Attributes:
        number: Number of the frame, from 1; frames that a stride skips are counted.
        tick: Time at which the frame is shown, in units of 1 / `rate` since the first frame.
        rate: Frames per second of the frames that are read.
        total: Number of frames that the video states; None if it is unknown.
    """

    number: int
    tick: int
    rate: Fraction
    total: int | None


def read_video(path: str, stride: int = 1) -> Iterator[tuple[VideoTimestamp, NDArray[np.uint8]]]:
    """Yield every `stride`-th frame of a video file, beginning with the first.

    Args:
        path: The video file.
        stride: Every how many frames one is yielded.

    Yields:
        The position of a frame, and its pixels (H, W, 3) red, green, blue in 0-255, rotated as the video asks.

    Raises:
        DataError: If the file is not a video, or is damaged; the frames before and after the damage have been yielded.
    """
    where = Location(path)
    # Only a regular file has a format: FFmpeg would wait for a pipe, and read a device without end. Without a format,
    # FFmpeg would also go by the name of the file.
    form = video_format_of(path)
    number = 0
    try:
        options = {"protocol_whitelist": "file", "format_whitelist": CONTAINERS}
        with av.open(path, mode="r", format=form, metadata_errors="replace", options=options) as container:
            stream = video_stream(container, where)
            rate = _rate(stream, where) / stride
            decoder = FrameDecoder()
            tick, start, shape = -1, None, None
            for number, frame in enumerate(decoder.frames(container, stream), start=1):
                if (number - 1) % stride:
                    continue
                start = frame.time if start is None else start
                tick = next_tick(tick, rate, None if frame.time is None or start is None else frame.time - start)
                image = upright(frame)
                if shape not in (None, image.shape):
                    raise DataError(f"the frame size changes at frame {number}", where=where)
                shape = image.shape
                yield VideoTimestamp(number, tick, rate, stream.frames or None), image
    except (FFmpegError, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        problem = f"the video ends early, after {number} frames" if number else "the file cannot be opened as a video"
        raise DataError(f"{problem}: {reason}", where=where) from error
    if number == 0:
        raise DataError("the video has no frames", where=where)
    if decoder.is_damaged:
        raise DataError(f"the video is damaged or truncated; {number} frames were read", where=where)


class FrameDecoder:
    """A decoder of the frames of a stream that passes over damaged data, and notes it.

    Args:
        keeps_damaged: Whether a frame of damaged data is decoded as far as possible, instead of being left out.

    Attributes:
        is_damaged: Whether data was damaged so far.
    """

    def __init__(self, *, keeps_damaged: bool = True) -> None:
        self.is_damaged = False
        self._keeps_damaged = keeps_damaged

    def frames(self, container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
        """Yield the frames of a stream in the order in which they are shown."""
        for packet in container.demux(stream):
            self.is_damaged |= packet.is_corrupt
            if packet.is_corrupt and not self._keeps_damaged:
                continue
            try:
                decoded = packet.decode()
            except InvalidDataError:
                # Recordings of broadcasts begin and end anywhere, and a network loses packets.
                self.is_damaged = True
                continue
            for frame in decoded:
                if isinstance(frame, VideoFrame):
                    yield frame


def upright(frame: VideoFrame) -> NDArray[np.uint8]:
    """Return the pixels (H, W, 3) of a frame, rotated as the video asks: red, green, blue in 0-255."""
    pixels = np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
    # The rotation is counterclockwise, as `np.rot90` counts.
    return np.ascontiguousarray(np.rot90(pixels, round(frame.rotation / 90)))


def video_stream(container: InputContainer, where: Location) -> VideoStream:
    """Return the first video stream of an open container.

    Args:
        container: The container.
        where: Its name, for errors.

    Raises:
        DataError: If it is missing, has no decoder, or its frames are too large.
    """
    if not container.streams.video:
        raise DataError("the file has no video stream", where=where)
    stream = container.streams.video[0]
    context = stream.codec_context
    if context is None:
        # Without a decoder it is None, contrary to PyAV's types.
        raise DataError("no decoder for the video is known", where=where, remedy="save it as H.264 in an mp4 file")
    if context.width * context.height > MAX_FRAME_PIXELS:
        message = f"frames must have at most {MAX_FRAME_PIXELS:,} pixels, got {context.width}x{context.height}"
        raise DataError(message, where=where, remedy="scale the video down")
    # The size in the container may be wrong, so the decoder checks the size of each frame, too.
    context.options = {"max_pixels": str(MAX_FRAME_PIXELS)}
    return stream


def _rate(stream: VideoStream, where: Location) -> Fraction:
    rate = stream.average_rate or stream.guessed_rate
    if not rate or not 0 < rate <= _MAX_RATE:
        raise DataError(f"the frame rate must be above 0 and at most {_MAX_RATE}, got {rate}", where=where)
    return Fraction(rate)


def next_tick(last: int, rate: Fraction, seconds: float | None) -> int:
    """Return the tick of a frame: that of its time, but after the last frame and not too long after it.

    Args:
        last: Tick of the last frame; -1 before the first.
        rate: Ticks per second.
        seconds: Time of the frame since the first frame; None if unknown.

    Example:
        >>> next_tick(4, Fraction(25), 0.2), next_tick(4, Fraction(25), 0.0), next_tick(4, Fraction(25), 1e9)
        (5, 5, 1505)
    """
    if seconds is None or last < 0:
        return last + 1
    return max(last + 1, min(round(seconds * rate), last + 1 + round(_MAX_GAP_SECONDS * rate)))
