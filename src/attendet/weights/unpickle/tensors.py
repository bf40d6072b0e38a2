"""Build tensors from their specifications after checking that they fit into the stored bytes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from attendet.errors import WeightsError
from attendet.weights.unpickle.placeholders import StorageSpec, TensorSpec

# A tensor without elements takes no memory, but its shape must not overflow the integers of later computations.
_MAX_EMPTY_SIZE = 2**31
_MAX_AXES = 16


class StorageReader(Protocol):
    """Access to the raw bytes of a file's storages."""

    def read(self, key: str, length: int) -> Tensor:
        """Return the bytes stored under a key, as a uint8 tensor of shape (length,).

        Raises:
            WeightsError: If the file has no such storage, or its length in bytes is not `length`.
        """
        ...


class TensorBuilder:
    """Builds tensors from their specifications; each storage is read once, when a tensor first needs it.

    Args:
        storages: Reads the bytes of the storages.
    """

    def __init__(self, storages: StorageReader) -> None:
        self._storages = storages
        self._read: dict[str, Tensor] = {}

    def build(self, spec: TensorSpec) -> Tensor:
        """Return the tensor of a specification; tensors of the same storage share its memory.

        Raises:
            WeightsError: If the tensor extends past its storage, or has more elements than the storage.
        """
        _check_bounds(spec)
        storage, first = spec.storage, spec.offset + _first_element(spec)
        content = self._bytes(storage)
        return torch.empty(0, dtype=spec.dtype).set_(content.untyped_storage(), first, spec.size, spec.stride)

    def _bytes(self, storage: StorageSpec) -> Tensor:
        length = storage.stored * storage.dtype.itemsize
        if storage.key not in self._read:
            self._read[storage.key] = self._storages.read(storage.key, length)
        if self._read[storage.key].numel() != length:
            raise WeightsError("the file states two different lengths for one storage")
        return self._read[storage.key]


def check_sides(size: Sequence[int]) -> None:
    """Raise an error if a tensor has too many axes, or has no elements and sides that overflow.

    Args:
        size: The sides of the tensor; its elements, if it has any, are stored in the file and need no check.

    Raises:
        WeightsError: If the shape is impossible.

    Example:
        >>> check_sides((2**63, 0))
        Traceback (most recent call last):
        ...
        attendet.errors.WeightsError: a tensor without elements has the impossible shape (9223372036854775808, 0)
    """
    if len(size) > _MAX_AXES:
        raise WeightsError(f"a tensor has {len(size):,} axes, more than {_MAX_AXES}")
    if not math.prod(size) and math.prod(max(side, 1) for side in size) > _MAX_EMPTY_SIZE:
        raise WeightsError(f"a tensor without elements has the impossible shape {tuple(size)}")


def _first_element(spec: TensorSpec) -> int:
    return spec.storage.start * spec.storage.dtype.itemsize // spec.dtype.itemsize


def _check_bounds(spec: TensorSpec) -> None:
    storage = spec.storage
    available = storage.count * storage.dtype.itemsize // spec.dtype.itemsize
    last = spec.offset + sum((side - 1) * step for side, step in zip(spec.size, spec.stride, strict=True))
    elements = math.prod(spec.size)
    # Strides of 0 could expand a small storage to a huge tensor, so a tensor has at most the elements of its storage.
    if elements > available or (elements and last >= available):
        raise WeightsError(f"a tensor of shape {spec.size} does not fit into its storage of {available:,} elements")
    if storage.start + storage.count > storage.stored or (storage.start * storage.dtype.itemsize) % spec.dtype.itemsize:
        raise WeightsError("a view of a storage extends past the end of the storage")
    check_sides(spec.size)
    if not elements and spec.offset > available:
        raise WeightsError("a tensor without elements starts past the end of its storage")
