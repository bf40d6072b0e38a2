"""The element types of tensors, looked up by the names that pickles use."""

from __future__ import annotations

from typing import Any

import torch

from attendet.errors import WeightsError
from attendet.weights.unpickle.placeholders import PickledName

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
# Types without a storage class of their own. This is a table because getattr(torch, name) can import a module.
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


def dtype_from_name(name: Any) -> torch.dtype:
    """Return the dtype that a pickled name refers to.

    Raises:
        WeightsError: If the name is not a supported dtype (quantized types are not supported).

    Example:
        >>> dtype_from_name(PickledName("torch", "float16"))
        torch.float16
    """
    if not isinstance(name, PickledName) or name.path not in _DTYPES:
        raise _unsupported(name)
    return _DTYPES[name.path]


def storage_dtype(name: Any) -> torch.dtype:
    """Return the dtype of a storage class; uint8 for an untyped storage.

    Raises:
        WeightsError: If the name is not a supported storage class (quantized storages are not supported).

    Example:
        >>> storage_dtype(PickledName("torch", "HalfStorage"))
        torch.float16
    """
    if isinstance(name, PickledName) and name.path in ("torch.storage.UntypedStorage", "torch.UntypedStorage"):
        return torch.uint8
    if not isinstance(name, PickledName) or _module(name) != "torch" or name.name not in _STORAGES:
        raise _unsupported(name)
    return _STORAGES[name.name]


def _module(name: PickledName) -> str:
    return name.path.removesuffix(f".{name.name}")


def _unsupported(name: Any) -> WeightsError:
    if not isinstance(name, PickledName):
        return WeightsError("the file contains a tensor without a dtype")
    if _module(name) == "torch" and name.name.lower().startswith(("qint", "quint")):
        return WeightsError("the file contains a quantized tensor", remedy="save the model before it is quantized")
    return WeightsError(f"the file contains tensors of the unsupported type {name}")
