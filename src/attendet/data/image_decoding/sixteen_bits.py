"""Images with 16 bits per channel: the bits that their values use, and their reduction to 8 bits."""

from __future__ import annotations

import io
import sys
import zlib
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

BitDepth: TypeAlias = int | Literal["auto"]
"""Number of bits (8 to 16) of the values in images with 16 bits per channel, or `auto` for the bits that a set uses."""

MIN_BIT_DEPTH, MAX_BIT_DEPTH = 8, 16

# Cameras and scanners have sensors with these numbers of bits.
_DEPTHS = (8, 10, 12, 14, 16)
# JPEG 2000 and AVIF files state how many bits they use, so that their white is known.
_FORMATS_WITHOUT_WHITE = ("PNG", "TIFF")
_GRAY_ALPHA, _PNG_RGBA = "LA;16B", 6
# Pillow's decoders keep one byte per channel of a color image: the upper one, or the lower one if they are asked to
# read the bytes in the other order.
_OTHER_ORDER = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}


def has_unknown_white(image: Image.Image) -> bool:
    """Return whether a file has 16 bits per channel, and does not state which value is white.

    Args:
        image: The image, as Pillow opened it; it is not decoded.
    """
    if image.format == "PPM":
        # Programs write 65,535 as the white of a portable map without looking at its values.
        arguments = _arguments(image)
        return arguments == "I;16B" or (isinstance(arguments, tuple) and arguments[1:] == (2**MAX_BIT_DEPTH - 1,))
    if image.format not in _FORMATS_WITHOUT_WHITE:
        return False
    return image.mode.startswith("I;16") or is_gray_with_alpha(image) or _other_order(_raw_mode(image)) is not None


def read_lower_bytes(image: Image.Image) -> None:
    """Make an image with 16 bits per channel decode the lower byte of each channel instead of the upper one.

    Args:
        image: A color image, as Pillow opened it; it is not decoded. Gray images have all 16 bits anyway.
    """
    lower = _other_order(_raw_mode(image))
    if lower is not None and not image.mode.startswith("I;16"):
        tiles: list[Any] = getattr(image, "tile", [])
        changed = [type(tile)(*tile[:3], _with_raw_mode(tile[3], lower)) for tile in tiles]
        image.tile = changed  # pyright: ignore[reportAttributeAccessIssue] - every file format has tiles


def is_gray_with_alpha(image: Image.Image) -> bool:
    """Return whether a file has gray and alpha of 16 bits; the image is not decoded."""
    return _raw_mode(image) == _GRAY_ALPHA


def gray_alpha_lower_bytes(content: bytes) -> Image.Image:
    """Return the lower byte of each gray value of a PNG file with gray and alpha of 16 bits.

    Pillow cannot read these files in the other order. They have four bytes per pixel, as files with red, green, blue,
    and alpha of 8 bits do, so that the lower byte of gray is green in a file with that header.

    Args:
        content: The file.
    """
    header = content[12:24] + bytes((8, _PNG_RGBA)) + content[26:29]
    changed = content[:12] + header + zlib.crc32(header).to_bytes(4) + content[33:]
    return Image.open(io.BytesIO(changed), formats=["PNG"]).getchannel("G")


def to_sixteen_bits(upper: NDArray[np.uint8], lower: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """Join the upper and the lower bytes of values.

    Example:
        >>> to_sixteen_bits(np.array([1], np.uint8), np.array([2], np.uint8)).tolist()
        [258]
    """
    return (upper.astype(np.uint16) << np.uint16(8)) | lower


def to_eight_bits(values: NDArray[np.uint16], bit_depth: int) -> NDArray[np.uint8]:
    """Return values of `bit_depth` bits as values of 8 bits; larger values become white.

    Args:
        values: Values of an image.
        bit_depth: Number of bits that white has, 8 to 16.

    Example:
        >>> to_eight_bits(np.array([0, 2048, 4095, 5000], np.uint16), 12).tolist()
        [0, 128, 255, 255]
    """
    return np.minimum(values >> (bit_depth - MIN_BIT_DEPTH), 255).astype(np.uint8)


def smallest_bit_depth(largest: int) -> int:
    """Return the smallest of 8, 10, 12, 14, and 16 bits that can hold a value (0 to 65,535).

    Example:
        >>> [smallest_bit_depth(value) for value in (200, 1023, 4095, 65535)]
        [8, 10, 12, 16]
    """
    return next(depth for depth in _DEPTHS if largest < 2**depth)


def _raw_mode(image: Image.Image) -> str:
    """Return Pillow's name for the layout of the values in the file, such as `RGB;16B`."""
    arguments = _arguments(image)
    first = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
    return first if isinstance(first, str) else ""


def _arguments(image: Image.Image) -> Any:
    """Return the arguments that Pillow passes to the decoder of an image that is not decoded."""
    tiles = getattr(image, "tile", [])
    return tiles[0][3] if tiles else ""


def _other_order(raw_mode: str) -> str | None:
    """Return the layout with the bytes in the other order; None if the values do not have 16 bits, or are gray."""
    mode, _, layout = raw_mode.partition(";")
    if mode not in ("RGB", "RGBA", "RGBX") or layout[:2] != "16" or layout[2:] not in _OTHER_ORDER:
        return None
    return f"{mode};16{_OTHER_ORDER[layout[2:]]}"


def _with_raw_mode(arguments: Any, raw_mode: str) -> Any:
    return raw_mode if isinstance(arguments, str) else (raw_mode, *arguments[1:])
