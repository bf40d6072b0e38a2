"""Image files: all formats and modes, with hostile sizes, chunks, tags, and bytes."""

from __future__ import annotations

import struct
import zlib
from functools import cache
from io import BytesIO
from pathlib import Path
from random import Random

import numpy as np
from PIL import Image

from tests.fuzz.hostile_values import INTEGERS
from tests.fuzz.mutations import mutate_bytes, sometimes

_FORMATS = {
    "PNG": ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"),
    "JPEG": ("L", "RGB", "CMYK"),
    "GIF": ("L", "P", "RGB"),
    "BMP": ("1", "L", "P", "RGB"),
    "TIFF": ("1", "L", "P", "RGB", "RGBA", "CMYK", "I;16", "F", "I"),
    "WEBP": ("RGB", "RGBA"),
    "ICO": ("RGBA",),
    "PPM": ("RGB",),
    "PCX": ("RGB",),
    "TGA": ("RGB",),
    "JPEG2000": ("RGB",),
    "AVIF": ("RGB",),
}
_TIFF_COMPRESSIONS = ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg")
_SUFFIXES = ("png", "jpg", "gif", "bmp", "tif", "webp", "jpeg", "jp2", "avif", "heic", "jfif")
_OTHER_FILES = (
    b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(touch ran) system\n",
    b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>',
    b"push graphic-context\nfill 'url(https://127.0.0.1/|touch ran)'\n",
    b"#!/bin/sh\ntouch ran\n",
    b"",
    b"\x89PNG\r\n\x1a\n",
    b"\xff\xd8\xff",
    b"GIF89a",
    b"II*\0",
    b"RIFF\xff\xff\xff\xffWEBPVP8X",
)


def write_image_file(random: Random, folder: Path) -> Path:
    """Write a hostile image file."""
    content = random.choice((_encoded, _encoded, _encoded, _png_bomb, _resized, _other))(random)
    if sometimes(random, 0.5):
        content = mutate_bytes(random, content)
    path = folder / f"a.{random.choice(_SUFFIXES)}"
    path.write_bytes(content)
    return path


def _encoded(random: Random) -> bytes:
    """Return a valid file of any format, with odd sizes and an orientation."""
    kind = random.choice(list(_FORMATS))
    mode = random.choice(_FORMATS[kind])
    size = random.choice(((1, 1), (7, 5), (16, 12), (64, 48), (1, 300)))
    image = _noise(random, size, mode)
    options: dict[str, object] = {}
    if kind in ("JPEG", "TIFF", "WEBP", "PNG") and mode in ("RGB", "L") and sometimes(random, 0.3):
        exif = Image.Exif()
        exif[0x0112] = random.choice((1, 3, 6, 8, 0, 99))
        options["exif"] = exif.tobytes()
    if kind == "TIFF" and mode in ("RGB", "L") and sometimes(random, 0.6):
        options["compression"] = random.choice(_TIFF_COMPRESSIONS)
    if kind in ("GIF", "WEBP", "TIFF", "PNG") and mode == "RGB" and sometimes(random, 0.3):
        options |= {"save_all": True, "append_images": [_noise(random, size, mode)] * random.choice((1, 30))}
    file = BytesIO()
    try:
        image.save(file, kind, **options)
    except (OSError, ValueError, KeyError):
        # This build of Pillow cannot write the format.
        image.convert("RGB").save(file, "PNG")
    return file.getvalue()


def _noise(random: Random, size: tuple[int, int], mode: str) -> Image.Image:
    generator = np.random.default_rng(random.getrandbits(32))
    pixels = generator.integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    if mode == "I;16":
        return Image.fromarray(pixels[..., 0].astype(np.uint16) * 257)
    return Image.fromarray(pixels).convert(mode)


def _png_bomb(random: Random) -> bytes:
    """Return a PNG of any stated size with any amount of compressed data, and with correct checksums."""
    width, height = (random.choice((1, 64, 5000, 12_000, 20_000, 60_000, 2**31 - 1)) for _ in range(2))
    depth, color = random.choice(((8, 2), (8, 6), (1, 0), (16, 6), (16, 0), (8, 3), (7, 5)))
    data = _compressed_zeros(random.choice((10, 10_000, 30_000_000)))
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, random.choice((0, 0, 1)))
    chunks = [(b"IHDR", header), (b"IDAT", data), (b"IEND", b"")]
    text = _compressed_zeros(random.choice((10, 30_000_000)))
    extras = (
        (b"zTXt", b"k\0\0" + text),
        (b"iTXt", b"k\0\1\0\0\0" + text),
        (b"iCCP", b"k\0\0" + text),
        (b"PLTE", bytes(random.choice((0, 3, 768, 3000)))),
        (b"tRNS", bytes(300)),
        (b"eXIf", b"Exif\0\0MM\0*" + bytes(20)),
        (b"acTL", struct.pack(">II", 2**31 - 1, 0)),
    )
    for _ in range(random.randrange(3)):
        chunks.insert(random.randrange(1, len(chunks)), random.choice(extras))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*chunk) for chunk in chunks)


@cache
def _compressed_zeros(count: int) -> bytes:
    return zlib.compress(bytes(count))


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def _resized(random: Random) -> bytes:
    """Return a BMP, GIF, JPEG, or TIFF that states another size than its data has."""
    content = bytearray(_encoded(random))
    wide = random.choice((*INTEGERS, 10_000, 30_000, 46_000))
    for marker, offset, code in ((b"BM", 18, "<I"), (b"GIF", 6, "<H"), (b"\xff\xc0", 5, ">H"), (b"II*", 18, "<I")):
        start = content.find(marker)
        if start >= 0 and start + offset + 8 < len(content):
            struct.pack_into(code, content, start + offset, wide % 2 ** (8 * struct.calcsize(code)))
    return bytes(content)


def _other(random: Random) -> bytes:
    return random.choice(_OTHER_FILES)
