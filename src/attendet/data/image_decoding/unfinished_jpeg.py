"""JPEG files without an end marker, which may have all their pixels or be truncated."""

from __future__ import annotations

import io
import random
import re

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from attendet.data.image_decoding.jpeg_structure import END_OF_IMAGE, has_all_scans, jpeg_frame, jpeg_segments

# Largest part of an image (0-1) whose pixels may be missing: the last block of a small image, the last bytes of a
# large one.
_MAX_MISSING = 0.01
_MAX_MISSING_BLOCK = 0.25

_END = b"\xff\xd9"
# Programs reserve space for a file and fill it as the data arrive: a run of zeros is not data of an image.
_PADDING = re.compile(rb"\x00{16,}\Z")
_BAND_PIXELS = 2**20


def finished_jpeg(content: bytes) -> bytes | None:
    """Return a JPEG file without an end marker as a file with one, or None if the file has one.

    Some cameras leave out the end marker, and so do programs that are interrupted. All pixels are in the file if they
    do not depend on the bytes after its end. To test this, the file is decoded with an end marker, and again with
    random data. The two images may differ in the last block of pixels, or in 1% of the pixels.

    Args:
        content: The file.

    Raises:
        ValueError: If the file is truncated before its last pixels.
    """
    if content.endswith(_END) or any(marker == END_OF_IMAGE for marker, _ in jpeg_segments(content)):
        return None
    frame = jpeg_frame(content)
    if frame is None:
        raise ValueError("the file is truncated: it has no image data")
    data = _PADDING.sub(b"", content).rstrip(b"\xff")
    if not has_all_scans(data, frame.sampling):
        raise ValueError("the file is truncated: scans are missing")
    counts = _differing_pixels(data + _END, data + _random_data() + _END)
    width, height = frame.unit
    # Chroma is interpolated over the border between blocks.
    first = int(np.flatnonzero(counts)[0]) if counts.any() else len(counts)
    below = first + height + 2
    missing = int(counts[first:below].sum()) + frame.width * max(0, len(counts) - below)
    pixels = frame.width * len(counts)
    block = min((width + 2) * (height + 2), int(_MAX_MISSING_BLOCK * pixels))
    if missing > max(block, _MAX_MISSING * pixels):
        raise ValueError(f"the file is truncated: {missing / pixels:.0%} of its pixels are missing")
    return data + _END


def _differing_pixels(one: bytes, other: bytes) -> NDArray[np.int64]:
    """Return (height,): how many pixels of each row differ between two images of the same size."""
    with (
        Image.open(io.BytesIO(one), formats=["JPEG"]) as first,
        Image.open(io.BytesIO(other), formats=["JPEG"]) as second,
    ):
        first.load()
        second.load()
        width, height = first.size
        rows = max(1, _BAND_PIXELS // width)
        counts = np.zeros(height, np.int64)
        for top in range(0, height, rows):
            box = (0, top, width, min(top + rows, height))
            bands = [np.asarray(image.crop(box)).reshape(box[3] - top, width, -1) for image in (first, second)]
            counts[top : box[3]] = (bands[0] != bands[1]).any(axis=2).sum(axis=1)
        return counts


def _random_data() -> bytes:
    """Return data of a scan: bytes without markers, then a part for each of the eight restart markers."""
    source = random.Random(0)  # noqa: S311 - any bytes that differ from zeros
    parts = [source.randbytes(1024).replace(b"\xff", b"\x7f") for _ in range(9)]
    return parts[0] + b"".join(bytes((0xFF, 0xD0 + number)) + part for number, part in enumerate(parts[1:]))
