"""Small image files that ask a decoder for much memory or time."""

import io
import struct
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

from PIL import Image


def encoded(format_name: str, mode: str = "RGB", **options: Any) -> bytes:
    stream = io.BytesIO()
    Image.new(mode, (8, 8)).save(stream, format_name, **options)
    return stream.getvalue()


def png(width: int, height: int, depth: int = 8, color: int = 2, chunks: bytes = b"") -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    data = chunk(b"IDAT", zlib.compress(bytes(1000)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunks + data + chunk(b"IEND", b"")


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def tiff(sides: tuple[int, int], tags: Mapping[int, Sequence[int]], values: int = 0) -> bytes:
    """Return a compressed TIFF file.

    Args:
        sides: Width and height.
        tags: Values of further tags, by their number.
        values: Number of values of the tag with the positions of the strips; 0 for one.
    """
    required = {256: sides[:1], 257: sides[1:], 259: [8], 262: [2], 277: [3], 258: [8, 8, 8], 278: [sides[1]]}
    all_tags: dict[int, Sequence[int]] = {**required, **tags}
    data = zlib.compress(bytes(1000))
    entries, extra = [], b""
    start = 8 + 2 + 12 * (len(all_tags) + 2) + 4
    content = {number: struct.pack(f"<{len(each)}I", *each) for number, each in all_tags.items()}
    content |= {273: bytes(4 * (values or 1)), 279: struct.pack("<I", len(data))}
    for number, packed in sorted(content.items()):
        place = packed if len(packed) == 4 else struct.pack("<I", start + len(extra))
        entries.append(struct.pack("<HHI", number, 4, len(packed) // 4) + place)
        extra += packed if len(packed) > 4 else b""
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + b"".join(entries) + bytes(4) + extra + data


def jpeg(width: int, height: int, *, scans: int = 0, **options: Any) -> bytes:
    """Return a JPEG file with a changed size, and with copies of its last scan."""
    content = encoded("JPEG", **options)
    at = max(content.find(b"\xff\xc0"), content.find(b"\xff\xc2")) + 5
    scan = content[content.rindex(b"\xff\xda") : -2]
    return content[:at] + struct.pack(">HH", height, width) + content[at + 4 : -2] + scan * scans + b"\xff\xd9"


def jpeg_with_segments(payload: bytes, count: int) -> bytes:
    content = encoded("JPEG")
    segment = b"\xff\xe1" + struct.pack(">H", len(payload) + 2) + payload
    return content[:2] + segment * count + content[2:]


def exif_with_shared_values(tags: int) -> bytes:
    """Return EXIF data whose tags have all the same long list of values."""
    entries = b"".join(struct.pack("<HHII", 1000 + number, 3, 30_000, 8) for number in range(tags))
    return b"Exif\0\0II*\0" + struct.pack("<IH", 8, tags) + entries + bytes(4)


def gif(screen: int, frame: int, frames: int = 1) -> bytes:
    image = b"!\xf9\x04\x08\0\0\0\0," + struct.pack("<HHHHB", 0, 0, frame, frame, 0) + b"\x02\x02\x4c\x01\0"
    return b"GIF89a" + struct.pack("<HHBBB", screen, screen, 0x80, 0, 0) + bytes(6) + image * frames + b";"


def webp(width: int, height: int) -> bytes:
    canvas = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    body = b"VP8X" + struct.pack("<I", 10) + bytes(4) + canvas + encoded("WEBP", lossless=True)[12:]
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def bmp(width: int, height: int, bits: int = 24, compression: int = 0) -> bytes:
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, compression, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + info


def jpeg_2000(side: int, tile: int, components: int = 3) -> bytes:
    content = bytearray(encoded("JPEG2000"))
    box = content.index(b"ihdr") + 4
    content[box : box + 8] = struct.pack(">II", side, side)
    start = content.index(b"\xff\x4f\xff\x51") + 8
    content[start : start + 34] = struct.pack(">8IH", side, side, 0, 0, tile, tile, 0, 0, components)
    return bytes(content)


def avif(width: int, height: int) -> bytes:
    content = encoded("AVIF")
    at = content.index(b"ispe") + 8
    return content[:at] + struct.pack(">II", width, height) + content[at + 8 :]


HOSTILE = {
    "tall.png": png(1, 149_000_000, 1, 0),
    "wide.png": png(149_000_000, 1, 1, 0),
    "deep.png": png(12_000, 12_000, 16, 6),
    "profile.png": png(8, 8, chunks=chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(200_000_000), 1))),
    "texts.png": png(8, 8, chunks=chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(50_000_000), 1)) * 5),
    "frames.png": png(12_000, 12_000, chunks=chunk(b"acTL", struct.pack(">II", 100_000, 0))),
    "tile.tif": tiff((100, 100), {322: [2**17], 323: [2**14]}),
    "huge_tile.tif": tiff((100, 100), {322: [2**30], 323: [2**30]}),
    "strip.tif": tiff((12_000, 12_000), {}),
    "samples.tif": tiff((5000, 5000), {277: [60_000], 258: [8] * 60_000}),
    "strips.tif": tiff((100, 100), {}, values=2**21),
    "progressive.jpg": jpeg(12_000, 12_000, progressive=True, subsampling=0),
    "coefficients.jpg": jpeg(9000, 9000, progressive=True, subsampling=0),
    "cmyk.jpg": jpeg(8000, 8000, progressive=True, mode="CMYK"),
    "scans.jpg": jpeg(3000, 3000, progressive=True, scans=5000),
    "segments.jpg": jpeg_with_segments(b"Exif\0\0" + bytes(65_000), 400),
    "exif.jpg": jpeg_with_segments(exif_with_shared_values(5000), 1),
    "a.gif": gif(12_000, 12_000),
    "frame.gif": gif(1, 65_535),
    "frames.gif": gif(2000, 2000, 50_000),
    "a.webp": webp(12_000, 12_000),
    "large.webp": webp(65_535, 65_535),
    "negative.bmp": bmp(1, -149_000_000),
    "lowest.bmp": bmp(100, -(2**31)),
    "runs.bmp": bmp(12_000, 12_000, 8, 1),
    "tile.jp2": jpeg_2000(12_000, 12_000),
    "tiles.jp2": jpeg_2000(4000, 1),
    "components.jp2": jpeg_2000(500, 500, 16_384),
    "a.avif": avif(12_000, 12_000),
    "huge.avif": avif(2**31, 2**31),
    "tall.ppm": b"P5 1 149000000 255\n",
    "comment.ppm": b"P6 #" + b"a" * 3_000_000,
    "a.ico": b"\0\0\1\0\1\0" + struct.pack("<BBBBHHII", 0, 0, 0, 0, 1, 32, 1000, 22) + png(1, 149_000_000, 1, 0),
    "a.psd": b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHH", 56, 30_000, 30_000, 16, 3) + bytes(100),
}
"""Content of each file by its name."""
