"""The placement of images on gray canvases, equal to that of attendet bit for bit."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attendet_runtime.description import Description
from attendet_runtime.scaling import scale_image, scaled_shape


@dataclass(frozen=True)
class Placement:
    """The position of an image on its canvas.

    Attributes:
        height: Height of the image in its own pixels.
        width: Width of the image in its own pixels.
        scaled_height: Height of the image on the canvas in pixels.
        scaled_width: Width of the image on the canvas in pixels.
        top: Number of canvas pixels above the image.
        left: Number of canvas pixels to the left of the image.
    """

    height: int
    width: int
    scaled_height: int
    scaled_width: int
    top: int
    left: int

    @property
    def scale(self) -> tuple[float, float]:
        """Canvas pixels per image pixel, (x, y)."""
        return self.scaled_width / self.width, self.scaled_height / self.height

    def to_image(self, boxes: NDArray[np.float32]) -> NDArray[np.float32]:
        """Convert boxes (n, 4) x1, y1, x2, y2 from pixels of the canvas to pixels of the image, clipped to it.

        Example:
            >>> placement = Placement(height=32, width=64, scaled_height=16, scaled_width=32, top=8, left=0)
            >>> placement.to_image(np.array([[-1, 10, 20, 24]], np.float32)).tolist()
            [[0.0, 4.0, 40.0, 32.0]]
        """
        # float64 keeps boxes exact to a fraction of a pixel in images with sides of many thousand pixels.
        offset = np.array([self.left, self.top] * 2, np.float64)
        boxes_in_image = (boxes.astype(np.float64) - offset) / np.array(self.scale * 2)
        limit = np.array([self.width, self.height] * 2, np.float64)
        return np.minimum(np.maximum(boxes_in_image, 0), limit).astype(np.float32)


def place_image(
    image: NDArray[np.uint8], description: Description, imgsz: int | None = None
) -> tuple[NDArray[np.uint8], Placement]:
    """Scale an image and center it on the canvas that a file takes.

    Args:
        image: (H, W, 3) red, green, blue in 0-255.
        description: The description of the file.
        imgsz: Longer side in pixels that the image is scaled to (default: that of the file). A file that takes images
            of one shape has no choice.

    Returns:
        The canvas (height, width, 3), and the position of the image on it.

    Example:
        >>> from attendet_runtime.description import BorderRule
        >>> description = Description(names=("cell",), imgsz=320, strides=(8.0, 16.0, 32.0), rule=BorderRule())
        >>> canvas, placement = place_image(np.zeros((480, 640, 3), np.uint8), description)
        >>> canvas.shape, placement.top, placement.left
        ((256, 352, 3), 8, 16)
    """
    height, width = image.shape[:2]
    fixed = description.canvas
    longer = (imgsz or description.imgsz) if fixed is None else _fitted_side(height, width, fixed)
    rows, columns = scaled_shape(height, width, longer)
    canvas_height, canvas_width = fixed or tuple(_bordered(side, description) for side in (rows, columns))
    top, left = (canvas_height - rows) // 2, (canvas_width - columns) // 2
    canvas = np.full((canvas_height, canvas_width, 3), description.rule.gray, np.uint8)
    canvas[top : top + rows, left : left + columns] = scale_image(image, longer)
    return canvas, Placement(height, width, rows, columns, top, left)


def to_network_input(canvas: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return a canvas (H, W, 3) as the input of the network: (1, 3, H, W) float32 in 0-1."""
    return np.ascontiguousarray(canvas.transpose(2, 0, 1)[None]).astype(np.float32) / np.float32(255)


def _fitted_side(height: int, width: int, canvas: tuple[int, int]) -> int:
    """Return the longer side in pixels, at least 1, with which an image fits into a canvas (height, width)."""
    longer = max(height, width)
    return max(1, min(canvas[0] * longer // height, canvas[1] * longer // width))


def _bordered(side: int, description: Description) -> int:
    """Return the smallest multiple of the largest stride that leaves the border along an axis."""
    stride = int(max(description.strides))
    return math.ceil(side / stride + description.rule.border) * stride
