"""Decoded images as arrays of red, green, and blue, in display orientation."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

from attendet.data.image_decoding.sixteen_bits import to_eight_bits, to_sixteen_bits

SWAPS_SIDES = frozenset({5, 6, 7, 8})
"""EXIF orientations that exchange width and height."""

# Pixels that are converted at a time, so that a large image is in memory once in each form.
_BAND_PIXELS = 2**20
# The order of the file, as a view of the displayed pixels, for each EXIF orientation.
_STORED: dict[int, Callable[[NDArray[np.uint8]], NDArray[np.uint8]]] = {
    1: lambda pixels: pixels,
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.swapaxes(0, 1),
    6: np.rot90,
    7: lambda pixels: pixels[::-1, ::-1].swapaxes(0, 1),
    8: lambda pixels: np.rot90(pixels, -1),
}
_NO_WHITE = "images with 32 bits per channel do not define which value is white; save it with 8 or 16 bits"


def exif_orientation(image: Image.Image) -> int:
    """Return the EXIF orientation (1 to 8), or 1 (upright) if it is missing or cannot be read."""
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # noqa: BLE001 - the pixels are fine, and Pillow's EXIF reader may raise anything
        return 1
    return value if value in range(1, 9) else 1


def require_white(image: Image.Image) -> None:
    """Raise a ValueError if an image has numbers of 32 bits, which no rule turns into colors."""
    if image.mode == "F" or (image.mode == "I" and image.format != "PPM"):
        raise ValueError(_NO_WHITE)


def rgb_pixels(
    image: Image.Image, orientation: int, bit_depth: int = 16, lower: Image.Image | None = None
) -> NDArray[np.uint8]:
    """Return the pixels of an image (height, width, 3) as it is displayed.

    Args:
        image: The decoded image.
        orientation: Its EXIF orientation, 1 to 8.
        bit_depth: Number of bits of the values of an image with 16 bits per channel.
        lower: The lower bytes of a color image with 16 bits per channel; None drops them.
    """
    sides = image.size if orientation in SWAPS_SIDES else image.size[::-1]
    pixels = np.empty((*sides, 3), np.uint8)
    stored = _STORED[orientation](pixels)
    for rows, band in _bands(image):
        if lower is not None:
            stored[rows] = to_eight_bits(to_sixteen_bits(_colors(band), _colors(_crop(lower, rows))), bit_depth)
        elif image.mode.startswith("I"):
            stored[rows] = to_eight_bits(np.asarray(band).astype(np.uint16), bit_depth)[..., None]
        else:
            stored[rows] = _colors(band)
    return pixels


def largest_value(image: Image.Image, lower: Image.Image | None = None) -> int:
    """Return the largest value of an image with 16 bits per channel.

    Args:
        image: The decoded image.
        lower: The lower bytes of a color image.
    """
    return max(
        int((np.asarray(band) if lower is None else to_sixteen_bits(_colors(band), _colors(_crop(lower, rows)))).max())
        for rows, band in _bands(image)
    )


def _bands(image: Image.Image) -> Iterator[tuple[slice, Image.Image]]:
    """Yield the rows of each part of an image, and the part."""
    step = max(1, _BAND_PIXELS // image.width)
    for top in range(0, image.height, step):
        rows = slice(top, min(top + step, image.height))
        yield rows, _crop(image, rows)


def _crop(image: Image.Image, rows: slice) -> Image.Image:
    is_all = rows.stop - rows.start == image.height
    return image if is_all else image.crop((0, rows.start, image.width, rows.stop))


def _colors(image: Image.Image) -> NDArray[np.uint8]:
    if image.mode in ("RGBa", "La"):
        image = image.convert("RGBA" if image.mode == "RGBa" else "LA")
    # Converting an RGB image would copy it, which takes half as long as decoding it.
    return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))
