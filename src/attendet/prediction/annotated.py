"""Annotated images and videos as results."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from supervision import Detections

from attendet.prediction.drawing import DrawingStyle, draw_detections
from attendet.prediction.input_frames import InputFrame
from attendet.prediction.sources import MediaSource, OnSkip
from attendet.prediction.video import VideoFile, VideoTimestamp
from attendet.prediction.writers import ResultWriter, image_suffix, write_image
from attendet.utils.io import write_atomically


class AnnotatedWriter(ResultWriter):
    """A writer of images with drawn detections, in their own names and formats, and of videos as mp4.

    A video is finished as soon as a frame of another source arrives.

    Args:
        folder: The run's folder.
        names: Class names, in the order of their indices.
        style: How detections are drawn.
        on_skip: Called with the error of each image that is too large for its format.
    """

    def __init__(self, folder: Path, names: Sequence[str], style: DrawingStyle, on_skip: OnSkip) -> None:
        super().__init__()
        self._folder = folder
        self._names = names
        self._style = style
        self._on_skip = on_skip
        self._video: VideoFile | None = None
        self._source: MediaSource | None = None

    def write(self, frame: InputFrame, detections: Detections) -> None:
        """Write a frame with its detections drawn."""
        if frame.source is not self._source:
            self._stack.close()
            self._video, self._source = None, frame.source
        drawn = draw_detections(frame.image, detections, self._names, self._style)
        if frame.timestamp is None:
            write_image(self._folder / f"{frame.stem}{image_suffix(frame)}", drawn, self._on_skip)
        else:
            video = self._video or self._open_video(frame, frame.timestamp)
            video.write(drawn, frame.timestamp.tick)

    def _open_video(self, frame: InputFrame, timestamp: VideoTimestamp) -> VideoFile:
        temporary = self._stack.enter_context(write_atomically(self._folder / f"{frame.stem}.mp4"))
        height, width = frame.image.shape[:2]
        self._video = self._stack.enter_context(VideoFile(temporary, timestamp.rate, width, height))
        return self._video
