"""Detections drawn into their image, equal to attendet's pictures bit for bit; labels are equal in the same font."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from attendet_runtime.box_labels import draw_label, drawable_names, label_font
from attendet_runtime.detections import Detections
from attendet_runtime.palette import class_colors
from attendet_runtime.rectangles import draw_rectangle


def draw_detections(
    image: NDArray[np.uint8],
    detections: Detections,
    names: Sequence[str],
    *,
    thickness: int | None = None,
    labels: bool = True,
    font: Path | None = None,
) -> NDArray[np.uint8]:
    """Return a copy of an image with a box and a label for each detection, in one color per class.

    Args:
        image: (H, W, 3) red, green, blue in 0-255.
        detections: Detections of the image.
        names: Class names, in the order of their indices.
        thickness: Line width in pixels; None chooses it by the size of the image.
        labels: Whether class name and confidence are written at the box.
        font: A font file for the labels (default: DejaVu Sans if the system has it, otherwise the font in Pillow).

    Raises:
        UsageError: If the font cannot be read.

    Example:
        >>> from attendet_runtime.detections import Detections
        >>> box, score, cell = np.array([[8, 8, 40, 40]], np.float32), np.array([0.9], np.float32), np.array([0])
        >>> image = np.zeros((48, 64, 3), np.uint8)
        >>> drawn = draw_detections(image, Detections(box, score, cell, ("cell",)), ["cell"])
        >>> drawn.shape, bool(drawn.any()), bool(image.any())
        ((48, 64, 3), True, False)
    """
    side = (image.shape[0] + image.shape[1]) / 2
    width = thickness or max(1, round(0.003 * side))
    colors = class_colors(len(names))
    # The most confident detection is drawn last, so that it is on top.
    order = np.argsort(detections.confidence, kind="stable")
    drawn = np.array(image)
    for number in order:
        x1, y1, x2, y2 = detections.xyxy[number].astype(int).tolist()
        draw_rectangle(drawn, (x1, y1, x2, y2), colors[int(detections.class_id[number]) % len(colors)], width)
    if not labels or len(detections) == 0:
        return drawn
    letters = label_font(font, max(9, round(0.022 * side)))
    shown = drawable_names(names, letters)
    picture = Image.fromarray(drawn)
    for number in order:
        class_id = int(detections.class_id[number])
        text = f"{shown[class_id]} {detections.confidence[number]:.2f}"
        x, y, *_ = detections.xyxy[number].tolist()
        draw_label(picture, (x, y), text, colors[class_id % len(colors)], letters)
    return np.array(picture)
