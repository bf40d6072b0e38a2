"""H.264 videos that are written frame by frame."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Self

import av
import numpy as np
from av.error import FFmpegError
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from attendet.errors import Location, OutputError


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
