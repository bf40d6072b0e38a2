"""Image files: reading their pixels, and inspecting a file without keeping its pixels."""

from __future__ import annotations

import hashlib
import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

from attendet.data.paths import is_file
from attendet.errors import DataError, Location
from attendet.utils.limits import MAX_IMAGE_PIXELS
from attendet.utils.text import printable, shorten

ImageLike: TypeAlias = str | os.PathLike[str] | NDArray[np.uint8] | Image.Image
"""An image file, an array (H, W, 3) of red, green, blue in 0-255, or a Pillow image."""

_SUFFIXES = frozenset({".bmp", ".dib", ".gif", ".jpe", ".jpeg", ".jpg", ".mpo", ".png", ".tif", ".tiff", ".webp"})

# The formats are listed explicitly because Pillow has readers that run other programs (PostScript) for a file that only
# looks like an image. Multi-picture files of cameras (MPO) open as JPEG.
_FORMATS = ("BMP", "DIB", "GIF", "JPEG", "PNG", "TIFF", "WEBP")

_EXIF_TRANSPOSES = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_EXIF_SWAPS_SIDES = frozenset({5, 6, 7, 8})
_NO_WHITE = "images with 32 bits per channel do not define which value is white; save it with 8 or 16 bits"


@dataclass(frozen=True)
class ImageInfo:
    """Properties of an image file that can be decoded.

    Attributes:
        width: Width in pixels, after EXIF rotation.
        height: Height in pixels, after EXIF rotation.
        rotated: Whether EXIF asks to rotate or mirror the stored pixels.
        digest: Digest of the bytes of the file (32 hexadecimal digits); equal files have equal digests.
    """

    width: int
    height: int
    rotated: bool
    digest: str


def is_image(name: str) -> bool:
    """Return whether a file name has the suffix of an image format.

    Example:
        >>> is_image("a.JPG"), is_image("a.txt")
        (True, False)
    """
    return Path(name).suffix.lower() in _SUFFIXES


def read_image(path: str | os.PathLike[str]) -> NDArray[np.uint8]:
    """Read the pixels of an image as it is displayed, that is, after its EXIF rotation.

    Gray images get three equal channels, transparency is dropped, 16-bit values are reduced to their upper 8 bits, and
    of several frames the first is read.

    Args:
        path: A BMP, GIF, JPEG, PNG, TIFF, or WebP file.

    Returns:
        (height, width, 3) red, green, blue in 0-255.

    Raises:
        DataError: If the file does not exist, cannot be decoded, or has more than 150 million pixels.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Image.new("L", (4, 2), color=9).save(Path(folder, "a.png"))
        ...     pixels = read_image(Path(folder, "a.png"))
        >>> pixels.shape, pixels[0, 0].tolist()
        ((2, 4, 3), [9, 9, 9])
    """
    with _open_image(path) as (_, image):
        image.load()
        transpose = _EXIF_TRANSPOSES.get(_orientation(image))
        return np.array(_as_rgb(image if transpose is None else image.transpose(transpose)))


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
    with _open_image(path) as (file, image):
        width, height = image.size
        rotated = _orientation(image) in _EXIF_TRANSPOSES
        # At an eighth of the resolution, Pillow still reads all data of a JPEG and saves most of the arithmetic.
        image.draft("RGB", (1, 1))
        image.load()
        if image.mode in ("I", "F"):
            raise ValueError(_NO_WHITE)
        # The orientation is asked for again: Pillow rotates TIFF files when it loads them, and their size is final.
        if _orientation(image) in _EXIF_SWAPS_SIDES:
            width, height = height, width
        file.seek(0)
        digest = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
    return ImageInfo(width, height, rotated, digest)


@contextmanager
def _open_image(path: str | os.PathLike[str]) -> Iterator[tuple[BufferedReader, Image.Image]]:
    """Open an image; turn every exception inside the `with` block into a `DataError`."""
    where = Location(str(path))
    if not is_file(path):
        raise DataError("image file not found", where=where)
    try:
        with Path(path).open("rb") as file, _PILLOW_WARNINGS, Image.open(file, formats=_FORMATS) as image:
            # Before it is decoded. Pillow itself refuses images from 179 million pixels.
            if image.width * image.height > MAX_IMAGE_PIXELS:
                raise Image.DecompressionBombError  # noqa: TRY301 - Pillow's own error has a higher limit
            yield file, image
    except Image.DecompressionBombError as error:
        what = f"the image has more than {MAX_IMAGE_PIXELS:,} pixels"
        raise DataError(what, where=where, remedy="make it smaller") from error
    except Image.UnidentifiedImageError as error:
        known = ", ".join(_FORMATS)
        raise DataError("the file is not an image in a supported format", where=where, remedy=f"use {known}") from error
    except Exception as error:
        # Pillow's readers raise nearly every kind of exception for broken files.
        raise DataError(f"the image cannot be decoded: {_first_line(error)}", where=where) from error


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation, or 1 (upright) if it is missing or cannot be read."""
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # noqa: BLE001 - the pixels are fine, and Pillow's EXIF reader may raise anything
        return 1
    return value if value in _EXIF_TRANSPOSES else 1


def _as_rgb(image: Image.Image) -> Image.Image:
    if image.mode in ("I", "F"):
        raise ValueError(_NO_WHITE)
    if image.mode.startswith("I;16"):
        # Pillow would clip the values at 255 instead of scaling them.
        return Image.fromarray((np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8)).convert("RGB")
    if image.mode in ("RGBa", "La"):
        image = image.convert("RGBA" if image.mode == "RGBa" else "LA")
    # Converting an RGB image would copy it, which takes half as long as decoding it.
    return image if image.mode == "RGB" else image.convert("RGB")


def _first_line(error: Exception) -> str:
    lines = str(error).splitlines()
    return shorten(printable(lines[0] if lines else type(error).__name__), 200)


class _PillowWarningFilter:
    """A context that suppresses Pillow's warnings about unusual files while any thread is inside it.

    Warning filters belong to the process. With `warnings.catch_warnings` alone, threads that leave in another order
    than they entered would restore the wrong filters.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._threads_inside = 0
        self._original = warnings.catch_warnings()

    def __enter__(self) -> None:
        with self._lock:
            if self._threads_inside == 0:
                self._original = warnings.catch_warnings()
                self._original.__enter__()
                warnings.filterwarnings("ignore", module=r"PIL\.")
            self._threads_inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._threads_inside -= 1
            if self._threads_inside == 0:
                self._original.__exit__(None, None, None)


_PILLOW_WARNINGS = _PillowWarningFilter()
