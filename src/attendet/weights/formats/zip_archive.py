"""torch.save's zip archives: a pickle, and a member per storage."""

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
from attendet.utils.text import printable
from attendet.weights.unpickle.allowed_calls import allowed_calls
from attendet.weights.unpickle.dtypes import storage_dtype
from attendet.weights.unpickle.inert import StorageSketch
from attendet.weights.unpickle.machine import MAX_BYTES, unpickle
from attendet.weights.unpickle.tensors import Tensors

# A member takes about 100 bytes there, and zipfile five times as many in memory.
_LONGEST_DIRECTORY = 8 * 1024 * 1024
_HEADER_BYTES = 30
_CHUNK_BYTES = 1024 * 1024
_PICKLE = "data.pkl"


def read_zipped(file: BinaryIO) -> tuple[Any, Tensors]:
    """Return what a zip archive of torch.save describes, and what makes its tensors.

    Args:
        file: The archive; it has to stay open as long as tensors are made.

    Raises:
        WeightsError: If it is damaged or hostile, or another kind of archive.
    """
    with _damage():
        # The archive and not the file is closed, by the collector: it owns nothing.
        archive = ZipFile(_Sparing(file))  # pyright: ignore[reportArgumentType]
    folder = _folder(set(archive.namelist()))
    storages = _Members(archive, _checked(archive), folder)
    if storages.byte_order() != "little":
        raise WeightsError("its numbers are big-endian", remedy="save it again on a common machine")
    return unpickle(BytesIO(storages.pickle()), allowed_calls(), _storage), Tensors(storages)


class _Sparing:
    """A file that does not give more at once than the list of a sane archive's members, or a chunk, has."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def read(self, size: int = -1) -> bytes:
        if size > _LONGEST_DIRECTORY:
            raise WeightsError("its list of members is longer than those of models are")
        return self._file.read(_LONGEST_DIRECTORY if size < 0 else size)


class _Members:
    """The members of an archive, by the keys of storages."""

    def __init__(self, archive: ZipFile, members: dict[str, ZipInfo], folder: str) -> None:
        self._archive, self._members, self._folder = archive, members, folder

    def byte_order(self) -> str:
        member = self._members.get(f"{self._folder}/byteorder")
        return "little" if member is None else bytes(self._content(member, limit=16)).decode("latin-1")

    def pickle(self) -> bytes:
        return bytes(self._content(self._members[f"{self._folder}/{_PICKLE}"], limit=MAX_BYTES))

    def read(self, key: str, length: int) -> Tensor:
        member = self._members.get(f"{self._folder}/data/{key}")
        if member is None:
            raise WeightsError(f"it has no storage {printable(key[:50])!r}")
        if member.file_size != length:
            what = f"the storage {printable(key[:50])!r} has {member.file_size:,} bytes where {length:,} are stated"
            raise WeightsError(what)
        content = torch.empty(length, dtype=torch.uint8)
        self._fill(member, content.numpy().data)
        return content

    def _content(self, member: ZipInfo, limit: int) -> bytearray:
        if member.file_size > limit:
            raise WeightsError(f"its member {printable(member.filename)!r} has more than {limit:,} bytes")
        content = bytearray(member.file_size)
        self._fill(member, memoryview(content))
        return content

    def _fill(self, member: ZipInfo, target: memoryview) -> None:
        with _damage(), self._archive.open(member) as source:
            filled = 0
            # One read behind the end, too: only there the checksum is compared.
            while chunk := source.read(_CHUNK_BYTES):
                target[filled : filled + len(chunk)] = chunk
                filled += len(chunk)
            if filled != len(target):
                raise EOFError("a member is cut short")


def _storage(identity: Any) -> StorageSketch:
    match identity:
        case ("storage", storage_type, str() as key, _location, int() as count) if 0 <= count < 2**63:
            return StorageSketch(key, storage_dtype(storage_type), count, stored=count)
        case _:
            raise TypeError("a storage is described wrongly")


def _checked(archive: ZipFile) -> dict[str, ZipInfo]:
    """Return the members by name, none of them packed, twice there, or inside of another."""
    members = sorted(archive.infolist(), key=lambda member: member.header_offset)
    by_name = {member.filename: member for member in members}
    if len(by_name) != len(members):
        raise WeightsError("two of its members have one name")
    ends = [*(member.header_offset for member in members[1:]), archive.start_dir]
    for member, end in zip(members, ends, strict=True):
        told = printable(member.filename[:50])
        if member.compress_type != zipfile.ZIP_STORED or member.compress_size != member.file_size:
            raise WeightsError(f"its member {told!r} is compressed, which torch.save never does")
        if member.header_offset < 0 or member.header_offset + _HEADER_BYTES + member.file_size > end:
            raise WeightsError(f"its member {told!r} reaches into another")
    return by_name


def _folder(members: set[str]) -> str:
    folders = [name.removesuffix(f"/{_PICKLE}") for name in members if name.endswith(f"/{_PICKLE}")]
    if len(folders) != 1:
        raise WeightsError("it is a zip archive, and not one of torch.save")
    if f"{folders[0]}/constants.pkl" in members:
        raise WeightsError("it is a TorchScript program", remedy="save the state dict of the model it was made from")
    return folders[0]


@contextmanager
def _damage() -> Iterator[None]:
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, struct.error, EOFError, RuntimeError, ArithmeticError, ValueError) as error:
        # All that zipfile answers broken and hostile archives with; NotImplementedError is a RuntimeError.
        raise WeightsError(f"the archive is damaged: {printable(str(error)[:200])}") from error
