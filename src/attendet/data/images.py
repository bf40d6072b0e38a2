"""Image files: reading their pixels, and inspecting a file without keeping its pixels."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from attendet.data.image_decoding.decoding_memory import decoding_bytes
from attendet.data.image_decoding.display import SWAPS_SIDES, exif_orientation, largest_value, require_white, rgb_pixels
from attendet.data.image_decoding.image_formats import (
    FORMATS,
    IMAGE_SUFFIXES,
    PILLOW_FORMATS,
    DecoderMissingError,
    checked_source,
    possible_formats,
)
from attendet.data.image_decoding.memory_budget import MemoryBudget
from attendet.data.image_decoding.pillow_warnings import PillowWarningFilter
from attendet.data.image_decoding.portable_map import read_portable_map
from attendet.data.image_decoding.sixteen_bits import (
    MAX_BIT_DEPTH,
    gray_alpha_lower_bytes,
    has_unknown_white,
    is_gray_with_alpha,
    read_lower_bytes,
)
from attendet.data.image_decoding.unfinished_jpeg import finished_jpeg
from attendet.data.paths import exists, is_file
from attendet.errors import DataError, Location
from attendet.utils.limits import MAX_IMAGE_BYTES, MAX_IMAGE_PIXELS
from attendet.utils.regular_files import open_regular
from attendet.utils.text import printable, shorten

ImageLike: TypeAlias = str | os.PathLike[str] | NDArray[np.uint8] | Image.Image
"""An image file, an array (H, W, 3) of red, green, blue in 0-255, or a Pillow image."""

_BUDGET = MemoryBudget(MAX_IMAGE_BYTES)
_PILLOW_WARNINGS = PillowWarningFilter()


@dataclass(frozen=True)
class ImageInfo:
    """Properties of an image file that can be decoded.

    Attributes:
        width: Width in pixels, after EXIF rotation.
        height: Height in pixels, after EXIF rotation.
        rotated: Whether EXIF asks to rotate or mirror the stored pixels.
        digest: Digest of the bytes of the file (32 hexadecimal digits); equal files have equal digests.
        unfinished: Whether the file is a JPEG file without an end marker that has all its pixels.
        largest: Largest value in a PNG, TIFF, or PNM file with 16 bits per channel, which does not state the value of
            white; None for other files.
    """

    width: int
    height: int
    rotated: bool
    digest: str
    unfinished: bool = False
    largest: int | None = None


@dataclass(frozen=True)
class DecodedImage:
    """The pixels of an image file.

    Attributes:
        pixels: (height, width, 3) red, green, blue in 0-255, after EXIF rotation.
        unfinished: Whether the file is a JPEG file without an end marker that has all its pixels.
    """

    pixels: NDArray[np.uint8]
    unfinished: bool


def is_image(name: str) -> bool:
    """Return whether a file name has the suffix of an image format.

    Example:
        >>> is_image("a.JPG"), is_image("a.heic"), is_image("a.txt")
        (True, True, False)
    """
    return Path(name).suffix.lower() in IMAGE_SUFFIXES


def read_image(path: str | os.PathLike[str], bit_depth: int = MAX_BIT_DEPTH) -> NDArray[np.uint8]:
    """Read the pixels of an image as it is displayed, that is, after its EXIF rotation.

    Gray images get three equal channels, transparency is dropped, and of several frames the first is read. The content
    of the file decides its format, not its name.

    Args:
        path: An AVIF, BMP, GIF, JPEG, JPEG 2000, PNG, PNM, TIFF, or WebP file, or a HEIF file if the package
            pillow-heif is installed.
        bit_depth: Number of bits (8 to 16) that the values of PNG, TIFF, and PNM files with 16 bits per channel use.
            Their upper 8 bits are kept: by default, 65,535 is white, and with 12 bits, 4,095 is.

    Returns:
        (height, width, 3) red, green, blue in 0-255.

    Raises:
        DataError: If the file does not exist, cannot be decoded, has more than 150 million pixels, or takes more than
            700 MiB of memory.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Image.new("L", (4, 2), color=9).save(Path(folder, "a.png"))
        ...     pixels = read_image(Path(folder, "a.png"))
        >>> pixels.shape, pixels[0, 0].tolist()
        ((2, 4, 3), [9, 9, 9])
    """
    return decode_image(path, bit_depth).pixels


def decode_image(path: str | os.PathLike[str], bit_depth: int = MAX_BIT_DEPTH) -> DecodedImage:
    """Read an image as `read_image` does, and find out whether its file is finished.

    Args:
        path: An image file.
        bit_depth: Number of bits that values of 16 bits use; see `read_image`.

    Raises:
        DataError: If `read_image` would raise it.
    """
    with _open_image(path) as (file, opened):
        is_deep = has_unknown_white(opened)
        image, unfinished = _load(opened, file)
        require_white(image)
        lower = _lower_bytes(image, file) if is_deep and bit_depth != MAX_BIT_DEPTH else None
        depth = bit_depth if is_deep else MAX_BIT_DEPTH
        return DecodedImage(rgb_pixels(image, exif_orientation(image), depth, lower), unfinished)


def read_image_info(path: str | os.PathLike[str]) -> ImageInfo:
    """Read the properties of an image; decode it to make sure that it can be decoded.

    Args:
        path: A file of a format that `read_image` reads.

    Raises:
        DataError: If `read_image` would raise it.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Image.new("RGB", (64, 48)).save(Path(folder, "a.png"))
        ...     info = read_image_info(Path(folder, "a.png"))
        >>> info.width, info.height, info.rotated, len(info.digest)
        (64, 48, False, 32)
    """
    with _open_image(path) as (file, opened):
        width, height = opened.size
        # Asked for first: Pillow decodes a PNG file to find its EXIF data, and a decoded image has no raw values.
        is_deep = has_unknown_white(opened)
        rotated = exif_orientation(opened) > 1
        if opened.format == "JPEG":
            # At an eighth of the resolution, Pillow still reads all data and saves most of the arithmetic.
            opened.draft("RGB", (1, 1))
        image, unfinished = _load(opened, file)
        require_white(image)
        # The orientation is asked for again: Pillow rotates TIFF files when it loads them, and their size is final.
        if exif_orientation(image) in SWAPS_SIDES:
            width, height = height, width
        largest = largest_value(image, _lower_bytes(image, file)) if is_deep else None
        file.seek(0)
        digest = hashlib.file_digest(cast("Any", file), lambda: hashlib.blake2b(digest_size=16)).hexdigest()
    return ImageInfo(width, height, rotated, digest, unfinished, largest)


def _load(image: Image.Image, file: BinaryIO) -> tuple[Image.Image, bool]:
    """Decode an image; return it, and whether its JPEG file is unfinished."""
    if image.format == "PPM":
        image = read_portable_map(image, file)
    content = finished_jpeg(_read_all(file)) if image.format == "JPEG" else None
    if content is None:
        image.load()
        return image, False
    finished = Image.open(io.BytesIO(content), formats=["JPEG"])
    finished.load()
    return finished, True


def _read_all(file: BinaryIO) -> bytes:
    file.seek(0)
    return file.read()


def _lower_bytes(image: Image.Image, file: BinaryIO) -> Image.Image | None:
    """Return the lower bytes of a color image with 16 bits per channel; None for gray images."""
    if image.mode.startswith("I"):
        return None
    file.seek(0)
    lower = Image.open(file, formats=PILLOW_FORMATS)
    if lower.format == "PPM":
        return read_portable_map(lower, file, lower=True)
    if is_gray_with_alpha(lower):
        return gray_alpha_lower_bytes(_read_all(file))
    read_lower_bytes(lower)
    lower.load()
    return lower


@contextmanager
def _open_image(path: str | os.PathLike[str]) -> Iterator[tuple[BinaryIO, Image.Image]]:
    """Open an image; turn every exception inside the `with` block into a `DataError`."""
    where = Location(str(path))
    if not is_file(path):
        what = "the image must be a regular file, got a folder, pipe, or device"
        raise DataError(what if exists(path) else "image file not found", where=where)
    try:
        remedy = f"an image may take {MAX_IMAGE_BYTES:,} bytes of memory"
        with (
            open_regular(path, max_bytes=MAX_IMAGE_BYTES, remedy=remedy) as file,
            checked_source(file) as source,
            _PILLOW_WARNINGS,
            Image.open(source, formats=possible_formats(file)) as image,
        ):
            _require_size(image, where)
            with _BUDGET.reserve(_require_memory(image, source, where)):
                yield source, image
    except DataError:
        raise
    except DecoderMissingError as error:
        raise DataError(str(error), where=where, remedy=error.remedy) from error
    except Image.DecompressionBombError as error:
        raise _too_many_pixels(where) from error
    except Image.UnidentifiedImageError as error:
        known = ", ".join(FORMATS)
        raise DataError("the file is not an image in a supported format", where=where, remedy=f"use {known}") from error
    except Exception as error:
        # Pillow's readers raise nearly every kind of exception for broken files.
        raise DataError(f"the image cannot be decoded: {_first_line(error)}", where=where) from error


def _require_size(image: Image.Image, where: Location) -> None:
    """Raise an error if an image has no pixels or too many; Pillow itself refuses images from 179 million pixels."""
    pixels = image.width * image.height
    if pixels > MAX_IMAGE_PIXELS:
        raise _too_many_pixels(where)
    if pixels == 0:
        raise DataError(f"an image must have pixels, got {image.width}x{image.height}", where=where)


def _too_many_pixels(where: Location) -> DataError:
    return DataError(f"the image has more than {MAX_IMAGE_PIXELS:,} pixels", where=where, remedy="make it smaller")


def _require_memory(image: Image.Image, file: BinaryIO, where: Location) -> int:
    """Return how many bytes decoding an image takes; raise an error if they are too many."""
    needed = decoding_bytes(image, file)
    # Some decoders start at the current position of the file.
    file.seek(0)
    if needed > MAX_IMAGE_BYTES:
        message = f"decoding the image takes {needed:,} bytes of memory, and at most {MAX_IMAGE_BYTES:,} are allowed"
        raise DataError(message, where=where, remedy="make it smaller")
    return needed


def _first_line(error: Exception) -> str:
    lines = str(error).splitlines()
    return shorten(printable(lines[0] if lines else type(error).__name__), 200)
