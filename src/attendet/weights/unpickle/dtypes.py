"""Element types, by the names that pickles give them and their storages."""

from __future__ import annotations

from typing import Any

import torch

from attendet.errors import WeightsError
from attendet.weights.unpickle.inert import PickledName

_STORAGES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
    "ComplexFloatStorage": torch.complex64,
    "ComplexDoubleStorage": torch.complex128,
}
# Those that have a name and no storage type. A table, because asking torch for any name can import what it names.
_OTHERS = (
    torch.uint16,
    torch.uint32,
    torch.uint64,
    torch.complex32,
    torch.float8_e4m3fn,
    torch.float8_e4m3fnuz,
    torch.float8_e5m2,
    torch.float8_e5m2fnuz,
)
_DTYPES = {str(dtype): dtype for dtype in (*_STORAGES.values(), *_OTHERS)}


def dtype_named(name: Any) -> torch.dtype:
    """Return the dtype of a name.

    Raises:
        WeightsError: If it is none that is read, such as those of quantized numbers.

    Example:
        >>> dtype_named(PickledName("torch", "float16"))
        torch.float16
    """
    if not isinstance(name, PickledName) or name.path not in _DTYPES:
        raise _unread(name)
    return _DTYPES[name.path]


def storage_dtype(name: Any) -> torch.dtype:
    """Return what a type of storages holds; bytes, where it is untyped.

    Raises:
        WeightsError: If it is none that is read.

    Example:
        >>> storage_dtype(PickledName("torch", "HalfStorage"))
        torch.float16
    """
    if isinstance(name, PickledName) and name.path in ("torch.storage.UntypedStorage", "torch.UntypedStorage"):
        return torch.uint8
    if not isinstance(name, PickledName) or _module(name) != "torch" or name.name not in _STORAGES:
        raise _unread(name)
    return _STORAGES[name.name]


def _module(name: PickledName) -> str:
    return name.path.removesuffix(f".{name.name}")


def _unread(name: Any) -> WeightsError:
    what = name if isinstance(name, PickledName) else "something that is no type"
    if isinstance(name, PickledName) and _module(name) == "torch" and name.name.lower().startswith(("qint", "quint")):
        return WeightsError("it holds a quantized tensor", remedy="save the model before it is quantized")
    return WeightsError(f"it holds tensors of a kind that is not read: {what}")
