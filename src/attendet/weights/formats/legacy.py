"""torch.save's format before 1.6: five pickles one after the other, and the storages behind them."""

from __future__ import annotations

import os
import struct
from io import BytesIO
from typing import Any, BinaryIO

import torch
from torch import Tensor

from attendet.errors import WeightsError
from attendet.utils.text import printable
from attendet.weights.unpickle.allowed_calls import allowed_calls
from attendet.weights.unpickle.dtypes import storage_dtype
from attendet.weights.unpickle.inert import StorageSketch
from attendet.weights.unpickle.machine import MAX_BYTES, unpickle
from attendet.weights.unpickle.tensors import Tensors

_MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
_VERSION = 1001
_COUNT = struct.Struct("<q")


def read_legacy(file: BinaryIO) -> tuple[Any, Tensors]:
    """Return what a file in the format before PyTorch 1.6 describes, and what makes its tensors.

    Args:
        file: The file, at its start; it has to stay open as long as tensors are made.

    Raises:
        WeightsError: If it is damaged or hostile, or another kind of pickle.
    """
    window = BytesIO(file.read(MAX_BYTES))
    if unpickle(window, calls={}) != _MAGIC_NUMBER or unpickle(window, calls={}) != _VERSION:
        raise WeightsError("it is a pickle, and not one of torch.save", remedy="save it with torch.save")
    system = unpickle(window, calls={})
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise WeightsError("its numbers are big-endian", remedy="save it again on a common machine")
    found = _Found()
    described = unpickle(window, allowed_calls(), found.persistent)
    keys = unpickle(window, calls={})
    return described, Tensors(_Behind(file, found.places(file, window.tell(), keys)))


class _Found:
    """The storages that the pickle refers to."""

    def __init__(self) -> None:
        self._roots: dict[str, StorageSketch] = {}

    def persistent(self, identity: Any) -> Any:
        """Return what a persistent id stands for: a storage, or the class of a module."""
        match identity:
            case ("module", kind, _file, _source):
                # The class comes with its source code, which nobody needs.
                return kind
            case ("storage", storage_type, str() as key, _location, count, view) if _is_count(count):
                return self._storage(key, storage_dtype(storage_type), count, view)
            case _:
                raise TypeError("a storage is described wrongly")

    def _storage(self, key: str, dtype: torch.dtype, count: int, view: Any) -> StorageSketch:
        root = self._roots.setdefault(key, StorageSketch(key, dtype, count, stored=count))
        if view is None:
            return root
        _view_key, start, length = view
        if not (_is_count(start) and _is_count(length)):
            raise TypeError("a view of a storage is described wrongly")
        return StorageSketch(key, root.dtype, length, stored=root.count, start=start)

    def places(self, file: BinaryIO, start: int, keys: Any) -> dict[str, tuple[int, int]]:
        """Return the first byte and the length of every storage; they follow each other in the order of `keys`."""
        if not isinstance(keys, list):
            raise WeightsError("its list of storages is damaged")
        size = file.seek(0, os.SEEK_END)
        places: dict[str, tuple[int, int]] = {}
        for key in keys:
            root = self._roots.get(key) if isinstance(key, str) else None
            if root is None or key in places:
                raise WeightsError("its list of storages is damaged")
            length = root.count * root.dtype.itemsize
            file.seek(start)
            count = file.read(_COUNT.size)
            if start + _COUNT.size + length > size:
                raise WeightsError("it ends too early", remedy="download or copy it again")
            if _COUNT.unpack(count)[0] != root.count:
                raise WeightsError("it states two lengths of one storage")
            places[key] = (start + _COUNT.size, length)
            start += _COUNT.size + length
        return places


class _Behind:
    """The storages behind the pickles."""

    def __init__(self, file: BinaryIO, places: dict[str, tuple[int, int]]) -> None:
        self._file, self._places = file, places

    def read(self, key: str, length: int) -> Tensor:
        start, held = self._places.get(key, (0, -1))
        if held != length:
            raise WeightsError(f"it has no storage {printable(key[:50])!r} of {length:,} bytes")
        content = torch.empty(length, dtype=torch.uint8)
        self._file.seek(start)
        if self._file.readinto(content.numpy().data) != length:  # pyright: ignore[reportAttributeAccessIssue]
            raise WeightsError("it ends too early", remedy="download or copy it again")
        return content


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**63
