"""Collect the parameters and buffers of a pickled module or state dict, by their keys in the state dict."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeGuard

from torch import Tensor

from attendet.errors import WeightsError
from attendet.utils.limits import MAX_KEY_LENGTH
from attendet.utils.modules import WRAPPER_PREFIXES
from attendet.utils.text import printable
from attendet.weights.unpickle.placeholders import PickledObject, TensorSpec
from attendet.weights.unpickle.tensors import TensorBuilder

_MODULE_ATTRIBUTES = ("_parameters", "_buffers", "_modules")
_ACTIVATION = "act"

MAX_ENTRIES = 100_000
"""Most modules and tensors of a file: the largest models have a few thousand, some of them shared."""

# A module that is used in several places appears under several keys, but is stored once.
_MAX_SHARING = 16


def is_module(value: Any) -> TypeGuard[PickledObject]:
    """Return whether a value of a pickle was a torch module: it has parameters, buffers, and children."""
    return isinstance(value, PickledObject) and all(
        isinstance(value.attribute(name), dict) for name in _MODULE_ATTRIBUTES
    )


def is_state_dict(value: Any) -> TypeGuard[dict[str, Any]]:
    """Return whether a value of a pickle is a mapping with at least one tensor under a string."""
    return isinstance(value, dict) and any(
        isinstance(key, str) and isinstance(entry, TensorSpec) for key, entry in value.items()
    )


def unwrap_module(module: PickledObject) -> PickledObject:
    """Return the pickled network inside the wrappers of distributed training and torch.compile."""
    for _ in range(len(WRAPPER_PREFIXES) + 1):
        children = module.attribute("_modules")
        inner = next((children[name[:-1]] for name in WRAPPER_PREFIXES if list(children) == [name[:-1]]), None)
        if not is_module(inner):
            break
        module = inner
    return module


def module_specs(root: PickledObject) -> dict[str, TensorSpec]:
    """Return the entries that the state dict of a pickled module would have: parameters and persistent buffers.

    Raises:
        WeightsError: If modules contain each other, there are too many modules, or a parameter is not a tensor.
    """
    specs: dict[str, TensorSpec] = {}
    visited = 0
    pending = [("", root)]
    while pending:
        prefix, module = pending.pop()
        # A small pickle can refer to one module many times, so every visit counts.
        visited += 1 + _length(module)
        if visited > MAX_ENTRIES:
            raise WeightsError(f"the file has modules that contain each other, or more than {MAX_ENTRIES:,} entries")
        specs |= _own_specs(prefix, module)
        children = [(_key(prefix, name), child) for name, child in module.attribute("_modules").items()]
        for key, child in reversed(children):
            if is_module(child):
                pending.append((f"{key}.", child))
            elif child is not None:
                raise WeightsError(f"the entry {printable(key)} of the model is not a module")
    return specs


def activation_names(root: PickledObject) -> dict[str, str]:
    """Return the names of the classes of all children `act` of a pickled module by path, such as "SiLU".

    Args:
        root: A module whose entries `module_specs` has counted.
    """
    names: dict[str, str] = {}
    pending = [("", root)]
    while pending:
        prefix, module = pending.pop()
        for name, child in module.attribute("_modules").items():
            if is_module(child):
                pending.append((f"{prefix}{name}.", child))
                if name == _ACTIVATION:
                    names[f"{prefix}{name}"] = child.type.name.rpartition(".")[2]
    return names


def _own_specs(prefix: str, module: PickledObject) -> dict[str, TensorSpec]:
    skipped = {name for name in _non_persistent(module) if isinstance(name, str)}
    entries = {**module.attribute("_parameters")}
    entries |= {name: value for name, value in module.attribute("_buffers").items() if name not in skipped}
    specs = {_key(prefix, name): value for name, value in entries.items() if value is not None}
    for key, value in specs.items():
        if not isinstance(value, TensorSpec):
            raise WeightsError(f"the entry {printable(key)} of the model is not a tensor")
    return specs


def _non_persistent(module: PickledObject) -> list[Any]:
    """Return the names of the buffers that a state dict leaves out."""
    names = module.attribute("_non_persistent_buffers_set")
    return names if isinstance(names, list) else []


def _length(module: PickledObject) -> int:
    return len(_non_persistent(module)) + sum(len(module.attribute(name)) for name in _MODULE_ATTRIBUTES)


def state_dict_specs(state: Mapping[Any, Any]) -> dict[str, TensorSpec]:
    """Return the tensors of a pickled state dict, without its other entries.

    Raises:
        WeightsError: If there are too many entries.
    """
    if len(state) > MAX_ENTRIES:
        raise WeightsError(f"the state dict has more than {MAX_ENTRIES:,} entries")
    return {_key("", key): value for key, value in state.items() if isinstance(value, TensorSpec)}


def read_tensors(specs: Mapping[str, TensorSpec], builder: TensorBuilder, file_bytes: int) -> dict[str, Tensor]:
    """Return the tensors of all specifications.

    Args:
        specs: The specifications, by key of the state dict.
        builder: Builds the tensors from the bytes of the file.
        file_bytes: Length of the file in bytes.

    Raises:
        WeightsError: If a tensor does not fit into its storage, or all tensors together are much larger than the file.
    """
    tensors: dict[str, Tensor] = {}
    remaining = file_bytes * _MAX_SHARING
    for key, spec in specs.items():
        try:
            tensors[key] = builder.build(spec)
        except WeightsError as error:
            raise WeightsError(f"{printable(key)}: {error.message}", remedy=error.remedy) from error
        remaining -= tensors[key].nbytes
        if remaining < 0:
            raise WeightsError(f"the tensors that share memory are over {_MAX_SHARING} times as large as the file")
    return tensors


def _key(prefix: str, name: Any) -> str:
    if not isinstance(name, str) or len(prefix) + len(name) > MAX_KEY_LENGTH:
        raise WeightsError(
            f"the keys of tensors must be strings of at most {MAX_KEY_LENGTH} characters",
            remedy="check whether modules contain each other",
        )
    return prefix + name
