"""Digests inside of files, by which a file that changed after it was written is recognized.

A file contains the mark `attendet-sha256:` and the SHA-256 digest of all its bytes, with zeros in the place of the
digest. It finds bits that flipped on a disk and incomplete copies; it does not show who wrote the file.
"""

from __future__ import annotations

import hashlib
import os
import re
import struct
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO

from attendet.errors import AttendetError, Location, WeightsError
from attendet.utils.regular_files import open_regular
from attendet.weights.formats.safetensors_file import LENGTH_BYTES, is_safetensors

_MARK = "attendet-sha256:"
_ZEROS = b"0" * 64
_DIGEST = re.compile(_MARK.encode() + rb"([0-9a-f]{64})")
# The digest is in the header of a safetensors file, and at the end of an archive or a JSON file.
_END_BYTES = 256
_CHUNK_BYTES = 1024 * 1024
_ARCHIVE_END = struct.Struct("<4s16xH")

PLACEHOLDER = _MARK + _ZEROS.decode()
"""Text in the place of a digest, which `write_digest` replaces."""


class DigestState(StrEnum):
    """The result of comparing a file with its digest."""

    INTACT = "intact"
    DAMAGED = "damaged"
    ABSENT = "no digest"


def write_digest(path: Path) -> None:
    """Replace the placeholder in a file by the digest of the file.

    Args:
        path: A safetensors file with `PLACEHOLDER` in its metadata, or a file with it in its last 256 bytes.

    Raises:
        ValueError: If the file has no placeholder.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder, "run.json")
        ...     _ = file.write_text(f'{{"epochs": 3, "digest": "{PLACEHOLDER}"}}')
        ...     write_digest(file)
        ...     states = [compare_digest(file)]
        ...     _ = file.write_text(file.read_text().replace("3", "4", 1))
        ...     states.append(compare_digest(file))
        >>> [state.value for state in states]
        ['intact', 'damaged']
    """
    with path.open("rb+") as file:
        found = _find_digest(file)
        if found is None:
            raise ValueError(f"{path} has no placeholder of a digest")
        place, _ = found
        digest = _digest_of(file, place)
        file.seek(place)
        file.write(digest)


def append_digest(path: Path) -> None:
    """Append the digest of an archive of `torch.save` to it, as the comment of the archive.

    Raises:
        ValueError: If the file is not an archive without a comment.
    """
    with path.open("rb+") as file:
        file.seek(-_ARCHIVE_END.size, os.SEEK_END)
        signature, comment = _ARCHIVE_END.unpack(file.read(_ARCHIVE_END.size))
        if signature != b"PK\x05\x06" or comment:
            raise ValueError(f"{path} must be an archive without a comment")
        file.seek(-2, os.SEEK_END)
        file.write(struct.pack("<H", len(PLACEHOLDER)) + PLACEHOLDER.encode())
    write_digest(path)


def compare_digest(path: Path) -> DigestState:
    """Return whether a file is as it was written; files of other programs and of earlier versions have no digest.

    Raises:
        WeightsError: If the file cannot be read.
    """
    with open_regular(path, WeightsError) as file:
        try:
            found = _find_digest(file)
            if found is None:
                return DigestState.ABSENT
            place, stored = found
            return DigestState.INTACT if _digest_of(file, place) == stored else DigestState.DAMAGED
        except OSError as error:
            message = f"the file cannot be read: {error.strerror or error}"
            raise WeightsError(message, where=Location(str(path))) from error


def require_intact(path: Path, raises: type[AttendetError] = WeightsError) -> bool:
    """Return whether a file has a digest.

    Args:
        path: The file.
        raises: Class of the error about a damaged file.

    Raises:
        AttendetError: If the file does not have the content that its digest was computed from, or cannot be read.
    """
    state = compare_digest(path)
    if state is DigestState.DAMAGED:
        message = "the file is damaged: its digest differs from its content"
        raise raises(message, where=Location(str(path)), remedy="restore the file from a copy, or train again")
    return state is DigestState.INTACT


def _find_digest(file: BinaryIO) -> tuple[int, bytes] | None:
    """Return the position of the digest in a file, and the digest."""
    size = file.seek(0, os.SEEK_END)
    end = max(0, size - _END_BYTES)
    parts = [(end, _bytes_at(file, end, _END_BYTES))]
    head = _bytes_at(file, 0, LENGTH_BYTES + 1)
    if is_safetensors(head):
        parts.append((LENGTH_BYTES, _bytes_at(file, LENGTH_BYTES, int.from_bytes(head[:LENGTH_BYTES], "little"))))
    found = ((start, match) for start, content in parts for match in _DIGEST.finditer(content))
    return next(((start + match.start(1), match[1]) for start, match in found), None)


def _bytes_at(file: BinaryIO, start: int, count: int) -> bytes:
    file.seek(start)
    return file.read(count)


def _digest_of(file: BinaryIO, place: int) -> bytes:
    """Return the digest of a file with zeros at the place of the digest."""
    digest = hashlib.sha256()
    file.seek(0)
    remaining = place
    while remaining and (chunk := file.read(min(remaining, _CHUNK_BYTES))):
        digest.update(chunk)
        remaining -= len(chunk)
    digest.update(_ZEROS)
    file.seek(place + len(_ZEROS))
    while chunk := file.read(_CHUNK_BYTES):
        digest.update(chunk)
    return digest.hexdigest().encode()
