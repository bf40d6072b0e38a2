"""Parameters and buffers of a pickled model, or of a state dict, by the keys that torch gives them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeGuard

from torch import Tensor

from attendet.errors import WeightsError
from attendet.utils.modules import WRAPPER_PREFIXES
from attendet.utils.text import printable
from attendet.weights.unpickle.inert import PickledObject, TensorSketch
from attendet.weights.unpickle.tensors import Tensors

_CONTENTS = ("_parameters", "_buffers", "_modules")

# The largest models have a few thousand modules and tensors, some of them shared.
_MOST_ENTRIES = 100_000
_LONGEST_KEY = 500
# A module that is used in several places is told at each of them, and takes memory once.
_MOST_BYTES_SHARED = 16


def is_module(value: Any) -> TypeGuard[PickledObject]:
    """Return whether a record was a torch module: it has parameters, buffers and children."""
    return isinstance(value, PickledObject) and all(isinstance(value.attribute(name), dict) for name in _CONTENTS)


def is_state_dict(value: Any) -> TypeGuard[dict[str, Any]]:
    """Return whether a value is a mapping with tensors under words."""
    return isinstance(value, dict) and any(
        isinstance(key, str) and isinstance(held, TensorSketch) for key, held in value.items()
    )


def unwrapped(module: PickledObject) -> PickledObject:
    """Return the network inside of the modules that train it on several devices, or compile it."""
    for _ in range(len(WRAPPER_PREFIXES) + 1):
        children = module.attribute("_modules")
        inner = next((children[name[:-1]] for name in WRAPPER_PREFIXES if list(children) == [name[:-1]]), None)
        if not is_module(inner):
            break
        module = inner
    return module


def module_sketches(root: PickledObject) -> dict[str, TensorSketch]:
    """Return what the state dict of a pickled module would hold: parameters and persistent buffers, by key.

    Raises:
        WeightsError: If modules contain each other, there are too many, or a parameter is no tensor.
    """
    sketches: dict[str, TensorSketch] = {}
    looked_at = 0
    waiting = [("", root)]
    while waiting:
        prefix, module = waiting.pop()
        # One module can be meant at many places of a small file, so all is counted as it is looked at.
        looked_at += 1 + _length(module)
        if looked_at > _MOST_ENTRIES:
            raise WeightsError("it has more modules than models have, or modules that contain each other")
        sketches |= _own_sketches(prefix, module)
        children = [(_key(prefix, name), child) for name, child in module.attribute("_modules").items()]
        for key, child in reversed(children):
            if is_module(child):
                waiting.append((f"{key}.", child))
            elif child is not None:
                raise WeightsError(f"what it has under {printable(key)} is no module")
    return sketches


def _own_sketches(prefix: str, module: PickledObject) -> dict[str, TensorSketch]:
    left_out = {name for name in _hidden(module) if isinstance(name, str)}
    own = {**module.attribute("_parameters")}
    own |= {name: value for name, value in module.attribute("_buffers").items() if name not in left_out}
    sketches = {_key(prefix, name): value for name, value in own.items() if value is not None}
    for key, value in sketches.items():
        if not isinstance(value, TensorSketch):
            raise WeightsError(f"what it has under {printable(key)} is no tensor")
    return sketches


def _hidden(module: PickledObject) -> list[Any]:
    """Return the names of buffers that are not saved."""
    hidden = module.attribute("_non_persistent_buffers_set")
    return hidden if isinstance(hidden, list) else []


def _length(module: PickledObject) -> int:
    return len(_hidden(module)) + sum(len(module.attribute(name)) for name in _CONTENTS)


def dict_sketches(state: Mapping[Any, Any]) -> dict[str, TensorSketch]:
    """Return the tensors of a state dict; what else stands between them is left out.

    Raises:
        WeightsError: If there are too many.
    """
    if len(state) > _MOST_ENTRIES:
        raise WeightsError(f"it has more than {_MOST_ENTRIES:,} tensors")
    return {_key("", key): value for key, value in state.items() if isinstance(value, TensorSketch)}


def read_tensors(sketches: Mapping[str, TensorSketch], tensors: Tensors, file_bytes: int) -> dict[str, Tensor]:
    """Return the tensors that are described.

    Args:
        sketches: Their descriptions, by key.
        tensors: What makes them.
        file_bytes: Length of the file.

    Raises:
        WeightsError: If one does not lie inside of its storage, or all are much larger together than the file.
    """
    made: dict[str, Tensor] = {}
    left = file_bytes * _MOST_BYTES_SHARED
    for key, sketch in sketches.items():
        try:
            made[key] = tensors.make(sketch)
        except WeightsError as error:
            raise WeightsError(f"{printable(key)}: {error.what}", remedy=error.remedy) from error
        left -= made[key].nbytes
        if left < 0:
            raise WeightsError("its tensors are much larger than the file: too many share their memory")
    return made


def without_wrappers(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors under the keys of the network itself.

    Example:
        >>> import torch
        >>> without_wrappers({"module.conv.weight": torch.ones(1)})
        {'conv.weight': tensor([1.])}
    """
    for wrapper in WRAPPER_PREFIXES * 2:
        if all(key.startswith(wrapper) for key in tensors):
            tensors = {key.removeprefix(wrapper): value for key, value in tensors.items()}
    return tensors


def _key(prefix: str, name: Any) -> str:
    if not isinstance(name, str) or len(prefix) + len(name) > _LONGEST_KEY:
        raise WeightsError(
            "a key of a tensor is no word, or is longer than those of models are; do modules contain each other?"
        )
    return prefix + name
