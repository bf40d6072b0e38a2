"""Read the zip archives of torch.save: one pickle, and one member for each storage."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any, BinaryIO
from zipfile import ZipFile, ZipInfo

import torch
from torch import Tensor

from attendet.errors import WeightsError
from attendet.utils.text import printable, short_repr, shorten
from attendet.weights.unpickle.allowed_calls import call_replacements
from attendet.weights.unpickle.dtypes import storage_dtype
from attendet.weights.unpickle.machine import MAX_BYTES, read_pickle
from attendet.weights.unpickle.placeholders import StorageSpec
from attendet.weights.unpickle.tensors import TensorBuilder

# The directory has about 100 bytes per member, and zipfile needs five times as much memory.
_MAX_DIRECTORY_BYTES = 8 * 1024 * 1024
_HEADER_BYTES = 30
_CHUNK_BYTES = 1024 * 1024
_PICKLE = "data.pkl"


def read_zip_archive(file: BinaryIO) -> tuple[Any, TensorBuilder]:
    """Return the content of a zip archive that torch.save wrote, and a builder for its tensors.

    Args:
        file: The archive; it must stay open while tensors are built.

    Raises:
        WeightsError: If the archive is damaged or hostile, or another program wrote it.
    """
    storages = _ArchiveStorages.of(file)
    content = read_pickle(BytesIO(storages.pickle()), call_replacements(), _persistent)
    return content, TensorBuilder(storages)


def check_zip_archive(file: BinaryIO) -> None:
    """Raise an error unless another reader can load a zip archive of torch.save with memory of about its size.

    Other readers allocate the sizes that the pickle declares. Here they must be the sizes of the stored members, and no
    member may be compressed or overlap another.

    Raises:
        WeightsError: If the archive is damaged or hostile, or another program wrote it.
    """
    storages = _ArchiveStorages.of(file)
    declared: list[StorageSpec] = []

    def persistent(identity: Any) -> StorageSpec:
        declared.append(_persistent(identity))
        return declared[-1]

    read_pickle(BytesIO(storages.pickle()), call_replacements(), persistent)
    for storage in declared:
        storages.member(storage.key, storage.stored * storage.dtype.itemsize)


class _BoundedFile:
    """A file that refuses to read more bytes at once than the directory of a valid archive has."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def read(self, size: int = -1) -> bytes:
        if size > _MAX_DIRECTORY_BYTES:
            raise WeightsError(f"the directory of the archive has more than {_MAX_DIRECTORY_BYTES:,} bytes")
        return self._file.read(_MAX_DIRECTORY_BYTES if size < 0 else size)


class _ArchiveStorages:
    """Reads the pickle and the storages from the members of an archive."""

    def __init__(self, archive: ZipFile, members: dict[str, ZipInfo], folder: str) -> None:
        self._archive, self._members, self._folder = archive, members, folder

    @classmethod
    def of(cls, file: BinaryIO) -> _ArchiveStorages:
        """Return the storages of an archive after checking its members."""
        with _zip_errors():
            # The archive does not own the file, so it is left to the garbage collector instead of being closed.
            archive = ZipFile(_BoundedFile(file))  # pyright: ignore[reportArgumentType]
        storages = cls(archive, _checked_members(archive), _top_folder(set(archive.namelist())))
        if storages.byte_order() != "little":
            raise WeightsError("the file has big-endian numbers", remedy="save it again on a little-endian machine")
        return storages

    def byte_order(self) -> str:
        member = self._members.get(f"{self._folder}/byteorder")
        return "little" if member is None else bytes(self._content(member, limit=16)).decode("latin-1")

    def pickle(self) -> bytes:
        return bytes(self._content(self._members[f"{self._folder}/{_PICKLE}"], limit=MAX_BYTES))

    def read(self, key: str, length: int) -> Tensor:
        member = self.member(key, length)
        content = torch.empty(length, dtype=torch.uint8)
        self._fill(member, content.numpy().data)
        return content

    def member(self, key: str, length: int) -> ZipInfo:
        """Return the member of a storage after checking its length in bytes."""
        member = self._members.get(f"{self._folder}/data/{key}")
        name = printable(shorten(key, 50))
        if member is None:
            raise WeightsError(f"the file has no storage {short_repr(name)}")
        if member.file_size != length:
            raise WeightsError(f"the storage {short_repr(name)} must have {length:,} bytes, got {member.file_size:,}")
        return member

    def _content(self, member: ZipInfo, limit: int) -> bytearray:
        if member.file_size > limit:
            raise WeightsError(f"the member {printable(member.filename)!r} has more than {limit:,} bytes")
        content = bytearray(member.file_size)
        self._fill(member, memoryview(content))
        return content

    def _fill(self, member: ZipInfo, target: memoryview) -> None:
        with _zip_errors(), self._archive.open(member) as source:
            filled = 0
            # The last read is past the end, because zipfile compares the checksum only there.
            while chunk := source.read(_CHUNK_BYTES):
                target[filled : filled + len(chunk)] = chunk
                filled += len(chunk)
            if filled != len(target):
                raise EOFError("a member is truncated")


def _persistent(identity: Any) -> StorageSpec:
    match identity:
        case ("storage", storage_type, str() as key, _location, int() as count) if 0 <= count < 2**63:
            return StorageSpec(key, storage_dtype(storage_type), count, stored=count)
        case _:
            raise TypeError("a persistent id does not describe a storage")


def _checked_members(archive: ZipFile) -> dict[str, ZipInfo]:
    """Return the members by name, after checking that none is compressed, duplicated, or overlaps another."""
    members = sorted(archive.infolist(), key=lambda member: member.header_offset)
    by_name = {member.filename: member for member in members}
    if len(by_name) != len(members):
        raise WeightsError("two members of the archive have the same name")
    if any(name.endswith("/constants.pkl") for name in by_name):
        raise WeightsError("the file is a TorchScript program", remedy="save the state dict of the original model")
    ends = [*(member.header_offset for member in members[1:]), archive.start_dir]
    for member, end in zip(members, ends, strict=True):
        name = printable(shorten(member.filename, 50))
        if member.compress_type != zipfile.ZIP_STORED or member.compress_size != member.file_size:
            raise WeightsError(f"the member {short_repr(name)} is compressed, but torch.save does not compress")
        if member.header_offset < 0 or member.header_offset + _HEADER_BYTES + member.file_size > end:
            raise WeightsError(f"the member {short_repr(name)} overlaps another member")
    return by_name


def _top_folder(members: set[str]) -> str:
    folders = [name.removesuffix(f"/{_PICKLE}") for name in members if name.endswith(f"/{_PICKLE}")]
    if len(folders) != 1:
        raise WeightsError("the file is a zip archive that torch.save did not write")
    return folders[0]


@contextmanager
def _zip_errors() -> Iterator[None]:
    """Turn the exceptions that zipfile raises for damaged and hostile archives into WeightsError."""
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, struct.error, EOFError, RuntimeError, ArithmeticError, ValueError) as error:
        # NotImplementedError, for unknown compression, is a RuntimeError.
        raise WeightsError(f"the archive is damaged: {printable(shorten(str(error), 200))}") from error
