"""Outlines of boxes with rounded corners, equal to OpenCV's `rectangle` bit for bit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from attendet_runtime.palette import Color


def draw_rectangle(image: NDArray[np.uint8], box: tuple[int, int, int, int], color: Color, thickness: int) -> None:
    """Draw the outline of a box into an image.

    Args:
        image: (H, W, 3), which is changed.
        box: x1, y1, x2, y2 in whole pixels; the lines are centered on them.
        color: Red, green, blue in 0-255.
        thickness: Line width in pixels. OpenCV draws lines of an odd number of pixels, one more if it is even, and two
            more if it is odd and above 1.

    Example:
        >>> image = np.zeros((4, 5, 3), np.uint8)
        >>> draw_rectangle(image, (1, 1, 3, 2), (9, 9, 9), 1)
        >>> image[..., 0].tolist()
        [[0, 0, 0, 0, 0], [0, 9, 9, 9, 0], [0, 9, 9, 9, 0], [0, 0, 0, 0, 0]]
    """
    x1, y1, x2, y2 = box
    half = (thickness + 1) // 2 if thickness > 1 else 0
    for x in (x1, x2):
        _fill(image, x - half, y1, x + half, y2, color)
    for y in (y1, y2):
        _fill(image, x1, y - half, x2, y + half, color)
    for distance, width in enumerate(_disc(half)):
        for x in (x1, x2):
            for y in (y1 - distance, y1 + distance, y2 - distance, y2 + distance):
                _fill(image, x - width, y, x + width, y, color)


def _fill(image: NDArray[np.uint8], x1: int, y1: int, x2: int, y2: int, color: Color) -> None:
    """Fill the pixels from x1, y1 to x2, y2, inclusive, as far as they are in the image."""
    image[max(y1, 0) : max(y2 + 1, 0), max(x1, 0) : max(x2 + 1, 0)] = color


def _disc(radius: int) -> list[int]:
    """Return the half widths of the rows of a disc, from its center to its edge, by Bresenham's algorithm."""
    widths = [0] * (radius + 1)
    across, along, error = radius, 0, 0
    while across >= along:
        widths[along] = max(widths[along], across)
        widths[across] = max(widths[across], along)
        along += 1
        error += 2 * along - 1
        if error > 0:
            error -= 2 * across - 1
            across -= 1
    return widths
