"""Images scaled to a size and padded to a shape."""

from __future__ import annotations

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
    if max(height, width) == size:
        return image
    rows, columns = scaled_shapes(np.array([[width, height]]), size)[0].tolist()
    interpolation = cv2.INTER_AREA if max(height, width) > size else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (columns, rows), interpolation=interpolation), np.uint8)


def scaled_shapes(sizes: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Return (images, 2) height and width of images (width, height) whose longer side is scaled to `size`.

    Example:
        >>> scaled_shapes(np.array([[640, 480], [100, 400]]), 320).tolist()
        [[240, 320], [320, 80]]
    """
    scale = size / sizes.max(1, keepdims=True)
    return np.maximum(1, np.rint(sizes[:, ::-1] * scale)).astype(np.int64)


def canvas_shapes(sizes: NDArray[np.int64], size: int, stride: int) -> NDArray[np.int64]:
    """Return (images, 2) the least height and width, multiples of the stride, that scaled images fit in.

    Args:
        sizes: (images, 2) width and height in pixels.
        size: What the longer side is scaled to, in pixels.
        stride: Of the network.

    Example:
        >>> canvas_shapes(np.array([[640, 480], [100, 400]]), 320, 32).tolist()
        [[256, 320], [320, 96]]
    """
    return np.ceil(scaled_shapes(sizes, size) / stride).astype(np.int64) * stride


def letterbox(
    image: NDArray[np.uint8], size: int, shape: tuple[int, int] | None = None
) -> tuple[NDArray[np.uint8], Letterbox]:
    """Scale an image's longer side to `size` pixels and center it on a gray canvas.

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
