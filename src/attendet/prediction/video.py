"""Videos and cameras → frames, and frames → H.264 videos; one frame in memory at a time."""

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

# Playlists and the like, which make the library open other files and addresses, are not among them.
_CONTAINERS = "mov,matroska,webm,avi,mpeg,mpegts,asf,flv,ogg"
_MAX_RATE = 1000
# A gap in a camera's or a damaged video's times that is longer than this is closed.
_LONGEST_GAP_SECONDS = 60


@dataclass(frozen=True)
class VideoTimestamp:
    """Where in a video a frame stands.

    Attributes:
        number: From 1, counting the frames that a stride leaves out too.
        tick: When it is shown, in frames of `rate` since the first one.
        rate: Frames per second, of those that are read.
        total: How many frames the video says that it has; None where it does not say.
    """

    number: int
    tick: int
    rate: Fraction
    total: int | None


def read_video(path: str, stride: int = 1) -> Iterator[tuple[VideoTimestamp, NDArray[np.uint8]]]:
    """Yield every `stride`-th frame of a video file, from the first one on.

    Frames are (H, W, 3) red, green, blue in 0-255, turned as the video asks.

    Raises:
        DataError: If it is no video, or breaks off; the frames before that have been yielded.
    """
    options = {"protocol_whitelist": "file", "format_whitelist": _CONTAINERS}
    return _frames(path, path, stride, options=options)


def read_camera(number: str, stride: int = 1) -> Iterator[tuple[VideoTimestamp, NDArray[np.uint8]]]:
    """Yield every `stride`-th frame of a camera (`/dev/video0` for `0`), until the process is interrupted.

    Raises:
        DataError: If there is no such camera, or it stops.
    """
    return _frames(f"/dev/video{number}", f"camera {number}", stride, format="v4l2")


def _frames(path: str, name: str, stride: int, **how: Any) -> Iterator[tuple[VideoTimestamp, NDArray[np.uint8]]]:
    where = Location(name)
    number = 0
    try:
        with av.open(path, mode="r", metadata_errors="replace", **how) as container:
            stream = _video_stream(container, where)
            rate = _rate(stream, where) / stride
            decoded = _Decoded()
            tick, start, shape = -1, None, None
            for number, frame in enumerate(decoded.frames(container, stream), start=1):
                if (number - 1) % stride:
                    continue
                start = frame.time if start is None else start
                tick = _tick(tick, rate, None if frame.time is None or start is None else frame.time - start)
                image = _upright(frame)
                if shape not in (None, image.shape):
                    raise DataError(f"the frames change their size at frame {number}", where=where)
                shape = image.shape
                yield VideoTimestamp(number, tick, rate, stream.frames or None), image
    except (FFmpegError, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        happened = f"it breaks off after {number} frames" if number else "it cannot be opened as a video"
        raise DataError(f"{happened}: {reason}", where=where) from error
    if number == 0:
        raise DataError("the video has no frames", where=where)
    if decoded.damaged:
        raise DataError(f"it is damaged or cut short; {number} frames were read", where=where)


class _Decoded:
    """The frames of a stream, and whether all of its data was there."""

    def __init__(self) -> None:
        self.damaged = False

    def frames(self, container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
        for packet in container.demux(stream):
            self.damaged |= packet.is_corrupt
            for frame in packet.decode():
                if isinstance(frame, VideoFrame):
                    yield frame


def _upright(frame: VideoFrame) -> NDArray[np.uint8]:
    pixels = np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
    # The angle is counterclockwise, as NumPy counts.
    return np.ascontiguousarray(np.rot90(pixels, round(frame.rotation / 90)))


def _video_stream(container: InputContainer, where: Location) -> VideoStream:
    if not container.streams.video:
        raise DataError("it has no video stream", where=where)
    stream = container.streams.video[0]
    context = stream.codec_context
    if context.width * context.height > MAX_FRAME_PIXELS:
        raise DataError(f"its frames have more than {MAX_FRAME_PIXELS:,} pixels", where=where, remedy="make it smaller")
    # What the container says of the size need not be true; the decoder refuses for itself.
    context.options = {"max_pixels": str(MAX_FRAME_PIXELS)}
    return stream


def _rate(stream: VideoStream, where: Location) -> Fraction:
    rate = stream.average_rate or stream.guessed_rate
    if not rate or not 0 < rate <= _MAX_RATE:
        raise DataError(f"it states {rate} frames per second", where=where, remedy=f"give at most {_MAX_RATE}")
    return Fraction(rate)


def _tick(last: int, rate: Fraction, seconds: float | None) -> int:
    """Return when a frame is shown: at its time, after the last one, and not for ever after it.

    Example:
        >>> _tick(4, Fraction(25), 0.2), _tick(4, Fraction(25), 0.0), _tick(4, Fraction(25), 1e9)
        (5, 5, 1505)
    """
    if seconds is None or last < 0:
        return last + 1
    return max(last + 1, min(round(seconds * rate), last + 1 + round(_LONGEST_GAP_SECONDS * rate)))


class VideoFile:
    """An H.264 video in an mp4 file, written frame by frame; a context, whose end finishes the file.

    Args:
        path: The file, ending in .mp4.
        rate: Frames per second.
        width: Of every frame, in pixels.
        height: Of every frame, in pixels.

    Raises:
        OutputError: If it cannot be written.
    """

    def __init__(self, path: Path, rate: Fraction, width: int, height: int) -> None:
        self._where = Location(str(path))
        if "libx264" not in av.codecs_available:
            raise OutputError(
                "this build of PyAV cannot write H.264", where=self._where, remedy="take the one from PyPI, or --nosave"
            )
        try:
            self._container = av.open(str(path), mode="w")
            stream = self._container.add_stream("libx264", rate=rate, options={"crf": "20", "preset": "veryfast"})
        except (FFmpegError, OSError) as error:
            raise self._error(error) from error
        stream.width, stream.height = width, height
        # The usual format halves the colors' resolution, and so needs even sides.
        stream.pix_fmt = "yuv444p" if width % 2 or height % 2 else "yuv420p"
        stream.codec_context.time_base = 1 / rate
        self._stream = stream
        self._rate = rate

    def write(self, image: NDArray[np.uint8], tick: int) -> None:
        """Add a frame.

        Args:
            image: (H, W, 3) red, green, blue in 0-255.
            tick: When it is shown, in frames since the beginning; more than the last one's.

        Raises:
            OutputError: If it cannot be written.
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
            # This writes the table of contents, without which players see nothing.
            self._container.close()
        except (FFmpegError, OSError) as error:
            # What went wrong first is what the user should hear of.
            if kind is None:
                raise self._error(error) from error

    def _error(self, error: Exception) -> OutputError:
        return OutputError(
            f"the video cannot be written: {getattr(error, 'strerror', None) or error}", where=self._where
        )
