"""Annotated images and videos."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from supervision import Detections

from attendet.prediction.drawing import Style, draw
from attendet.prediction.input_frames import InputFrame
from attendet.prediction.sources import MediaSource, Skip
from attendet.prediction.video import VideoFile, VideoTimestamp
from attendet.prediction.writers import Writer, suffix_of, write_image
from attendet.utils.io import write_atomically


class PictureWriter(Writer):
    """Images with their detections drawn, under their own names and in their formats; videos as mp4.

    A video is finished as soon as another source begins.

    Args:
        folder: The run's folder.
        names: The classes' names, by number.
        style: How detections are drawn.
        skip: Told of images that their formats cannot hold.
    """

    def __init__(self, folder: Path, names: Sequence[str], style: Style, skip: Skip) -> None:
        super().__init__()
        self._folder = folder
        self._names = names
        self._style = style
        self._skip = skip
        self._video: VideoFile | None = None
        self._source: MediaSource | None = None

    def write(self, frame: InputFrame, detections: Detections) -> None:
        """Write a frame with its detections drawn."""
        if frame.source is not self._source:
            self._stack.close()
            self._video, self._source = None, frame.source
        drawn = draw(frame.image, detections, self._names, self._style)
        if frame.moment is None:
            write_image(self._folder / f"{frame.stem}{suffix_of(frame)}", drawn, self._skip)
        else:
            video = self._video or self._begin(frame, frame.moment)
            video.write(drawn, frame.moment.tick)

    def _begin(self, frame: InputFrame, moment: VideoTimestamp) -> VideoFile:
        temporary = self._stack.enter_context(write_atomically(self._folder / f"{frame.stem}.mp4"))
        height, width = frame.image.shape[:2]
        self._video = self._stack.enter_context(VideoFile(temporary, moment.rate, width, height))
        return self._video
