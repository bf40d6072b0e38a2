"""Reading of images as arrays of red, green, and blue, in display orientation."""

from __future__ import annotations

import os
import stat
import warnings
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from attendet_runtime.errors import ImageError, first_line

ImageLike: TypeAlias = str | os.PathLike[str] | NDArray[np.uint8] | Image.Image
"""An image file, an array (H, W, 3) of red, green, blue in 0-255, or a Pillow image."""

# The formats are listed explicitly because Pillow has readers that run other programs (PostScript) for a file that only
# looks like an image.
_FORMATS = ("AVIF", "BMP", "DIB", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")
_FORMATS_WITHOUT_WHITE = ("PNG", "TIFF")
_MAX_PIXELS = 150_000_000
_MAX_FILE_BYTES = 700 * 1024 * 1024
_MAX_BITS = 16


def read_image(path: str | os.PathLike[str], bit_depth: int = _MAX_BITS) -> NDArray[np.uint8]:
    """Read the pixels of an image as it is displayed, that is, after its EXIF rotation.

    Gray images get three equal channels, transparency is dropped, and of several frames the first is read.

    Args:
        path: An AVIF, BMP, GIF, JPEG, JPEG 2000, PNG, PNM, TIFF, or WebP file; the content decides the format.
        bit_depth: Number of bits (8 to 16) that the values of files with 16 bits per channel use. Their upper 8 bits
            are kept. For color files, it must be 16.

    Returns:
        (height, width, 3) red, green, blue in 0-255.

    Raises:
        ImageError: If the file does not exist, cannot be decoded, or has more than 150 million pixels.
    """
    name = os.fspath(path)
    try:
        _require_regular(Path(path))
        with warnings.catch_warnings():
            # Pillow warns of damaged metadata, which does not matter here.
            warnings.simplefilter("ignore")
            with Image.open(path, formats=_FORMATS) as image:
                return _decode(image, bit_depth)
    except ImageError:
        raise
    except FileNotFoundError as error:
        raise ImageError(f"{name}: image file not found") from error
    except Image.UnidentifiedImageError as error:
        message = "the file is not an image in a supported format; use JPEG, PNG, TIFF, WebP, BMP, GIF, AVIF, or PNM"
        raise ImageError(f"{name}: {message}") from error
    except Exception as error:
        # Pillow's readers raise nearly every kind of exception for broken files.
        raise ImageError(f"{name}: the image cannot be decoded: {first_line(error)}") from error


def to_pixels(image: ImageLike, bit_depth: int = _MAX_BITS) -> NDArray[np.uint8]:
    """Return the pixels (H, W, 3) of a file, an array, or a Pillow image, whose EXIF rotation is not applied.

    Raises:
        ImageError: If the image cannot be read, or has other values than 8 bits per channel.
    """
    if isinstance(image, str | os.PathLike):
        return read_image(Path(image), bit_depth)
    if isinstance(image, Image.Image):
        if image.mode.startswith(("I", "F")):
            raise ImageError(f"a Pillow image must have 8 bits per channel, got the mode {image.mode}")
        return np.asarray(image.convert("RGB"))
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        shown = f"{image.dtype} of {image.shape}"
        raise ImageError(f"an image must be an array of uint8 (height, width, 3) in 0-255, got {shown}")
    return image


def _require_regular(path: Path) -> None:
    # A pipe would wait for ever, and a device may have no end.
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise ImageError(f"{path}: the image must be a regular file, got a folder, pipe, or device")
    if status.st_size > _MAX_FILE_BYTES:
        raise ImageError(f"{path}: the file must have at most {_MAX_FILE_BYTES:,} bytes, got {status.st_size:,}")


def _decode(image: Image.Image, bit_depth: int) -> NDArray[np.uint8]:
    pixels = image.width * image.height
    if not 0 < pixels <= _MAX_PIXELS:
        raise ValueError(f"an image must have 1 to {_MAX_PIXELS:,} pixels, got {image.width}x{image.height}")
    layout = _layout(image)
    image.load()
    upright = ImageOps.exif_transpose(image)
    if image.mode == "F" or (image.mode == "I" and image.format != "PPM"):
        raise ValueError(
            "images with 32 bits per channel do not define which value is white; save it with 8 or 16 bits"
        )
    if image.mode.startswith("I"):
        values = np.asarray(upright).astype(np.uint16)
        gray = np.minimum(values >> (bit_depth - 8), 255).astype(np.uint8)
        return np.repeat(gray[..., None], 3, axis=2)
    if bit_depth != _MAX_BITS and image.format in _FORMATS_WITHOUT_WHITE and ";16" in layout:
        # Pillow keeps the upper bytes of color images only.
        raise ValueError(f"color images of {bit_depth} bits in 16 bits need attendet; save it with 8 bits per channel")
    if upright.mode in ("RGBa", "La"):
        upright = upright.convert("RGBA" if upright.mode == "RGBa" else "LA")
    return np.array(upright.convert("RGB"))


def _layout(image: Image.Image) -> str:
    """Return Pillow's name for the layout of the values in the file, such as `RGB;16B`; empty if it has no name."""
    tiles = getattr(image, "tile", [])
    arguments = tiles[0][3] if tiles else ""
    first = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
    return first if isinstance(first, str) else ""
