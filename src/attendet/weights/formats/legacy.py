"""Read the format of torch.save before PyTorch 1.6: five pickles, followed by the bytes of the storages."""

from __future__ import annotations

import os
import struct
from io import BytesIO
from typing import Any, BinaryIO

import torch
from torch import Tensor

from attendet.errors import WeightsError
from attendet.utils.text import printable, shorten
from attendet.weights.unpickle.allowed_calls import call_replacements
from attendet.weights.unpickle.dtypes import storage_dtype
from attendet.weights.unpickle.machine import MAX_BYTES, read_pickle
from attendet.weights.unpickle.placeholders import StorageSpec
from attendet.weights.unpickle.tensors import TensorBuilder

_MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
_VERSION = 1001
_COUNT = struct.Struct("<q")


def read_legacy(file: BinaryIO) -> tuple[Any, TensorBuilder]:
    """Return the content of a file in the format before PyTorch 1.6, and a builder for its tensors.

    Args:
        file: The file at its start; it must stay open while tensors are built.

    Raises:
        WeightsError: If the file is damaged or hostile, or is another kind of pickle.
    """
    pickles = BytesIO(file.read(MAX_BYTES))
    if read_pickle(pickles, replacements={}) != _MAGIC_NUMBER or read_pickle(pickles, replacements={}) != _VERSION:
        raise WeightsError("the file is a pickle that torch.save did not write", remedy="save it with torch.save")
    system = read_pickle(pickles, replacements={})
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise WeightsError("the file has big-endian numbers", remedy="save it again on a little-endian machine")
    storages = _LegacyStorages()
    content = read_pickle(pickles, call_replacements(), storages.persistent)
    keys = read_pickle(pickles, replacements={})
    return content, TensorBuilder(_LegacyStorageReader(file, storages.locate(file, pickles.tell(), keys)))


class _LegacyStorages:
    """The storages that the pickle refers to."""

    def __init__(self) -> None:
        self._roots: dict[str, StorageSpec] = {}

    def persistent(self, identity: Any) -> Any:
        """Return the value of a persistent id: a storage, or the class of a module."""
        match identity:
            case ("module", kind, _file, _source):
                # The source code of the class comes with it and is not needed.
                return kind
            case ("storage", storage_type, str() as key, _location, count, view) if _is_count(count):
                return self._storage(key, storage_dtype(storage_type), count, view)
            case _:
                raise TypeError("a persistent id does not describe a storage")

    def _storage(self, key: str, dtype: torch.dtype, count: int, view: Any) -> StorageSpec:
        root = self._roots.setdefault(key, StorageSpec(key, dtype, count, stored=count))
        if view is None:
            return root
        _view_key, start, length = view
        if not (_is_count(start) and _is_count(length)):
            raise TypeError("the view of a storage must have a non-negative start and length")
        return StorageSpec(key, root.dtype, length, stored=root.count, start=start)

    def locate(self, file: BinaryIO, start: int, keys: Any) -> dict[str, tuple[int, int]]:
        """Return the first byte and the length in bytes of every storage, by key.

        Args:
            file: The file.
            start: Position of the first storage in the file.
            keys: Keys of the storages, in the order of the file.
        """
        if not isinstance(keys, list):
            raise WeightsError("the list of storages is damaged")
        size = file.seek(0, os.SEEK_END)
        places: dict[str, tuple[int, int]] = {}
        for key in keys:
            root = self._roots.get(key) if isinstance(key, str) else None
            if root is None or key in places:
                raise WeightsError("the list of storages is damaged")
            length = root.count * root.dtype.itemsize
            file.seek(start)
            count = file.read(_COUNT.size)
            if start + _COUNT.size + length > size:
                raise WeightsError("the file is truncated", remedy="download or copy it again")
            if _COUNT.unpack(count)[0] != root.count:
                raise WeightsError("the file states two different lengths for one storage")
            places[key] = (start + _COUNT.size, length)
            start += _COUNT.size + length
        return places


class _LegacyStorageReader:
    """Reads the storages that follow the pickles."""

    def __init__(self, file: BinaryIO, places: dict[str, tuple[int, int]]) -> None:
        self._file, self._places = file, places

    def read(self, key: str, length: int) -> Tensor:
        start, stored = self._places.get(key, (0, -1))
        if stored != length:
            raise WeightsError(f"the file has no storage {printable(shorten(key, 50))!r} of {length:,} bytes")
        content = torch.empty(length, dtype=torch.uint8)
        self._file.seek(start)
        if self._file.readinto(content.numpy().data) != length:  # pyright: ignore[reportAttributeAccessIssue]
            raise WeightsError("the file is truncated", remedy="download or copy it again")
        return content


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**63
