"""What stands for the functions that checkpoints call: each returns plain text and numbers, or a description.

Nothing here looks at the file again or trusts what it is given: pickles of others give any argument to any function.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

import torch

from attendet.errors import WeightsError
from attendet.weights.unpickle.dtypes import dtype_named
from attendet.weights.unpickle.inert import PickledName, PickledObject, StorageSketch, TensorSketch, hashable
from attendet.weights.unpickle.machine import Call
from attendet.weights.unpickle.numpy_values import array, array_of_buffer, number, number_type

_MOST_AXES = 16

# Classes of torch that hold what we do not read, by the function that would rebuild them.
_REFUSED_TENSORS = {
    "torch._utils._rebuild_sparse_tensor": "sparse",
    "torch._utils._rebuild_sparse_csr_tensor": "sparse",
    "torch._utils._rebuild_nested_tensor": "nested",
    "torch._utils._rebuild_meta_tensor_no_storage": "meta",
}

# Calls whose result no weight depends on: described, as objects of unknown classes are.
_DESCRIBED = (
    "copyreg._reconstructor",
    "functools.partial",
    "torch.device",
    "torch.serialization._get_layout",
    "types.SimpleNamespace",
)


def allowed_calls() -> Mapping[str, Call]:
    """Return what stands for each function that a checkpoint may call, by module and name.

    Example:
        >>> allowed_calls()["pathlib.PosixPath"]("runs", "train")
        'runs/train'
        >>> allowed_calls()["torch._utils._rebuild_sparse_tensor"]()
        Traceback (most recent call last):
        ...
        attendet.errors.WeightsError: it holds a sparse tensor; save it as a dense one
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
        "numpy.dtype": number_type,
        "numpy._core.multiarray.scalar": number,
        "numpy._core.multiarray._reconstruct": array,
        "numpy._core.numeric._frombuffer": array_of_buffer,
        **{path: _described(path) for path in _DESCRIBED},
        **{path: _refused(what) for path, what in _REFUSED_TENSORS.items()},
    }


def _tensor(storage: Any, offset: Any, size: Any, stride: Any) -> TensorSketch:
    if not isinstance(storage, StorageSketch):
        raise TypeError("a tensor has no storage")
    return _checked(storage, storage.dtype, offset, size, stride)


def _tensor_v2(
    storage: Any, offset: Any, size: Any, stride: Any, _gradient: Any, _hooks: Any, metadata: Any = None
) -> TensorSketch:
    _refuse_views(metadata)
    return _tensor(storage, offset, size, stride)


def _tensor_v3(
    storage: Any, offset: Any, size: Any, stride: Any, _gradient: Any, _hooks: Any, dtype: Any, metadata: Any = None
) -> TensorSketch:
    _refuse_views(metadata)
    if not isinstance(storage, StorageSketch):
        raise TypeError("a tensor has no storage")
    return _checked(storage, dtype_named(dtype), offset, size, stride)


def _tensor_of_type(function: Any, _type: Any, arguments: Any, _state: Any) -> Any:
    """Return the tensor inside of a subclass, or one that has attributes of its own."""
    rebuild = {"_rebuild_tensor_v2": _tensor_v2, "_rebuild_tensor_v3": _tensor_v3, "_rebuild_parameter": _first}
    if not isinstance(function, PickledName) or function.module != "torch._utils" or function.name not in rebuild:
        raise WeightsError(f"it holds a tensor of a kind that is not known: {function}")
    return rebuild[function.name](*arguments)


def _checked(storage: StorageSketch, dtype: torch.dtype, offset: Any, size: Any, stride: Any) -> TensorSketch:
    if not (isinstance(size, tuple) and isinstance(stride, tuple) and len(size) == len(stride) <= _MOST_AXES):
        raise TypeError("a tensor's size and stride do not go together")
    if any(type(part) is not int or not 0 <= part < 2**63 for part in (offset, *size, *stride)):
        raise TypeError("a tensor's offset, size and stride have to be whole numbers from 0 on")
    return TensorSketch(storage, dtype, offset, size, stride)


def _refuse_views(metadata: Any) -> None:
    if metadata:
        raise WeightsError("it holds a tensor that is to be negated or conjugated when it is read")


def _first(value: Any, *_: Any) -> Any:
    return value


def _mapping(items: Any = ()) -> dict[Any, Any]:
    pairs = items.items() if isinstance(items, dict) else items
    return {hashable(key): value for key, value in pairs}


def _elements(items: Any) -> list[Any]:
    if not isinstance(items, list | tuple):
        raise TypeError("a collection is made from what is none")
    return list(items)


def _bytes(text: Any = "", encoding: Any = "latin1") -> bytes:
    # How bytes are written by protocols that have none.
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise TypeError("bytes are made from what is no text")
    return text.encode("latin1")


def _described(path: str) -> Callable[..., PickledObject]:
    name = PickledName(*path.rsplit(".", 1))
    return lambda *arguments: PickledObject(name, arguments)


def _refused(what: str) -> Callable[..., Any]:
    def refuse(*_: Any) -> Any:
        raise WeightsError(f"it holds a {what} tensor", remedy="save it as a dense one")

    return refuse
