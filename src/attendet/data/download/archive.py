"""Extraction of selected files from an untrusted zip archive, and a digest of a folder."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from zipfile import ZipFile, ZipInfo

from attendet.errors import DataError, Location
from attendet.utils.text import short_repr

MAX_FILES = 50_000

# "End of central directory record" (PKWARE APPNOTE.TXT, 4.3.16): signature, two disk numbers, numbers of members on the
# disk and in total, size and offset of the central directory, length of the comment.
_END_RECORD = struct.Struct("<4s4H2LH")
_END_SIGNATURE, _ZIP64_SIGNATURE = b"PK\x05\x06", b"PK\x06\x07"
_MAX_END_BYTES = _END_RECORD.size + 2**16

# Largest mean size of a member's entry in the central directory: 46 bytes and its path.
_MAX_ENTRY_BYTES = 256


def extract(
    archive: Path, folder: Path, chosen: Mapping[str, str], *, max_bytes: int, max_files: int = MAX_FILES
) -> int:
    """Extract the chosen files of an archive into a folder.

    The whole archive is refused, before anything is written, if any of its members has a path outside the folder, is a
    link or a device, occurs twice, or uses a rare compression method, or if there are too many or too large members.

    Args:
        archive: A zip file with a single top folder, as GitHub makes them.
        folder: An existing folder.
        chosen: Target folder (relative to `folder`) for each pattern of members (relative to the top folder).
        max_bytes: Largest size of all members together, uncompressed.
        max_files: Largest number of members.

    Returns:
        The number of files written.

    Raises:
        DataError: If the archive is damaged or refused, or a pattern matches no member.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as name:
        ...     folder = Path(name)
        ...     with ZipFile(folder / "a.zip", "w") as opened:
        ...         opened.writestr("top/images/a.jpg", b"...")
        ...     extract(folder / "a.zip", folder, {"images/*.jpg": "train"}, max_bytes=1000)
        ...     (folder / "train/a.jpg").is_file()
        1
        True
    """
    _refuse_large_directory(archive, max_files)
    try:
        with ZipFile(archive) as opened:
            members = _check_members(opened, archive, max_bytes, max_files)
            written = 0
            for pattern, destination in chosen.items():
                matches = [(path, member) for path, member in members if _matches(path, pattern)]
                if not matches:
                    raise DataError(f"the archive has no file {pattern}", where=Location(str(archive)))
                (folder / destination).mkdir(parents=True, exist_ok=True)
                for path, member in matches:
                    with opened.open(member) as source, (folder / destination / path.name).open("xb") as target:
                        shutil.copyfileobj(source, target)
                written += len(matches)
            return written
    except (zipfile.BadZipFile, zlib.error, struct.error, EOFError, RuntimeError, ValueError) as error:
        # All exceptions that zipfile raises for broken and hostile archives.
        raise DataError(f"the archive is damaged: {error}", where=Location(str(archive))) from error
    except OSError as error:
        # A member that is stated to start before the file. Any other error is about the disk.
        if error.errno != errno.EINVAL:
            raise
        raise DataError("the archive is damaged: a member is outside the file", where=Location(str(archive))) from error


def _refuse_large_directory(archive: Path, max_files: int) -> None:
    """Refuse an archive with a large central directory before zipfile reads the directory into memory."""
    where = Location(str(archive))
    with archive.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _MAX_END_BYTES))
        tail = file.read()
    # Like zipfile, look for a record without a comment first.
    start = len(tail) - _END_RECORD.size
    if not (tail[start : start + 4] == _END_SIGNATURE and tail.endswith(b"\0\0")):
        start = tail.rfind(_END_SIGNATURE)
    if start < 0 or len(tail) - start < _END_RECORD.size:
        # zipfile raises the right error.
        return
    *_, members, length, _, _ = _END_RECORD.unpack_from(tail, start)
    if tail[max(0, start - 20) : start].startswith(_ZIP64_SIGNATURE):
        raise DataError("the archive is in the ZIP64 format, for more than 4 GiB or 65,535 members", where=where)
    if members > max_files:
        raise DataError(f"the archive must have at most {max_files:,} members, got {members:,}", where=where)
    # zipfile reads the directory by its length, regardless of the stated number of members.
    limit = max_files * _MAX_ENTRY_BYTES
    if length > limit:
        raise DataError(f"the directory of the archive must have at most {limit:,} bytes, got {length:,}", where=where)


def _check_members(
    opened: ZipFile, archive: Path, max_bytes: int, max_files: int
) -> list[tuple[PurePosixPath, ZipInfo]]:
    """Return the regular files of an archive, each with its path relative to the top folder.

    Raises:
        DataError: If a member is refused; see `extract`.
    """
    where = Location(str(archive))
    members = opened.infolist()
    if len(members) > max_files:
        raise DataError(f"the archive must have at most {max_files:,} members, got {len(members):,}", where=where)
    # A member cannot expand to more than its stated size: zipfile stops there, and its checksum is wrong.
    size = sum(member.file_size for member in members)
    if size > max_bytes:
        raise DataError(f"the archive must expand to at most {max_bytes:,} bytes, got {size:,}", where=where)
    files = []
    seen: set[str] = set()
    for member in members:
        if member.filename in seen:
            raise DataError(f"archive member {member.filename!r} must occur once", where=where)
        seen.add(member.filename)
        parts = member.filename.rstrip("/").split("/")
        if any(part in ("", ".", "..") or "\\" in part or ":" in part or not part.isprintable() for part in parts):
            raise DataError(f"archive member {short_repr(member.filename)} has a path outside the folder", where=where)
        file_type = stat.S_IFMT(member.external_attr >> 16)
        if file_type not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise DataError(f"archive member {short_repr(member.filename)} must be a regular file", where=where)
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise DataError(f"archive member {short_repr(member.filename)} must be stored or deflated", where=where)
        if not member.is_dir() and len(parts) > 1:
            files.append((PurePosixPath(*parts[1:]), member))
    return files


def _matches(path: PurePosixPath, pattern: str) -> bool:
    # PurePath.match alone also accepts the pattern at the end of a deeper path.
    return path.match(pattern) and len(path.parts) == len(PurePosixPath(pattern).parts)


def folder_digest(folder: Path) -> str:
    """Return a SHA-256 digest of the paths and contents of all files in a folder.

    `find * -type f | LC_ALL=C sort | xargs sha256sum | sha256sum` in the folder prints the same digest.
    """
    digest = hashlib.sha256()
    for path in sorted(_file_paths(folder)):
        with (folder / path).open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        digest.update(f"{content}  {path}\n".encode())
    return digest.hexdigest()


def _file_paths(folder: Path) -> Iterator[str]:
    return (str(path.relative_to(folder).as_posix()) for path in folder.rglob("*") if path.is_file())
