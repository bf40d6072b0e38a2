"""The formats of image files: the suffixes that select files of a folder, and the content that decides the format."""

from __future__ import annotations

import importlib
import io
from typing import BinaryIO

from PIL import features

from attendet.data.image_decoding.jpeg_structure import check_jpeg_segments
from attendet.data.image_decoding.portable_map import check_map_header
from attendet.data.image_decoding.tiff_tags import check_tiff_tags

FORMATS = {
    "AVIF": (".avif",),
    "BMP": (".bmp", ".dib"),
    "GIF": (".gif",),
    "HEIF": (".heic", ".heif", ".hif"),
    "JPEG": (".jfif", ".jpe", ".jpeg", ".jpg", ".mpo"),
    "JPEG 2000": (".j2c", ".j2k", ".jp2", ".jpf", ".jpx"),
    "PNG": (".png",),
    "PNM": (".pbm", ".pgm", ".pnm", ".ppm"),
    "TIFF": (".tif", ".tiff"),
    "WebP": (".webp",),
}
"""Suffixes of each format, in lower case."""

IMAGE_SUFFIXES = frozenset(suffix for suffixes in FORMATS.values() for suffix in suffixes)
"""Suffixes of image files, in lower case. They select the images of a folder; the content decides the format."""

# The formats are listed explicitly because Pillow has readers that run other programs (PostScript) for a file that only
# looks like an image. Multi-picture files of cameras (MPO) open as JPEG.
PILLOW_FORMATS = ("AVIF", "BMP", "DIB", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")
"""Pillow's names of the formats that it reads without another package."""

_HEIF_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"})
_AVIF_BRANDS = frozenset({b"avif", b"avis"})


class DecoderMissingError(Exception):
    """An image in a format whose decoder is not installed.

    Args:
        message: The format and its decoder.
        remedy: How to install the decoder.
    """

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.remedy = remedy


def possible_formats(file: BinaryIO) -> tuple[str, ...]:
    """Return Pillow's names of the formats that a file can have by its content.

    Args:
        file: The file; its position changes.

    Raises:
        DecoderMissingError: If the decoder of its format is not installed.
    """
    file.seek(0)
    head = file.read(64)
    brands = {head[start : start + 4] for start in range(8, 64, 4)} if head[4:8] == b"ftyp" else set[bytes]()
    if brands & _AVIF_BRANDS and not features.check("avif"):
        raise DecoderMissingError("this Pillow has no decoder for AVIF images", "pip install --upgrade pillow")
    if not brands & _HEIF_BRANDS or brands & _AVIF_BRANDS:
        return PILLOW_FORMATS
    try:
        # It is not a dependency: its wheels contain libraries under the LGPL and the GPL.
        importlib.import_module("pillow_heif").register_heif_opener()
    except ImportError as error:
        remedy = "pip install pillow-heif, or convert the image to JPEG"
        raise DecoderMissingError("HEIF images need the package pillow-heif", remedy) from error
    return ("HEIF",)


def checked_source(file: BinaryIO) -> BinaryIO:
    """Check headers that a decoder would read without a limit, and return the bytes for the decoder.

    Args:
        file: The file; its position changes.

    Returns:
        The file at its start; for a JPEG file, its content in memory.

    Raises:
        ValueError: If a header has more metadata than any real file.
    """
    file.seek(0)
    head = file.read(2)
    file.seek(0)
    if head == b"\xff\xd8":
        content = file.read()
        check_jpeg_segments(content)
        return io.BytesIO(content)
    if head in (b"II", b"MM"):
        check_tiff_tags(file)
    elif head[:1] == b"P":
        check_map_header(file)
    file.seek(0)
    return file
