"""The memory that decoding an image takes, estimated before the decoder allocates it."""

from __future__ import annotations

import os
from typing import BinaryIO

from PIL import Image, JpegImagePlugin, TiffImagePlugin

from attendet.data.image_decoding.jpeg2000 import jpeg2000_tiles
from attendet.data.image_decoding.jpeg_structure import jpeg_frame
from attendet.data.image_decoding.sixteen_bits import has_unknown_white

OUTPUT_BYTES = 3
"""Bytes per pixel of the result: red, green, blue."""

# Pillow keeps a pointer to each row.
_ROW_BYTES = 8
_BYTES_PER_PIXEL = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2, "I;16N": 2}

# Bytes per pixel that a decoder needs besides the image of Pillow. Measured with images of 12 million pixels; AVIF and
# HEIF with 10 bits per channel need more than with 8.
_DECODER_BYTES_PER_PIXEL = {"AVIF": 12, "BMP": 4, "GIF": 1, "HEIF": 8, "WEBP": 14}

_TILE_WIDTH, _TILE_LENGTH, _ROWS_PER_STRIP, _SAMPLES, _BITS, _ORIENTATION = 322, 323, 278, 277, 258, 274


def decoding_bytes(image: Image.Image, file: BinaryIO) -> int:
    """Return how many bytes decoding an image takes at most: the file, the decoder, the image, and its RGB pixels.

    Args:
        image: The image, as Pillow opened it; it is not decoded.
        file: The file of the image.

    Raises:
        ValueError: If a header of the file is damaged.
    """
    pixels = image.width * image.height
    stored = _BYTES_PER_PIXEL.get(image.mode, 4)
    # The lower bytes of a color image with 16 bits per channel are a second image.
    copies = 2 if stored == 4 and image.mode != "I" and has_unknown_white(image) else 1
    per_pixel = copies * stored + OUTPUT_BYTES + _DECODER_BYTES_PER_PIXEL.get(image.format or "", 0)
    total = file.seek(0, os.SEEK_END) + image.height * _ROW_BYTES + pixels * per_pixel
    if isinstance(image, JpegImagePlugin.JpegImageFile):
        file.seek(0)
        frame = jpeg_frame(file.read())
        return total + (frame.coefficient_bytes if frame else 0)
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        return total + _tiff_bytes(image)
    if image.format == "JPEG2000":
        return total + jpeg2000_tiles(file).decoder_bytes
    return total


def _tiff_bytes(image: TiffImagePlugin.TiffImageFile) -> int:
    """Return the bytes of a strip or tile, and of a rotated copy."""
    tags = image.tag_v2
    width = tags.get(_TILE_WIDTH, image.width)
    height = tags.get(_TILE_LENGTH, min(image.height, tags.get(_ROWS_PER_STRIP, image.height)))
    bits = tags.get(_BITS, (1,))
    sample_bytes = -(-max(bits if isinstance(bits, tuple) else (bits,)) // 8)
    block = width * height * sample_bytes * max(tags.get(_SAMPLES, 1), 4)
    rotated = image.width * image.height * 4 if tags.get(_ORIENTATION, 1) != 1 else 0
    return block + rotated
