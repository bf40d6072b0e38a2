"""Images scaled to a size and padded to a shape."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

FILL = 114


@dataclass(frozen=True)
class Letterbox:
    """How an image was placed on its canvas.

    Attributes:
        scale: Canvas pixels per image pixel (x, y).
        left: Canvas pixels left of the image.
        top: Canvas pixels above the image.
    """

    scale: tuple[float, float]
    left: int
    top: int

    def to_canvas(self, boxes: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return boxes (n, 4) x1, y1, x2, y2 in pixels of the canvas."""
        return boxes * np.tile(self.scale, 2) + np.tile([self.left, self.top], 2)

    def to_image(self, boxes: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return boxes (n, 4) x1, y1, x2, y2 in pixels of the image.

        Example:
            >>> Letterbox(scale=(0.5, 0.5), left=0, top=40).to_image(np.array([[10.0, 50.0, 20.0, 60.0]])).tolist()
            [[20.0, 20.0, 40.0, 40.0]]
        """
        return (boxes - np.tile([self.left, self.top], 2)) / np.tile(self.scale, 2)


def resize(image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Return an image whose longer side is `size` pixels; smoothed where it shrinks, so that fine detail survives.

    Example:
        >>> resize(np.zeros((480, 640, 3), np.uint8), 320).shape
        (240, 320, 3)
    """
    height, width = image.shape[:2]
    scale = size / max(height, width)
    if scale == 1:
        return image
    shape = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(
        cv2.resize(image, shape, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR), np.uint8
    )


def canvas_shape(height: int, width: int, size: int, stride: int) -> tuple[int, int]:
    """Return the smallest (height, width) in multiples of the stride that an image scaled to `size` fits in.

    Example:
        >>> canvas_shape(480, 640, 320, 32)
        (256, 320)
    """
    scale = size / max(height, width)
    rows, columns = (max(stride, math.ceil(round(side * scale) / stride) * stride) for side in (height, width))
    return rows, columns


def letterbox(
    image: NDArray[np.uint8], size: int, shape: tuple[int, int] | None = None
) -> tuple[NDArray[np.uint8], Letterbox]:
    """Scale an image's longer side to `size` pixels and centre it on a grey canvas.

    Args:
        image: (H, W, 3).
        size: The longer side in pixels.
        shape: Height and width of the canvas, at least those of the scaled image; a square of `size` if None.

    Example:
        >>> canvas, placed = letterbox(np.zeros((480, 640, 3), np.uint8), 320)
        >>> canvas.shape, placed
        ((320, 320, 3), Letterbox(scale=(0.5, 0.5), left=0, top=40))
    """
    scaled = resize(image, size)
    height, width = scaled.shape[:2]
    rows, columns = shape or (size, size)
    canvas = np.full((rows, columns, 3), FILL, np.uint8)
    top, left = (rows - height) // 2, (columns - width) // 2
    canvas[top : top + height, left : left + width] = scaled
    return canvas, Letterbox((width / image.shape[1], height / image.shape[0]), left, top)
