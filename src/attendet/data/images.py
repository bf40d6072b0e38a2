"""Image files → pixels as shown, and what is known of a file without keeping its pixels."""

from __future__ import annotations

import hashlib
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

from attendet.data.paths import is_file
from attendet.errors import DataError, Location
from attendet.utils.text import printable

MAX_PIXELS = 150_000_000
"""Larger images are refused before they are decoded; Pillow itself refuses from 179 million pixels."""

SUFFIXES = frozenset({".bmp", ".dib", ".gif", ".jpe", ".jpeg", ".jpg", ".mpo", ".png", ".tif", ".tiff", ".webp"})
"""Endings, in lower case, by which images are found in a folder."""

# Named, because Pillow has readers that run other programs (PostScript) for a file that only looks like an image.
# Several frames of a camera (MPO) open as JPEG.
_FORMATS = ("BMP", "DIB", "GIF", "JPEG", "PNG", "TIFF", "WEBP")

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_WIDE = "it has 32 bits per channel and does not say which number is white; save it with 8 or 16"
_SIDEWAYS = frozenset({5, 6, 7, 8})


@dataclass(frozen=True)
class ImageInfo:
    """What is known of an image that decodes.

    Attributes:
        width: In pixels, as shown.
        height: In pixels, as shown.
        rotated: Whether EXIF asks to turn or mirror the stored pixels.
        digest: Of the file's bytes, as hexadecimal digits; equal files have equal digests.
    """

    width: int
    height: int
    rotated: bool
    digest: str


def is_image(name: str) -> bool:
    """Return whether a file's name ends like an image's.

    Example:
        >>> is_image("a.JPG"), is_image("a.txt")
        (True, False)
    """
    return Path(name).suffix.lower() in SUFFIXES


def read_image(path: str | Path) -> NDArray[np.uint8]:
    """Return (height, width, 3) the pixels of an image as shown: red, green, blue in 0-255.

    EXIF rotation is applied. Of gray images all three channels are equal, transparency is dropped, of 16 bits the
    upper 8 are taken, and of several frames the first.

    Raises:
        DataError: If there is no such file, it does not decode, or has more than 150 million pixels.
    """
    with _opened(path) as (_, image):
        image.load()
        turn = _TURNS.get(_orientation(image))
        return np.array(_as_rgb(image if turn is None else image.transpose(turn)))


def probe(path: str | Path) -> ImageInfo:
    """Return the facts of an image, having decoded it to be sure that it decodes.

    Raises:
        DataError: As `read_image`.
    """
    with _opened(path) as (file, image):
        width, height = image.size
        rotated = _orientation(image) in _TURNS
        # An eighth of the resolution: all of a JPEG's data is still read, and most of its arithmetic is saved.
        image.draft("RGB", (1, 1))
        image.load()
        if image.mode in ("I", "F"):
            raise ValueError(_WIDE)
        # Asked again, because Pillow turns TIFF files by itself on loading, and has told their size as shown.
        if _orientation(image) in _SIDEWAYS:
            width, height = height, width
        file.seek(0)
        digest = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
    return ImageInfo(width, height, rotated, digest)


@contextmanager
def _opened(path: str | Path) -> Iterator[tuple[BufferedReader, Image.Image]]:
    """Open an image; all that goes wrong with it inside the `with` is a `DataError`."""
    where = Location(str(path))
    if not is_file(path):
        raise DataError("there is no such image file", where=where)
    try:
        with Path(path).open("rb") as file, _QUIET, Image.open(file, formats=_FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise Image.DecompressionBombError  # noqa: TRY301 - Pillow's own, for a lower limit
            yield file, image
    except Image.DecompressionBombError as error:
        what = f"the image has more than {MAX_PIXELS:,} pixels"
        raise DataError(what, where=where, remedy="make it smaller") from error
    except Image.UnidentifiedImageError as error:
        known = ", ".join(_FORMATS)
        raise DataError(
            "the file is not an image of a known format", where=where, remedy=f"known are {known}"
        ) from error
    except Exception as error:
        # Pillow's readers answer broken files with nearly every exception there is.
        raise DataError(f"the image does not decode: {_in_short(error)}", where=where) from error


def _orientation(image: Image.Image) -> int:
    """Return EXIF's orientation, 1 where it says nothing or cannot be read."""
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # noqa: BLE001 - the pixels are fine, and Pillow's EXIF reader may raise anything
        return 1
    return value if value in _TURNS else 1


def _as_rgb(image: Image.Image) -> Image.Image:
    if image.mode in ("I", "F"):
        raise ValueError(_WIDE)
    if image.mode.startswith("I;16"):
        # Pillow would clip at 255 instead of scaling.
        return Image.fromarray((np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8)).convert("RGB")
    if image.mode in ("RGBa", "La"):
        image = image.convert("RGBA" if image.mode == "RGBa" else "LA")
    # Converting what is converted would copy it, which takes half as long as decoding it.
    return image if image.mode == "RGB" else image.convert("RGB")


def _in_short(error: Exception) -> str:
    words = str(error).splitlines()
    return printable(words[0] if words else type(error).__name__)[:200]


class _Quiet:
    """Keeps Pillow's remarks about odd files off the terminal while any thread decodes.

    Filters of warnings belong to the process, and `catch_warnings` alone restores the wrong ones when threads leave it
    in another order than they entered.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._outer = warnings.catch_warnings()

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._outer = warnings.catch_warnings()
                self._outer.__enter__()
                warnings.filterwarnings("ignore", module=r"PIL\.")
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._outer.__exit__(None, None, None)


_QUIET = _Quiet()
