"""Scaling of images to a size, and padding to a shape."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

FILL = 114
"""Gray level (0-255) of the area around an image, as in YOLOv5."""

ImageSize: TypeAlias = int | tuple[int, int]
"""Length in pixels that the longer side of an image is scaled to; or height and width that an image is fitted into."""


@dataclass(frozen=True)
class Letterbox:
    """Scale and position of an image on its canvas.

    Attributes:
        scale: Canvas pixels per image pixel, horizontally and vertically.
        left: Number of canvas pixels to the left of the image.
        top: Number of canvas pixels above the image.
    """

    scale: tuple[float, float]
    left: int
    top: int

    def to_canvas(self, boxes: NDArray[np.float64]) -> NDArray[np.float64]:
        """Convert boxes from pixels of the image to pixels of the canvas.

        Args:
            boxes: (n, 4) x1, y1, x2, y2.

        Example:
            >>> Letterbox(scale=(0.5, 0.5), left=0, top=40).to_canvas(np.array([[20.0, 20.0, 40.0, 40.0]])).tolist()
            [[10.0, 50.0, 20.0, 60.0]]
        """
        return boxes * np.tile(self.scale, 2) + np.tile([self.left, self.top], 2)

    def to_image(self, boxes: NDArray[np.float64]) -> NDArray[np.float64]:
        """Convert boxes from pixels of the canvas to pixels of the image.

        Args:
            boxes: (n, 4) x1, y1, x2, y2.

        Example:
            >>> Letterbox(scale=(0.5, 0.5), left=0, top=40).to_image(np.array([[10.0, 50.0, 20.0, 60.0]])).tolist()
            [[20.0, 20.0, 40.0, 40.0]]
        """
        return (boxes - np.tile([self.left, self.top], 2)) / np.tile(self.scale, 2)


def resize(image: NDArray[np.uint8], imgsz: ImageSize) -> NDArray[np.uint8]:
    """Scale an image so that its longer side has `imgsz` pixels, or so that it fits into `imgsz`.

    An image that shrinks is averaged over areas, so that fine detail contributes.

    Args:
        image: (H, W, 3).
        imgsz: Longer side of the result in pixels, or height and width that it must not exceed.

    Example:
        >>> resize(np.zeros((480, 640, 3), np.uint8), 320).shape
        (240, 320, 3)
        >>> resize(np.zeros((480, 640, 3), np.uint8), (96, 320)).shape
        (96, 128, 3)
    """
    height, width = image.shape[:2]
    rows, columns = scaled_shapes(np.array([[width, height]]), imgsz)[0].tolist()
    longer, scaled = max(height, width), max(rows, columns)
    if longer == scaled:
        return image
    interpolation = cv2.INTER_AREA if longer > scaled else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (columns, rows), interpolation=interpolation), np.uint8)


def scaled_shapes(sizes: NDArray[np.int64], imgsz: ImageSize) -> NDArray[np.int64]:
    """Return the shapes of images that are scaled to `imgsz` pixels, or fitted into it.

    Args:
        sizes: (images, 2) width and height in pixels.
        imgsz: Longer side of a scaled image in pixels, or height and width that it must not exceed.

    Returns:
        (images, 2) height and width in pixels, at least 1.

    Example:
        >>> scaled_shapes(np.array([[640, 480], [100, 400]]), 320).tolist()
        [[240, 320], [320, 80]]
    """
    scale = _longer_sides(sizes, imgsz) / sizes.max(1, keepdims=True)
    return np.maximum(1, np.rint(sizes[:, ::-1] * scale)).astype(np.int64)


def letterbox(
    image: NDArray[np.uint8], imgsz: ImageSize, shape: tuple[int, int] | None = None
) -> tuple[NDArray[np.uint8], Letterbox]:
    """Scale an image so that its longer side has `imgsz` pixels, and center it on a gray canvas.

    Args:
        image: (H, W, 3).
        imgsz: Longer side of the scaled image in pixels, or height and width that it must not exceed.
        shape: Height and width of the canvas in pixels, at least as large as the scaled image; None for a square
            with `imgsz` pixels per side, or for the height and width in `imgsz`.

    Returns:
        The canvas (height, width, 3), and the scale and position of the image on it.

    Example:
        >>> canvas, position = letterbox(np.zeros((480, 640, 3), np.uint8), 320)
        >>> canvas.shape, position
        ((320, 320, 3), Letterbox(scale=(0.5, 0.5), left=0, top=40))
    """
    square = imgsz if isinstance(imgsz, tuple) else (imgsz, imgsz)
    return place_on_canvas(resize(image, imgsz), shape or square, image.shape)


def place_on_canvas(
    scaled: NDArray[np.uint8], shape: tuple[int, int], original_shape: tuple[int, ...]
) -> tuple[NDArray[np.uint8], Letterbox]:
    """Center a scaled image on a gray canvas.

    Args:
        scaled: (h, w, 3).
        shape: Height and width of the canvas in pixels, at least as large as the image.
        original_shape: Height and width of the image in pixels before it was scaled.

    Returns:
        The canvas (height, width, 3), and the scale and position of the image on it.
    """
    height, width = scaled.shape[:2]
    rows, columns = shape
    canvas = np.full((rows, columns, 3), FILL, np.uint8)
    top, left = (rows - height) // 2, (columns - width) // 2
    canvas[top : top + height, left : left + width] = scaled
    return canvas, Letterbox((width / original_shape[1], height / original_shape[0]), left, top)


def _longer_sides(sizes: NDArray[np.int64], imgsz: ImageSize) -> NDArray[np.float64]:
    """Return (images, 1): the longer side of each scaled image in pixels, a whole number."""
    if isinstance(imgsz, int):
        return np.full((len(sizes), 1), float(imgsz))
    height, width = imgsz
    scale = np.minimum(width / sizes[:, :1], height / sizes[:, 1:])
    # A side that fits exactly can be a rounding error below the whole number.
    return np.maximum(1, np.floor(sizes.max(1, keepdims=True) * scale + 1e-6))
