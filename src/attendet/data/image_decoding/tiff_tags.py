"""The tags of a TIFF file, checked before a decoder turns them into numbers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Literal

_MAX_VALUES = 2**20
_EXIF, _GPS = 34665, 34853
_RAW_CAMERA = 50706
_REDUCED_TYPE = 254
# Values of these types stay bytes: BYTE, ASCII, UNDEFINED.
_BYTE_TYPES = frozenset({1, 2, 7})


@dataclass(frozen=True)
class TiffTag:
    """A tag of a TIFF file, without its values.

    Attributes:
        number: Number of the tag.
        type: Number of the type of its values.
        count: Number of values.
        value: The value or its offset, as stored.
    """

    number: int
    type: int
    count: int
    value: int


def check_tiff_tags(file: BinaryIO) -> None:
    """Raise an error if a TIFF file has tags that a decoder must not read.

    Args:
        file: The file; its position changes. A file of another format is accepted.

    Raises:
        ValueError: If a tag has too many values, or the file is a raw image of a camera (DNG and others), whose first
            image is a preview.
    """
    file.seek(0)
    head = file.read(16)
    if head[:2] not in (b"II", b"MM"):
        return
    order = "little" if head[:2] == b"II" else "big"
    is_big = head[2:4] in (b"\x2b\0", b"\0\x2b")
    start = int.from_bytes(head[8:16] if is_big else head[4:8], order)
    for tag in _read_tags(file, start, order, is_big):
        is_preview = tag.number == _REDUCED_TYPE and tag.value & 1
        if tag.number == _RAW_CAMERA or is_preview:
            raise ValueError("raw images of cameras are not supported; export it as JPEG, PNG, or TIFF")
        _check_count(tag)
        if tag.number in (_EXIF, _GPS):
            for nested in _read_tags(file, tag.value, order, is_big):
                _check_count(nested)


def _check_count(tag: TiffTag) -> None:
    if tag.type not in _BYTE_TYPES and tag.count > _MAX_VALUES:
        raise ValueError(f"tag {tag.number} of the TIFF file has more than {_MAX_VALUES:,} values")


def _read_tags(file: BinaryIO, start: int, order: Literal["little", "big"], is_big: bool) -> Iterator[TiffTag]:
    """Yield the tags of a directory; a directory that is cut off has fewer tags than it states."""
    width, entry = (8, 20) if is_big else (4, 12)
    if start >= 2**63:
        return
    file.seek(start)
    count = int.from_bytes(file.read(8 if is_big else 2), order)
    content = file.read(min(count, _MAX_VALUES) * entry)
    for position in range(0, len(content) - entry + 1, entry):
        part = content[position : position + entry]
        numbers = [part[:2], part[2:4], part[4 : 4 + width], part[4 + width :]]
        yield TiffTag(*(int.from_bytes(number, order) for number in numbers))
