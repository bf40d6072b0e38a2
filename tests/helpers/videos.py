"""Write videos of a photograph, and read videos with OpenCV as an independent reader."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from av.video.stream import VideoStream
from numpy.typing import NDArray

from tests.helpers.calibrated_detector import photographs


def write_video(
    path: Path,
    count: int = 12,
    codec: str = "libx264",
    rate: Fraction = Fraction(25),
    ticks: Sequence[int] | None = None,
    size: tuple[int, int] = (160, 96),
) -> Path:
    """Write a video in which a photograph moves 8 pixels per frame."""
    width, height = size
    with av.open(str(path), "w", options={"movflags": "faststart"} if path.suffix == ".mp4" else {}) as container:
        stream = container.add_stream(codec, rate=rate)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(count):
            image = np.ascontiguousarray(photographs()[0][100 : 100 + height, 8 * number : 8 * number + width])
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = number if ticks is None else ticks[number], 1 / rate
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def read_with_opencv(path: Path) -> tuple[list[NDArray[np.uint8]], float]:
    capture = cv2.VideoCapture(str(path))
    images = []
    while (read := capture.read())[0]:
        images.append(np.asarray(read[1], np.uint8)[..., ::-1])
    return images, capture.get(cv2.CAP_PROP_FPS)
