"""Portable gray and color maps (PGM, PPM), whose text and whose values of other ranges Pillow reads one by one."""

from __future__ import annotations

import re
import warnings
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_MAX_HEADER_BYTES = 65_536
_MAX_BITMAP_TEXT_BYTES = 16 * 1024 * 1024
_SPACE = rb"(?:\s|#[^\r\n]*[\r\n])+"
# The format, the width, the height, and the value of white, which bitmaps do not have.
_HEADER = re.compile(rb"P(?:[14](?:%(s)s\d{1,10}){2}|[2356](?:%(s)s\d{1,10}){3})\s" % {b"s": _SPACE})
_WHITE_OF_16_BITS = 65_535
_COMMENT = re.compile(rb"#[^\r\n]*")


def check_map_header(file: BinaryIO) -> None:
    """Raise a ValueError if the header of a portable map is longer than 64 KiB.

    Args:
        file: The file; its position changes.
    """
    file.seek(0)
    if not _HEADER.match(file.read(_MAX_HEADER_BYTES)):
        raise ValueError(f"the file has no header of a portable map in its first {_MAX_HEADER_BYTES:,} bytes")


def read_portable_map(image: Image.Image, file: BinaryIO, *, lower: bool = False) -> Image.Image:
    """Return the decoded image of a gray or color map for which Pillow would take minutes.

    Args:
        image: The image, as Pillow opened it; it is not decoded. Images that Pillow reads fast are returned unchanged.
        file: The file of the image; its position changes.
        lower: Whether to return the lower byte of each value of a color map whose white is 65,535, instead of the upper
            one. Gray maps with this white have all 16 bits anyway.

    Raises:
        ValueError: If the file is truncated, or a bitmap of text has more than 16 MiB.
    """
    tiles: list[Any] = getattr(image, "tile", [])
    [[decoder, _, offset, arguments]] = tiles
    if decoder not in ("ppm", "ppm_plain"):
        return image
    if image.mode == "1":
        if file.seek(0, 2) > _MAX_BITMAP_TEXT_BYTES:
            raise ValueError(f"a bitmap of text must have at most {_MAX_BITMAP_TEXT_BYTES:,} bytes; save it as PNG")
        return image
    white = arguments[1]
    channels = 3 if image.mode == "RGB" else 1
    count = image.width * image.height * channels
    file.seek(offset)
    values = _read_text(file.read(), white) if decoder == "ppm_plain" else _read_binary(file, count, white)
    if len(values) < count:
        raise ValueError("the file is truncated")
    shape = (image.height, image.width, 3) if channels == 3 else (image.height, image.width)
    if white == _WHITE_OF_16_BITS:
        values = values[:count].reshape(shape)
        if channels == 1:
            return Image.fromarray(values.astype(np.uint16))
        levels = np.arange(_WHITE_OF_16_BITS + 1)
        return Image.fromarray((levels & 255 if lower else levels >> 8).astype(np.uint8)[values])
    # A value larger than white is white.
    levels = np.minimum(np.rint(np.arange(256 if white < 256 else 65536) * 255 / white), 255).astype(np.uint8)
    return Image.fromarray(levels[values[:count]].reshape(shape))


def _read_binary(file: BinaryIO, count: int, white: int) -> NDArray[np.integer]:
    kind = np.dtype(np.uint8 if white < 256 else ">u2")
    content = file.read(count * kind.itemsize)
    return np.frombuffer(content, kind, len(content) // kind.itemsize)


def _read_text(content: bytes, white: int) -> NDArray[np.uint16]:
    with warnings.catch_warnings():
        # numpy deprecates text with anything but numbers; here, such text is an error.
        warnings.simplefilter("error")
        try:
            values = np.fromstring(_COMMENT.sub(b"", content).decode("ascii"), np.int64, sep=" ")
        except (DeprecationWarning, UnicodeDecodeError) as error:
            raise ValueError("the values of the map must be numbers") from error
    return np.clip(values, 0, white).astype(np.uint16)
