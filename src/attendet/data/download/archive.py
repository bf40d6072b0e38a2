"""Chosen files out of a zip archive from a stranger, and one digest over a folder."""

from __future__ import annotations

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

MAX_FILES = 50_000

# PKWARE's APPNOTE.TXT, 4.3.16: mark, two numbers of disks, members of the disk and of all, bytes and place of their
# list, bytes of a comment.
_END = struct.Struct("<4s4H2LH")
_END_MARK, _END64_MARK = b"PK\x05\x06", b"PK\x06\x07"
_END_BYTES = _END.size + 2**16
_MEMBER_BYTES = 256
"""Bytes that a member has on average in the list at most: 46, and its path."""


def unpack(
    archive: Path, folder: Path, chosen: Mapping[str, str], *, max_bytes: int, max_files: int = MAX_FILES
) -> int:
    """Write an archive's chosen files into a folder.

    The whole archive is refused, before anything is written, where any member would leave the folder, is a link or a
    device, is packed in other ways than zip files usually are, or where there are too many or too large ones.

    Args:
        archive: A zip file in which everything lies in one top folder, as GitHub makes them.
        folder: An existing folder to write into.
        chosen: Patterns of members, without the top folder, and the folder their files go to, "" for `folder` itself.
        max_bytes: Bound on all members together, unpacked.
        max_files: Bound on their number.

    Returns:
        The number of files written.

    Raises:
        DataError: If the archive is damaged or refused, or a pattern matches nothing.
    """
    _refuse_long_directory(archive, max_files)
    try:
        with ZipFile(archive) as opened:
            members = _checked(opened, archive, max_bytes, max_files)
            written = 0
            for pattern, destination in chosen.items():
                matching = [(path, member) for path, member in members if path.match(pattern) and _depth(path, pattern)]
                if not matching:
                    raise DataError(f"it has no file {pattern}", where=Location(str(archive)))
                (folder / destination).mkdir(parents=True, exist_ok=True)
                for path, member in matching:
                    with opened.open(member) as source, (folder / destination / path.name).open("xb") as target:
                        shutil.copyfileobj(source, target)
                written += len(matching)
            return written
    except (zipfile.BadZipFile, zlib.error, struct.error, EOFError, RuntimeError, ValueError) as error:
        # All that zipfile answers broken and hostile archives with.
        raise DataError(f"the archive is damaged: {error}", where=Location(str(archive))) from error


def _refuse_long_directory(archive: Path, max_files: int) -> None:
    """Refuse an archive by what its last record says of its list of members, before that list is held in memory."""
    where = Location(str(archive))
    with archive.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _END_BYTES))
        tail = file.read()
    # A record without a comment comes first, as zipfile looks for it.
    at = len(tail) - _END.size
    if not (tail[at : at + 4] == _END_MARK and tail.endswith(b"\0\0")):
        at = tail.rfind(_END_MARK)
    if at < 0 or len(tail) - at < _END.size:
        # zipfile says what is wrong.
        return
    *_, members, length, _, _ = _END.unpack_from(tail, at)
    if tail[max(0, at - 20) : at].startswith(_END64_MARK):
        raise DataError("the archive is of the kind for more than 4 GiB or 65,535 members", where=where)
    if members > max_files:
        raise DataError(f"the archive has {members:,} members; {max_files:,} are allowed", where=where)
    # What zipfile goes by is the list's length, whatever number is stated.
    if length > max_files * _MEMBER_BYTES:
        what = f"the archive's list of members has {length:,} bytes; {max_files * _MEMBER_BYTES:,} are allowed"
        raise DataError(what, where=where)


def _checked(opened: ZipFile, archive: Path, max_bytes: int, max_files: int) -> list[tuple[PurePosixPath, ZipInfo]]:
    """Return the regular files, by their path without the top folder."""
    where = Location(str(archive))
    members = opened.infolist()
    if len(members) > max_files:
        raise DataError(f"the archive has {len(members):,} members; {max_files:,} are allowed", where=where)
    # A member cannot unpack to more than it states: zipfile stops there and misses its checksum.
    size = sum(member.file_size for member in members)
    if size > max_bytes:
        raise DataError(f"the archive unpacks to {size:,} bytes; {max_bytes:,} are allowed", where=where)
    files = []
    for member in members:
        parts = member.filename.rstrip("/").split("/")
        if any(part in ("", ".", "..") or "\\" in part or ":" in part or not part.isprintable() for part in parts):
            raise DataError(f"the archive's member {member.filename!r} would leave its folder", where=where)
        kind = stat.S_IFMT(member.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise DataError(f"the archive's member {member.filename!r} is no ordinary file", where=where)
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise DataError(f"the archive's member {member.filename!r} is packed in a rare way", where=where)
        if not member.is_dir() and len(parts) > 1:
            files.append((PurePosixPath(*parts[1:]), member))
    return files


def _depth(path: PurePosixPath, pattern: str) -> bool:
    # `match` alone also finds the pattern at the end of a deeper path.
    return len(path.parts) == len(PurePosixPath(pattern).parts)


def tree_digest(folder: Path) -> str:
    """Return one SHA-256 over the paths and contents of all files of a folder.

    It is what `find * -type f | LC_ALL=C sort | xargs sha256sum | sha256sum` prints in that folder.
    """
    whole = hashlib.sha256()
    for path in sorted(_files(folder)):
        with (folder / path).open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        whole.update(f"{content}  {path}\n".encode())
    return whole.hexdigest()


def _files(folder: Path) -> Iterator[str]:
    return (str(path.relative_to(folder).as_posix()) for path in folder.rglob("*") if path.is_file())
