"""Scaling of images, equal to OpenCV's INTER_AREA and INTER_LINEAR bit for bit.

attendet scales images with OpenCV, whose package takes 130 MB. Its results follow from the order and the precision of
its arithmetic: areas are averaged in float32, first along rows and then along columns, and interpolation uses weights
of 11 bits.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Bits of the weights of interpolation, and bits that OpenCV drops between the two axes.
_WEIGHT_BITS = 11
_DROPPED_BITS = 4
# A part of a pixel below this is not counted.
_SMALLEST_PART = 1e-3
# Values that are converted to float32 at a time, which fit into the cache of a processor.
_BAND_VALUES = 2**18


def scale_image(image: NDArray[np.uint8], longer: int) -> NDArray[np.uint8]:
    """Scale an image so that its longer side has `longer` pixels.

    An image that shrinks is averaged over areas; an image that grows is interpolated.

    Args:
        image: (H, W, 3).
        longer: Longer side of the result in pixels.

    Example:
        >>> scale_image(np.zeros((480, 640, 3), np.uint8), 320).shape
        (240, 320, 3)
    """
    height, width = image.shape[:2]
    if max(height, width) == longer:
        return image
    rows, columns = scaled_shape(height, width, longer)
    if longer > max(height, width):
        return interpolate(image, rows, columns)
    return average_areas(image, rows, columns)


def scaled_shape(height: int, width: int, longer: int) -> tuple[int, int]:
    """Return height and width, at least 1, of an image whose longer side is scaled to `longer` pixels.

    Example:
        >>> scaled_shape(480, 640, 320)
        (240, 320)
    """
    scale = longer / max(height, width)
    return max(1, round(height * scale)), max(1, round(width * scale))


def average_areas(image: NDArray[np.uint8], rows: int, columns: int) -> NDArray[np.uint8]:
    """Shrink an image; each pixel of the result is the mean over the area that it covers, as with INTER_AREA.

    Args:
        image: (H, W, 3).
        rows: Height of the result, at most H.
        columns: Width of the result, at most W.
    """
    height, width = image.shape[:2]
    if height % rows == 0 and width % columns == 0:
        return _average_blocks(image, rows, columns)
    x_positions, x_weights = _area_parts(width, columns)
    narrow = np.empty((height, columns, 3), np.float32)
    step = max(1, _BAND_VALUES // (3 * width))
    for top in range(0, height, step):
        band = image[top : top + step].astype(np.float32)
        _add_up(narrow[top : top + step], band, x_positions, x_weights[..., None], axis=1)
    y_positions, y_weights = _area_parts(height, rows)
    small = np.empty((rows, columns, 3), np.float32)
    _add_up(small, narrow, y_positions, y_weights[..., None, None], axis=0)
    return np.rint(small).clip(0, 255).astype(np.uint8)


def interpolate(image: NDArray[np.uint8], rows: int, columns: int) -> NDArray[np.uint8]:
    """Enlarge an image by bilinear interpolation with integers, as with INTER_LINEAR.

    Args:
        image: (H, W, 3).
        rows: Height of the result, at least H.
        columns: Width of the result, at least W.
    """
    left, right, left_weight, right_weight = _neighbors(image.shape[1], columns, is_horizontal=True)
    upper, lower, upper_weight, lower_weight = _neighbors(image.shape[0], rows, is_horizontal=False)
    values = image.astype(np.int32)
    wide = values[:, left] * left_weight[:, None] + values[:, right] * right_weight[:, None]
    wide >>= _DROPPED_BITS
    shift = 2 * _WEIGHT_BITS - _DROPPED_BITS - 2
    total = (wide[upper] * upper_weight[:, None, None]) >> shift
    total += (wide[lower] * lower_weight[:, None, None]) >> shift
    return ((total + 2) >> 2).astype(np.uint8)


def _average_blocks(image: NDArray[np.uint8], rows: int, columns: int) -> NDArray[np.uint8]:
    """Return the means of blocks of a whole number of pixels."""
    height, width = image.shape[0] // rows, image.shape[1] // columns
    sums = np.zeros((rows, columns, 3), np.int32)
    for y in range(height):
        for x in range(width):
            sums += image[y::height, x::width]
    if (height, width) == (2, 2):
        # OpenCV rounds half up here, and half to even otherwise.
        return ((sums + 2) >> 2).astype(np.uint8)
    return np.rint(sums.astype(np.float32) * (np.float32(1) / np.float32(height * width))).astype(np.uint8)


def _add_up(
    result: NDArray[np.float32],
    values: NDArray[np.float32],
    positions: NDArray[np.intp],
    weights: NDArray[np.float32],
    axis: int,
) -> None:
    """Write the weighted sums of values along an axis into `result`, added one after the other in float32."""
    result[...] = 0
    for taken, weight in zip(positions, weights, strict=True):
        part = np.take(values, taken, axis)
        part *= weight
        result += part


def _area_parts(source: int, target: int) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Return the pixels that each pixel of the result covers, and the parts of its area that they have.

    Args:
        source: Number of pixels of the image along the axis.
        target: Number of pixels of the result.

    Returns:
        Positions and weights, each (parts, target), in order along the axis; weights of superfluous parts are 0.
    """
    scale = 1 / (target / source)
    start = np.arange(target) * scale
    end = start + scale
    area = np.minimum(scale, source - start)
    last = np.minimum(np.floor(end).astype(np.intp), source - 1)
    first = np.minimum(np.ceil(start).astype(np.intp), last)
    whole = int((last - first).max())
    positions = np.zeros((whole + 2, target), np.intp)
    weights = np.zeros((whole + 2, target), np.float64)
    positions[0] = np.maximum(first - 1, 0)
    weights[0] = np.where(first - start > _SMALLEST_PART, (first - start) / area, 0)
    for number in range(whole):
        is_inside = first + number < last
        positions[number + 1] = np.where(is_inside, first + number, 0)
        weights[number + 1] = np.where(is_inside, 1 / area, 0)
    positions[-1] = last
    rest = np.minimum(np.minimum(end - last, 1), area)
    weights[-1] = np.where(end - last > _SMALLEST_PART, rest / area, 0)
    return positions, weights.astype(np.float32)


def _neighbors(
    source: int, target: int, *, is_horizontal: bool
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.int32], NDArray[np.int32]]:
    """Return the two pixels between which each pixel of the result is, and their weights (0 to 2,048).

    Outside of the first and the last pixel, both are the same pixel; along rows, it then has the whole weight.

    Args:
        source: Number of pixels of the image along the axis.
        target: Number of pixels of the result.
        is_horizontal: Whether the axis is that of the columns.
    """
    place = ((np.arange(target) + 0.5) * (1 / (target / source)) - 0.5).astype(np.float32)
    before = np.floor(place).astype(np.intp)
    fraction = place - before.astype(np.float32)
    if is_horizontal:
        fraction[(before < 0) | (before >= source - 1)] = 0
    unit = np.float32(2**_WEIGHT_BITS)
    after_weight = np.rint(fraction * unit).astype(np.int32)
    before_weight = np.rint((np.float32(1) - fraction) * unit).astype(np.int32)
    positions = before.clip(0, source - 1), (before + 1).clip(0, source - 1)
    return *positions, before_weight, after_weight
