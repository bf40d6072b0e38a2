"""Replacements for the functions that checkpoints call; each returns a plain value or a placeholder.

A pickle can pass any arguments to any function, so the replacements check their arguments. None of them reads the file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

import torch

from attendet.errors import WeightsError
from attendet.weights.unpickle.attributes import attribute
from attendet.weights.unpickle.dtypes import dtype_from_name
from attendet.weights.unpickle.machine import Replacement
from attendet.weights.unpickle.numpy_values import numpy_array, numpy_array_from_buffer, numpy_dtype, numpy_scalar
from attendet.weights.unpickle.placeholders import PickledName, PickledObject, StorageSpec, TensorSpec, checked_key

_MAX_AXES = 16

# Kinds of tensors that are not supported, by the torch function that would rebuild them.
_UNSUPPORTED_TENSORS = {
    "torch._utils._rebuild_sparse_tensor": "sparse",
    "torch._utils._rebuild_sparse_csr_tensor": "sparse",
    "torch._utils._rebuild_nested_tensor": "nested",
    "torch._utils._rebuild_meta_tensor_no_storage": "meta",
}

# Functions whose results do not matter for the weights; they return placeholders, as unknown classes do. Python pickles
# an object of a subclass of SimpleNamespace, such as the settings of a YOLOv8 training, as a call of the class.
_PLACEHOLDER_CALLS = (
    "copyreg._reconstructor",
    "functools.partial",
    "torch.device",
    "torch.serialization._get_layout",
    "types.SimpleNamespace",
    "ultralytics.utils.IterableSimpleNamespace",
    "ultralytics.yolo.utils.IterableSimpleNamespace",
)


def call_replacements() -> Mapping[str, Replacement]:
    """Return the replacement of each function that a checkpoint may call, by the function's module and name.

    Example:
        >>> call_replacements()["pathlib.PosixPath"]("runs", "train")
        'runs/train'
        >>> call_replacements()["torch._utils._rebuild_sparse_tensor"]()
        Traceback (most recent call last):
        ...
        attendet.errors.WeightsError: the file contains a sparse tensor; save it as a dense tensor
    """
    return {
        "torch._utils._rebuild_tensor": _tensor,
        "torch._utils._rebuild_tensor_v2": _tensor_v2,
        "torch._utils._rebuild_tensor_v3": _tensor_v3,
        "torch._utils._rebuild_parameter": _first,
        "torch._utils._rebuild_parameter_with_state": _first,
        "torch._tensor._rebuild_from_type_v2": _tensor_of_type,
        "torch.Size": _first,
        "collections.OrderedDict": _mapping,
        "collections.defaultdict": lambda _factory=None, items=(): _mapping(items),
        "collections.Counter": _mapping,
        "collections.deque": lambda items=(), _limit=None: _elements(items),
        "builtins.set": lambda items=(): _elements(items),
        "builtins.frozenset": lambda items=(): _elements(items),
        "builtins.list": lambda items=(): _elements(items),
        "builtins.tuple": lambda items=(): tuple(_elements(items)),
        "builtins.dict": _mapping,
        "builtins.getattr": attribute,
        "attendet.surgery.attended_classes.new_layer": _layer,
        "builtins.bytes": _bytes,
        "builtins.bytearray": _bytes,
        "builtins.complex": lambda *parts: PickledObject(PickledName("builtins", "complex"), parts),
        "builtins.slice": lambda *parts: PickledObject(PickledName("builtins", "slice"), parts),
        "builtins.range": lambda *parts: PickledObject(PickledName("builtins", "range"), parts),
        "_codecs.encode": _bytes,
        "pathlib.PosixPath": lambda *parts: str(PurePosixPath(*parts)),
        "pathlib.PurePosixPath": lambda *parts: str(PurePosixPath(*parts)),
        "pathlib.WindowsPath": lambda *parts: str(PureWindowsPath(*parts)),
        "pathlib.PureWindowsPath": lambda *parts: str(PureWindowsPath(*parts)),
        "numpy.dtype": numpy_dtype,
        "numpy._core.multiarray.scalar": numpy_scalar,
        "numpy._core.multiarray._reconstruct": numpy_array,
        "numpy._core.numeric._frombuffer": numpy_array_from_buffer,
        **{path: _placeholder_of(path) for path in _PLACEHOLDER_CALLS},
        **{path: _refusal_of(kind) for path, kind in _UNSUPPORTED_TENSORS.items()},
    }


def _layer(kind: Any) -> PickledObject:
    """Return the placeholder of a layer with attached attention, which is pickled by its class in torch."""
    if not isinstance(kind, PickledName):
        raise WeightsError("the class of a layer in the file is not a class")
    return PickledObject(kind, ())


def _tensor(storage: Any, offset: Any, size: Any, stride: Any) -> TensorSpec:
    if not isinstance(storage, StorageSpec):
        raise TypeError("a tensor has no storage")
    return _checked(storage, storage.dtype, offset, size, stride)


def _tensor_v2(
    storage: Any, offset: Any, size: Any, stride: Any, _gradient: Any, _hooks: Any, metadata: Any = None
) -> TensorSpec:
    _refuse_lazy_views(metadata)
    return _tensor(storage, offset, size, stride)


def _tensor_v3(
    storage: Any, offset: Any, size: Any, stride: Any, _gradient: Any, _hooks: Any, dtype: Any, metadata: Any = None
) -> TensorSpec:
    _refuse_lazy_views(metadata)
    if not isinstance(storage, StorageSpec):
        raise TypeError("a tensor has no storage")
    return _checked(storage, dtype_from_name(dtype), offset, size, stride)


def _tensor_of_type(function: Any, _type: Any, arguments: Any, _state: Any) -> Any:
    """Return the tensor inside a tensor subclass, or the tensor without the attributes that a user added to it."""
    rebuild = {"_rebuild_tensor_v2": _tensor_v2, "_rebuild_tensor_v3": _tensor_v3, "_rebuild_parameter": _first}
    if not isinstance(function, PickledName) or function.module != "torch._utils" or function.name not in rebuild:
        raise WeightsError(f"the file contains a tensor of an unsupported kind: {function}")
    return rebuild[function.name](*arguments)


def _checked(storage: StorageSpec, dtype: torch.dtype, offset: Any, size: Any, stride: Any) -> TensorSpec:
    if not (isinstance(size, tuple) and isinstance(stride, tuple) and len(size) == len(stride) <= _MAX_AXES):
        raise TypeError("the size and the stride of a tensor do not match")
    if any(type(part) is not int or not 0 <= part < 2**63 for part in (offset, *size, *stride)):
        raise TypeError("the offset, size, and stride of a tensor must be non-negative integers")
    return TensorSpec(storage, dtype, offset, size, stride)


def _refuse_lazy_views(metadata: Any) -> None:
    if metadata:
        raise WeightsError(
            "the file contains a tensor whose negation or conjugation was deferred",
            remedy="save it after `resolve_neg()` and `resolve_conj()`",
        )


def _first(value: Any, *_: Any) -> Any:
    return value


def _mapping(items: Any = ()) -> dict[Any, Any]:
    pairs = items.items() if isinstance(items, dict) else items
    return {checked_key(key): value for key, value in pairs}


def _elements(items: Any) -> list[Any]:
    if not isinstance(items, list | tuple):
        raise TypeError("a collection is created from something that is not a collection")
    return list(items)


def _bytes(text: Any = "", encoding: Any = "latin1") -> bytes:
    # Pickle protocols without an opcode for bytes encode a string instead.
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise TypeError("bytes are created from something that is not a string")
    return text.encode("latin1")


def _placeholder_of(path: str) -> Callable[..., PickledObject]:
    name = PickledName(*path.rsplit(".", 1))
    return lambda *arguments: PickledObject(name, arguments)


def _refusal_of(kind: str) -> Callable[..., Any]:
    def refuse(*_: Any) -> Any:
        raise WeightsError(f"the file contains a {kind} tensor", remedy="save it as a dense tensor")

    return refuse
