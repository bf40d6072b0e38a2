"""Detections drawn into their image, and annotated images and videos as results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import supervision as sv
from numpy.typing import NDArray
from PIL import Image
from supervision import Detections

from attendet.errors import OptionError
from attendet.prediction.box_labels import draw_label
from attendet.prediction.input_frames import InputFrame
from attendet.prediction.sources import MediaSource, OnSkip
from attendet.prediction.video import VideoTimestamp
from attendet.prediction.video_file import VideoFile
from attendet.prediction.writers import ResultWriter, image_suffix, write_image
from attendet.utils.fonts import drawable_names
from attendet.utils.io import write_atomically


@dataclass(frozen=True)
class DrawingStyle:
    """The style of drawn detections.

    Attributes:
        thickness: Line width in pixels; None chooses it by the size of the image.
        labels: Whether the class name is written at the box.
        confidence: Whether the confidence is written after the class name.

    Raises:
        OptionError: If the lines are thinner than one pixel.
    """

    thickness: int | None = None
    labels: bool = True
    confidence: bool = True

    def __post_init__(self) -> None:
        if self.thickness is not None and self.thickness < 1:
            raise OptionError(f"`thickness` must be at least 1 pixel, got {self.thickness}")


def draw_detections(
    image: NDArray[np.uint8], detections: sv.Detections, names: Sequence[str], style: DrawingStyle | None = None
) -> NDArray[np.uint8]:
    """Return a copy of an image with a box and a label for each detection, in one color per class.

    Args:
        image: (H, W, 3) red, green, blue in 0-255.
        detections: Detections that a `Predictor` returned.
        names: Class names, in the order of their indices.
        style: Line width and labels.

    Example:
        >>> detections = sv.Detections(np.array([[8.0, 8, 40, 40]]), confidence=np.array([0.9]), class_id=np.array([0]))
        >>> image = np.zeros((48, 64, 3), np.uint8)
        >>> drawn = draw_detections(image, detections, ["cell"])
        >>> drawn.shape, bool(drawn.any()), bool(image.any())
        ((48, 64, 3), True, False)
    """
    style = style or DrawingStyle()
    side = (image.shape[0] + image.shape[1]) / 2
    palette = _palette(len(names))
    # The most confident detection is drawn last, so that it is on top.
    detections = cast("sv.Detections", detections[np.argsort(_confidences(detections), kind="stable")])
    # supervision draws in OpenCV's channel order: blue, green, red.
    scene = np.ascontiguousarray(image[..., ::-1])
    boxes = sv.BoxAnnotator(color=palette, thickness=style.thickness or max(1, round(0.003 * side)))
    scene = boxes.annotate(scene, detections)
    drawn = Image.fromarray(np.ascontiguousarray(np.asarray(scene)[..., ::-1]))
    if style.labels:
        for number, text in enumerate(_texts(detections, names, confidence=style.confidence)):
            x, y, *_ = detections.xyxy[number].tolist()
            color = palette.by_idx(0 if detections.class_id is None else int(detections.class_id[number]))
            draw_label(drawn, (x, y), text, color.as_rgb(), font_size=max(9, round(0.022 * side)))
    return np.array(drawn)


def _texts(detections: sv.Detections, names: Sequence[str], *, confidence: bool) -> list[str]:
    classes = np.zeros(len(detections), int) if detections.class_id is None else detections.class_id
    drawn = drawable_names(names)
    if not confidence:
        return [drawn[index] for index in classes]
    return [f"{drawn[index]} {score:.2f}" for index, score in zip(classes, _confidences(detections), strict=True)]


def _confidences(detections: sv.Detections) -> NDArray[np.floating]:
    return np.ones(len(detections)) if detections.confidence is None else detections.confidence


def _palette(num_classes: int) -> sv.ColorPalette:
    """Return a palette with at least one color per class."""
    default = sv.ColorPalette.DEFAULT
    return default if num_classes <= len(default.colors) else sv.ColorPalette.from_matplotlib("hsv", num_classes + 1)


class AnnotatedWriter(ResultWriter):
    """A writer of images with drawn detections, in their own names and formats, and of videos as mp4.

    The video of a file is finished as soon as a frame of another source arrives. The videos of streams and cameras,
    whose frames come in turn, are finished at the end.

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
        # By the stems of their names, because a source can be named twice.
        self._videos: dict[str, tuple[MediaSource, VideoFile]] = {}

    def write(self, frame: InputFrame, detections: Detections) -> None:
        """Write a frame with its detections drawn."""
        if frame.stem not in self._videos and not all(source.is_watched for source, _ in self._videos.values()):
            self._stack.close()
            self._videos.clear()
        drawn = draw_detections(frame.image, detections, self._names, self._style)
        if frame.timestamp is None:
            write_image(self._folder / f"{frame.stem}{image_suffix(frame)}", drawn, self._on_skip)
        else:
            if frame.stem not in self._videos:
                self._videos[frame.stem] = frame.source, self._open_video(frame, frame.timestamp)
            _, video = self._videos[frame.stem]
            video.write(drawn, frame.timestamp.tick)

    def _open_video(self, frame: InputFrame, timestamp: VideoTimestamp) -> VideoFile:
        temporary = self._stack.enter_context(write_atomically(self._folder / f"{frame.stem}.mp4"))
        height, width = frame.image.shape[:2]
        return self._stack.enter_context(VideoFile(temporary, timestamp.rate, width, height))
