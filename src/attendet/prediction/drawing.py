"""Detections drawn onto their image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import matplotlib as mpl
import numpy as np
import supervision as sv
from numpy.typing import NDArray
from PIL import ImageFont

from attendet.errors import OptionError


@dataclass(frozen=True)
class Style:
    """How detections are drawn.

    Attributes:
        thickness: Of lines, in pixels; chosen by the image's size if None.
        labels: Whether the class is written beside the box.
        confidence: Whether the confidence is written after the class.

    Raises:
        OptionError: If lines are thinner than one pixel.
    """

    thickness: int | None = None
    labels: bool = True
    confidence: bool = True

    def __post_init__(self) -> None:
        if self.thickness is not None and self.thickness < 1:
            raise OptionError(f"the lines are {self.thickness} pixels thick", remedy="give at least 1")


def draw(
    image: NDArray[np.uint8], detections: sv.Detections, names: Sequence[str], style: Style | None = None
) -> NDArray[np.uint8]:
    """Return a copy of an image with a box and a label for each detection, one color per class.

    Args:
        image: (H, W, 3) red, green, blue in 0-255.
        detections: As a `Predictor` gives them.
        names: The classes' names, by number.
        style: How to draw.

    Example:
        >>> detections = sv.Detections(np.array([[8.0, 8, 40, 40]]), confidence=np.array([0.9]), class_id=np.array([0]))
        >>> image = np.zeros((48, 64, 3), np.uint8)
        >>> drawn = draw(image, detections, ["cell"])
        >>> drawn.shape, bool(drawn.any()), bool(image.any())
        ((48, 64, 3), True, False)
    """
    style = style or Style()
    side = (image.shape[0] + image.shape[1]) / 2
    palette = _palette(len(names))
    # The least confident first, so that the surest are on top.
    detections = cast("sv.Detections", detections[np.argsort(_confidences(detections), kind="stable")])
    # The library draws in the channel order of OpenCV.
    scene = np.ascontiguousarray(image[..., ::-1])
    boxes = sv.BoxAnnotator(color=palette, thickness=style.thickness or max(1, round(0.003 * side)))
    scene = boxes.annotate(scene, detections)
    if style.labels and len(detections):
        texts = _texts(detections, names, confidence=style.confidence)
        scene = _label(scene, detections, texts, palette, font_size=max(9, round(0.022 * side)))
    return np.ascontiguousarray(np.asarray(scene)[..., ::-1])


def _label(
    scene: NDArray[np.uint8], detections: sv.Detections, texts: list[str], palette: sv.ColorPalette, font_size: int
) -> NDArray[np.uint8]:
    font_path = str(Path(mpl.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"))
    padding = max(2, font_size // 4)
    annotator = sv.RichLabelAnnotator(
        color=palette,
        text_color=sv.ColorPalette([_readable_on(color) for color in palette.colors]),
        font_path=font_path,
        font_size=font_size,
        text_padding=padding,
    )
    font = ImageFont.truetype(font_path, font_size)
    sizes = np.array([_size(font, text) for text in texts]) + 2 * padding
    # Labels stand on the upper left corner of a point without extent, moved so that they stay inside the image.
    height, width = scene.shape[:2]
    x = np.minimum(detections.xyxy[:, 0], np.maximum(0, width - sizes[:, 0]))
    y = np.maximum(detections.xyxy[:, 1], np.minimum(height, sizes[:, 1]))
    places = sv.Detections(np.stack([x, y, x, y], axis=1), class_id=detections.class_id)
    return np.asarray(annotator.annotate(scene, places, texts), np.uint8)


def _size(font: ImageFont.FreeTypeFont, text: str) -> tuple[float, float]:
    left, top, right, bottom = font.getbbox(text)
    return right - left, bottom - top


def _texts(detections: sv.Detections, names: Sequence[str], *, confidence: bool) -> list[str]:
    numbers = np.zeros(len(detections), int) if detections.class_id is None else detections.class_id
    if not confidence:
        return [str(names[number]) for number in numbers]
    return [f"{names[number]} {sure:.2f}" for number, sure in zip(numbers, _confidences(detections), strict=True)]


def _confidences(detections: sv.Detections) -> NDArray[np.floating]:
    return np.ones(len(detections)) if detections.confidence is None else detections.confidence


def _palette(classes: int) -> sv.ColorPalette:
    """Return at least one color per class."""
    default = sv.ColorPalette.DEFAULT
    return default if classes <= len(default.colors) else sv.ColorPalette.from_matplotlib("hsv", classes + 1)


def _readable_on(color: sv.Color) -> sv.Color:
    brightness = 0.299 * color.r + 0.587 * color.g + 0.114 * color.b
    return sv.Color.BLACK if brightness > 140 else sv.Color.WHITE
