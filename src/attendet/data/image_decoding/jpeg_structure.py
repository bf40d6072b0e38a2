"""The segments of a JPEG file: its frame, its scans, and whether it ends (ITU-T T.81, annex B)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

START_OF_SCAN, END_OF_IMAGE = 0xDA, 0xD9

# Markers are not inside the data of a scan: there, a zero follows each 0xFF that is data, and restart markers belong
# to the data.
_MARKER = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])", re.DOTALL)
_WITHOUT_CONTENT = frozenset({0x01, 0xD8, END_OF_IMAGE})
_FRAMES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
_COEFFICIENTS = 64

# A decoder joins EXIF segments one by one, and goes over the whole image for each scan. A camera writes one segment,
# and an encoder about ten scans.
_MAX_EXIF_SEGMENTS = 16
_MAX_SCANS = 100
_EXIF = 0xE1


@dataclass(frozen=True)
class JpegFrame:
    """The frame of a JPEG file.

    Attributes:
        width: Stored width in pixels.
        height: Stored height in pixels.
        sampling: Horizontal and vertical sampling factor of each component, by its identifier.
        scan_components: Number of components in the first scan.
        is_progressive: Whether several scans refine the coefficients.
    """

    width: int
    height: int
    sampling: dict[int, tuple[int, int]]
    scan_components: int
    is_progressive: bool

    @property
    def unit(self) -> tuple[int, int]:
        """Width and height, in pixels, of the blocks in which the file stores the image."""
        return 8 * max(x for x, _ in self.sampling.values()), 8 * max(y for _, y in self.sampling.values())

    @property
    def coefficient_bytes(self) -> int:
        """Bytes that a decoder needs for all coefficients; 0 if it can decode row by row."""
        if not self.is_progressive and self.scan_components == len(self.sampling):
            return 0
        width, height = self.unit
        blocks = -(-self.width // width) * -(-self.height // height)
        return blocks * sum(x * y for x, y in self.sampling.values()) * _COEFFICIENTS * 2


def jpeg_segments(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the marker and the content of each segment, up to the end of the image or of the file.

    Example:
        >>> list(jpeg_segments(bytes.fromhex("ffd8 fffe0004 6869 ffd9 00")))
        [(216, b''), (254, b'hi'), (217, b'')]
    """
    position = 0
    while found := _MARKER.search(content, position):
        marker, position = found[1][0], found.end()
        if marker in _WITHOUT_CONTENT:
            yield marker, b""
            if marker == END_OF_IMAGE:
                return
        else:
            length = int.from_bytes(content[position : position + 2])
            yield marker, content[position + 2 : position + length]
            position += max(2, length)


def check_jpeg_segments(content: bytes) -> None:
    """Raise a ValueError if decoding a JPEG file takes far longer than its size suggests.

    Args:
        content: The file.
    """
    frame = jpeg_frame(content)
    exif_segments = scans = 0
    for marker, _ in jpeg_segments(content):
        exif_segments += marker == _EXIF
        scans += marker == START_OF_SCAN
        if exif_segments > _MAX_EXIF_SEGMENTS:
            raise ValueError(f"the JPEG file has more than {_MAX_EXIF_SEGMENTS} EXIF segments")
        if scans > _MAX_SCANS:
            raise ValueError(f"the JPEG file has more than {_MAX_SCANS} scans")
        if scans and (frame is None or not frame.coefficient_bytes):
            # A decoder that works row by row ends after the first scan.
            return


def jpeg_frame(content: bytes) -> JpegFrame | None:
    """Return the frame of a JPEG file, or None if the file has no valid frame with a scan.

    Args:
        content: The file, or its beginning up to the first scan.
    """
    frame: tuple[int, bytes] | None = None
    for marker, segment in jpeg_segments(content):
        if marker in _FRAMES:
            frame = (marker, segment)
        elif marker == START_OF_SCAN and frame is not None and segment:
            return _parse_frame(*frame, segment[0])
    return None


def _parse_frame(marker: int, segment: bytes, scan_components: int) -> JpegFrame | None:
    parts = [segment[start : start + 3] for start in range(6, len(segment), 3)]
    sampling = {part[0]: (part[1] >> 4, part[1] & 15) for part in parts if len(part) == 3}
    if not sampling or not all(x and y for x, y in sampling.values()):
        return None
    height, width = int.from_bytes(segment[1:3]), int.from_bytes(segment[3:5])
    return JpegFrame(width, height, sampling, scan_components, marker & 3 == 2)


def has_all_scans(content: bytes, components: Iterable[int]) -> bool:
    """Return whether the scans of a file begin with every bit of every coefficient.

    A scan that breaks off counts, because it begins with its first coefficients.

    Args:
        content: The file.
        components: Identifiers of the components of the frame.
    """
    # Number of lowest bits that are missing, of each coefficient; None before its first scan.
    missing: dict[int, list[int | None]] = {component: [None] * _COEFFICIENTS for component in components}
    for marker, segment in jpeg_segments(content):
        if marker != START_OF_SCAN or not segment or len(segment) < 4 + 2 * segment[0]:
            continue
        first, last, bits = segment[1 + 2 * segment[0] : 4 + 2 * segment[0]]
        for component in set(segment[1 : 1 + 2 * segment[0] : 2]) & missing.keys():
            for index in range(first, min(last, _COEFFICIENTS - 1) + 1):
                missing[component][index] = bits & 15
    return all(bits == 0 for each in missing.values() for bits in each)
