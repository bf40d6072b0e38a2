"""Videos recognized by the first bytes of their files, regardless of their names."""

from __future__ import annotations

import os

from attendet.errors import DataError, Location
from attendet.utils.regular_files import open_regular

_HEAD_BYTES = 4096
_MAGIC = {
    b"\x1aE\xdf\xa3": "matroska",  # and WebM
    b"FLV\x01": "flv",
    b"OggS": "ogg",
    b"\x30\x26\xb2\x75\x8e\x66\xcf\x11": "asf",  # wmv
    b"\x00\x00\x01\xba": "mpeg",  # a program stream: mpg, vob
    b"\x00\x00\x01\xb3": "mpegvideo",  # without a container: m2v
}
_MOV_BOXES = (b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")
_IMAGE_BRANDS = (
    *(b"avif", b"avis", b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"),
    *(b"jxl ", b"jp2 ", b"jpx ", b"crx "),
)
# A packet of a transport stream begins with 0x47. Recorders put 4 bytes before it, or 16 of error correction behind.
_SYNC_BYTE = 0x47
_PACKET_SIZES = (188, 192, 204)
_PACKET_STARTS = (0, 4)


def is_video_file(path: str | os.PathLike[str]) -> bool:
    """Return whether a file begins like a video: mp4, mov, mkv, webm, avi, wmv, flv, ogv, mpg, or a transport stream.

    Args:
        path: A file; anything that cannot be read, or is not a regular file, is not a video.

    Example:
        >>> is_video_file("nowhere.mp4")
        False
    """
    try:
        return video_format_of(path) is not None
    except DataError:
        return False


def video_format_of(path: str | os.PathLike[str]) -> str | None:
    """Return FFmpeg's name of the format of a video file, as `video_format` does.

    Raises:
        DataError: If the file cannot be read, or is not a regular file.
    """
    with open_regular(path) as file:
        try:
            return video_format(file.read(_HEAD_BYTES))
        except OSError as error:
            raise DataError(f"the file cannot be read: {error.strerror}", where=Location(os.fspath(path))) from error


def video_format(head: bytes) -> str | None:
    r"""Return FFmpeg's name of the format that bytes begin with; None if they do not begin like a video.

    Args:
        head: The first 4,096 bytes of a file, or all of a smaller file.

    Example:
        >>> video_format(b"\x00\x00\x00\x18ftypmp42"), video_format(b"\x00\x00\x00\x18ftypavif")
        ('mov', None)
    """
    for magic, name in _MAGIC.items():
        if head.startswith(magic):
            return name
    if head.startswith(b"RIFF"):
        return "avi" if head[8:12] == b"AVI " else None
    if head[4:8] == b"ftyp":
        return None if head[8:12] in _IMAGE_BRANDS else "mov"
    if head[4:8] in _MOV_BOXES:
        return "mov"
    return "mpegts" if _is_transport_stream(head) else None


def _is_transport_stream(head: bytes) -> bool:
    """Return whether sync bytes are at equal distances.

    Three are enough at the start. A recording may also begin inside a packet, which takes more of them to be certain.
    """
    return any(
        _has_sync_bytes(head[start::size], 3 if start in _PACKET_STARTS else 15)
        for size in _PACKET_SIZES
        for start in range(size)
    )


def _has_sync_bytes(heads: bytes, at_least: int) -> bool:
    return len(heads) >= at_least and heads.count(_SYNC_BYTE) == len(heads)
