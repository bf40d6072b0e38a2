"""Described tensors become real ones, once they are known to lie inside of what the file holds."""

from __future__ import annotations

import math
from typing import Protocol

import torch
from torch import Tensor

from attendet.errors import WeightsError
from attendet.weights.unpickle.inert import StorageSketch, TensorSketch


class Storages(Protocol):
    """The raw bytes of a file's storages."""

    def read(self, key: str, length: int) -> Tensor:
        """Return the bytes stored under a key, as uint8 of shape (length,).

        Raises:
            WeightsError: If the file has no such storage, or one of another length.
        """
        ...


class Tensors:
    """Makes tensors from their descriptions; each storage is read once, when it is first needed.

    Args:
        storages: Where the bytes are.
    """

    def __init__(self, storages: Storages) -> None:
        self._storages = storages
        self._read: dict[str, Tensor] = {}

    def make(self, sketch: TensorSketch) -> Tensor:
        """Return a described tensor; it shares memory with those of the same storage.

        Raises:
            WeightsError: If it reaches outside of its storage, or has more elements than that.
        """
        _check_bounds(sketch)
        storage, first = sketch.storage, sketch.offset + _first_element(sketch)
        content = self._bytes(storage)
        return torch.empty(0, dtype=sketch.dtype).set_(content.untyped_storage(), first, sketch.size, sketch.stride)

    def _bytes(self, storage: StorageSketch) -> Tensor:
        length = storage.stored * storage.dtype.itemsize
        if storage.key not in self._read:
            self._read[storage.key] = self._storages.read(storage.key, length)
        if self._read[storage.key].numel() != length:
            raise WeightsError("it states two lengths of one storage")
        return self._read[storage.key]


def _first_element(sketch: TensorSketch) -> int:
    return sketch.storage.start * sketch.storage.dtype.itemsize // sketch.dtype.itemsize


def _check_bounds(sketch: TensorSketch) -> None:
    storage = sketch.storage
    held = storage.count * storage.dtype.itemsize // sketch.dtype.itemsize
    last = sketch.offset + sum((side - 1) * step for side, step in zip(sketch.size, sketch.stride, strict=True))
    elements = math.prod(sketch.size)
    # More elements than the storage has: steps of 0 would make a large tensor from a small file.
    if elements > held or (elements and last >= held):
        raise WeightsError(f"a tensor of shape {sketch.size} reaches outside of its storage of {held:,} elements")
    if (
        storage.start + storage.count > storage.stored
        or (storage.start * storage.dtype.itemsize) % sketch.dtype.itemsize
    ):
        raise WeightsError("a view reaches outside of its storage")
    if not elements and (math.prod(max(side, 1) for side in sketch.size) > 2**31 or sketch.offset > held):
        raise WeightsError(f"a tensor without elements has the shape {sketch.size}")
