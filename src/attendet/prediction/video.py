"""Frames of videos and cameras, and H.264 videos that are written frame by frame."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Self

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from attendet.errors import DataError, Location, OutputError
from attendet.utils.limits import MAX_FRAME_PIXELS

# Playlists and similar formats are excluded: they make FFmpeg open other files and addresses.
_CONTAINERS = "mov,matroska,webm,avi,mpeg,mpegts,asf,flv,ogg"
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
        total: Number of frames that the video states; None if it states none.
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
        DataError: If the file is not a video, or is damaged; the frames before the damage have been yielded.
    """
    options = {"protocol_whitelist": "file", "format_whitelist": _CONTAINERS}
    return _frames(path, path, stride, options=options)


def read_camera(number: str, stride: int = 1) -> Iterator[tuple[VideoTimestamp, NDArray[np.uint8]]]:
    """Yield every `stride`-th frame of a camera until the process is interrupted.

    Args:
        number: Number of the camera: `0` is `/dev/video0`.
        stride: Every how many frames one is yielded.

    Yields:
        As `read_video`.

    Raises:
        DataError: If the camera does not exist, or stops.
    """
    return _frames(f"/dev/video{number}", f"camera {number}", stride, format="v4l2")


def _frames(
    path: str, name: str, stride: int, **open_options: Any
) -> Iterator[tuple[VideoTimestamp, NDArray[np.uint8]]]:
    where = Location(name)
    number = 0
    try:
        with av.open(path, mode="r", metadata_errors="replace", **open_options) as container:
            stream = _video_stream(container, where)
            rate = _rate(stream, where) / stride
            decoder = _Decoder()
            tick, start, shape = -1, None, None
            for number, frame in enumerate(decoder.frames(container, stream), start=1):
                if (number - 1) % stride:
                    continue
                start = frame.time if start is None else start
                tick = _next_tick(tick, rate, None if frame.time is None or start is None else frame.time - start)
                image = _upright(frame)
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


class _Decoder:
    """A decoder of the frames of a stream that notes whether data was damaged."""

    def __init__(self) -> None:
        self.is_damaged = False

    def frames(self, container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
        for packet in container.demux(stream):
            self.is_damaged |= packet.is_corrupt
            for frame in packet.decode():
                if isinstance(frame, VideoFrame):
                    yield frame


def _upright(frame: VideoFrame) -> NDArray[np.uint8]:
    pixels = np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
    # The rotation is counterclockwise, as `np.rot90` counts.
    return np.ascontiguousarray(np.rot90(pixels, round(frame.rotation / 90)))


def _video_stream(container: InputContainer, where: Location) -> VideoStream:
    if not container.streams.video:
        raise DataError("the file has no video stream", where=where)
    stream = container.streams.video[0]
    context = stream.codec_context
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


def _next_tick(last: int, rate: Fraction, seconds: float | None) -> int:
    """Return the tick of a frame: that of its time, but after the last frame and not too long after it.

    Args:
        last: Tick of the last frame; -1 before the first.
        rate: Ticks per second.
        seconds: Time of the frame since the first frame; None if unknown.

    Example:
        >>> _next_tick(4, Fraction(25), 0.2), _next_tick(4, Fraction(25), 0.0), _next_tick(4, Fraction(25), 1e9)
        (5, 5, 1505)
    """
    if seconds is None or last < 0:
        return last + 1
    return max(last + 1, min(round(seconds * rate), last + 1 + round(_MAX_GAP_SECONDS * rate)))


class VideoFile:
    """An H.264 video in an mp4 file that is written frame by frame.

    A context manager: the file is finished when the block ends.

    Args:
        path: The file; its suffix is .mp4.
        rate: Frames per second.
        width: Width of the frames in pixels.
        height: Height of the frames in pixels.

    Raises:
        OutputError: If the file cannot be written.
    """

    def __init__(self, path: Path, rate: Fraction, width: int, height: int) -> None:
        self._where = Location(str(path))
        if "libx264" not in av.codecs_available:
            remedy = "install PyAV from PyPI, or write no videos (--nosave)"
            raise OutputError("this build of PyAV cannot write H.264", where=self._where, remedy=remedy)
        try:
            self._container = av.open(str(path), mode="w")
            stream = self._container.add_stream("libx264", rate=rate, options={"crf": "20", "preset": "veryfast"})
        except (FFmpegError, OSError) as error:
            raise self._error(error) from error
        stream.width, stream.height = width, height
        # The usual pixel format has half the color resolution, and so requires even sides.
        stream.pix_fmt = "yuv444p" if width % 2 or height % 2 else "yuv420p"
        stream.codec_context.time_base = 1 / rate
        self._stream = stream
        self._rate = rate

    def write(self, image: NDArray[np.uint8], tick: int) -> None:
        """Add a frame.

        Args:
            image: (H, W, 3) red, green, blue in 0-255.
            tick: Time at which the frame is shown, in frames since the beginning; larger than that of the last frame.

        Raises:
            OutputError: If the file cannot be written.
        """
        frame = VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
        frame.pts, frame.time_base = tick, 1 / self._rate
        try:
            self._container.mux(self._stream.encode(frame))
        except (FFmpegError, OSError) as error:
            raise self._error(error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self._container.mux(self._stream.encode(None))
            # Closing writes the index, without which players show nothing.
            self._container.close()
        except (FFmpegError, OSError) as error:
            # An exception of the block is the cause, and must not be replaced.
            if kind is None:
                raise self._error(error) from error

    def _error(self, error: Exception) -> OutputError:
        return OutputError(
            f"the video cannot be written: {getattr(error, 'strerror', None) or error}", where=self._where
        )
