"""The tiles of a JPEG 2000 file (ISO/IEC 15444-1, annexes A and I)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import BinaryIO

_CODESTREAM = b"\xff\x4f\xff\x51"
_MAX_BOXES = 1000

# OpenJPEG keeps each component of a tile as integers of 32 bits, and needs room for the wavelet transform.
_BYTES_PER_SAMPLE = 6
# OpenJPEG keeps the parameters of every tile, and of every component of every tile: 11,600 bytes with 3 components.
_BYTES_PER_TILE, _BYTES_PER_TILE_COMPONENT = 8000, 2000


@dataclass(frozen=True)
class Jpeg2000Tiles:
    """The division of an image into tiles.

    Attributes:
        width: Width of a tile in pixels.
        height: Height of a tile in pixels.
        count: Number of tiles.
        components: Number of components.
    """

    width: int
    height: int
    count: int
    components: int

    @property
    def decoder_bytes(self) -> int:
        """Bytes that a decoder needs for one tile, and for the parameters of all tiles."""
        samples = self.width * self.height * self.components
        parameters = _BYTES_PER_TILE + self.components * _BYTES_PER_TILE_COMPONENT
        return samples * _BYTES_PER_SAMPLE + self.count * parameters


def jpeg2000_tiles(file: BinaryIO) -> Jpeg2000Tiles:
    """Read the tiles from the header of a JPEG 2000 file.

    Args:
        file: The file; its position changes.

    Raises:
        ValueError: If the file has no valid header.
    """
    _find_codestream(file)
    header = file.read(38)
    if len(header) < 38:
        raise ValueError("the header of the JPEG 2000 file is truncated")
    x1, y1, x0, y0, width, height, tile_x, tile_y, components = struct.unpack(">8IH", header[4:])
    if not (width and height and components and x0 < x1 and y0 < y1 and tile_x <= x0 and tile_y <= y0):
        raise ValueError("the header of the JPEG 2000 file is damaged")
    columns, rows = -(-(x1 - tile_x) // width), -(-(y1 - tile_y) // height)
    return Jpeg2000Tiles(min(width, x1 - x0), min(height, y1 - y0), columns * rows, components)


def _find_codestream(file: BinaryIO) -> None:
    """Move to the first byte after the start of the codestream, which is the file itself or one of its boxes."""
    file.seek(0)
    if file.read(4) == _CODESTREAM:
        return
    file.seek(0)
    for _ in range(_MAX_BOXES):
        start = file.tell()
        head = file.read(8)
        if len(head) < 8:
            break
        length = int.from_bytes(head[:4])
        if length == 1:
            length = int.from_bytes(file.read(8))
        if head[4:] == b"jp2c" and file.read(4) == _CODESTREAM:
            return
        if length < 8:
            break
        file.seek(start + length)
    raise ValueError("the JPEG 2000 file has no image")
