"""State dicts of other implementations of an attention module: their keys, and the values that follow from them."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from torch import Tensor, nn

from attendet.attention.base import published_values

Adaptation: TypeAlias = Callable[[nn.Module, Collection[str], Mapping[str, Tensor]], Mapping[str, Tensor]]
"""A function of a module, the keys of the other implementation, and its tensors under the module's keys.

It returns the tensors with which the module computes the function of the other implementation.
"""
_Layer: TypeAlias = dict[str, Tensor]
_Signature: TypeAlias = frozenset[tuple[str, tuple[int, ...]]]

# The attribute of a module that holds the arguments of `accept_foreign_keys`.
_FOREIGN = "_foreign_keys"
_BATCHES = "num_batches_tracked"


@dataclass(frozen=True)
class Translation:
    """The tensors of another implementation as tensors of a module.

    Attributes:
        keys: The keys of the other implementation, by key of the module.
        tensors: The values by key of the module. Our own tensors have the values of the published module.
        whole: Whether every value has the shape of the module's tensor.
    """

    keys: Mapping[str, str]
    tensors: Mapping[str, Tensor]
    whole: bool


@dataclass(frozen=True)
class _ForeignKeys:
    prefixes: Mapping[str, str]
    adapt: Adaptation | None


def accept_foreign_keys(module: nn.Module, prefixes: Mapping[str, str], adapt: Adaptation | None = None) -> None:
    """Make `load_state_dict` of a module, or of a model that contains it, accept the keys of other implementations.

    It also accepts tensors with additional axes of length 1 at the end, such as linear layers that were saved as 1x1
    convolutions (out, in, 1, 1).

    Args:
        module: Module whose state dict is translated.
        prefixes: Prefixes of foreign keys, relative to the module, with the prefixes that replace them.
        adapt: Changes the values if the other implementation computes another function with them.
    """
    vars(module)[_FOREIGN] = _ForeignKeys(prefixes, adapt)
    module.register_load_state_dict_pre_hook(_translate_in_place)


def translate(module: nn.Module, tensors: Mapping[str, Tensor]) -> Translation | None:
    """Return the tensors of another implementation of an attention module as tensors of the module.

    The keys are recognized by their names (see `accept_foreign_keys`), below any common prefix. Otherwise every layer
    of the module must have exactly one layer of the same parameters and shapes as its counterpart; layers that differ
    only by a number in their names are matched in the order of the numbers.

    Args:
        module: The module.
        tensors: All tensors of the other implementation by key, relative to it.

    Returns:
        The translation; None if the tensors do not belong to such a module. If only the names match, not the shapes, as
        with another kernel size, the translation is not `whole`.

    Example:
        >>> import torch
        >>> from attendet.attention import SqueezeExcite
        >>> theirs = {"down.weight": torch.zeros(4, 64, 1, 1), "up.weight": torch.zeros(64, 4, 1, 1)}
        >>> translation = translate(SqueezeExcite(64), theirs)
        >>> translation and translation.keys
        {'gate.fc1.weight': 'down.weight', 'gate.fc2.weight': 'up.weight'}
    """
    own, published = module.state_dict(), published_values(module)
    required = {key for key in own if key not in published and not key.endswith(_BATCHES)}
    if sum(not key.endswith(_BATCHES) for key in tensors) > len(own):
        return None
    foreign: _ForeignKeys | None = vars(module).get(_FOREIGN)
    by_name = None
    for keys in _renamings(tensors, own, foreign.prefixes if foreign else {}):
        if keys.keys() >= required and _covers(keys, tensors):
            if _fit(keys, tensors, own, required):
                return _translation(module, keys, tensors, own)
            by_name = by_name or keys
    keys = _match_layers({key: own[key] for key in own if key not in published}, tensors)
    if keys is not None:
        return _translation(module, keys, tensors, own)
    return _translation(module, by_name, tensors, own, whole=False) if by_name and required else None


def number_order(name: str) -> list[tuple[int, str]]:
    """Return a sort key with which the numbers in names are in order.

    Example:
        >>> sorted(["block10", "block2", "block1"], key=number_order)
        ['block1', 'block2', 'block10']
    """
    parts = re.split("([0-9]{1,9})", name)
    return [(int(part), "") if part.isdecimal() else (0, part) for part in parts]


def _renamings(
    tensors: Mapping[str, Tensor], own: Collection[str], prefixes: Mapping[str, str]
) -> Iterator[dict[str, str]]:
    """Yield mappings from keys of the module to keys of the other implementation, without each common prefix."""
    # The longest prefix is the most specific one.
    ordered = sorted(prefixes, key=len, reverse=True)
    stripped = {key: key for key in tensors}
    while stripped:
        keys: dict[str, str] = {}
        for name, key in stripped.items():
            old = next((old for old in ordered if name.startswith(old)), None)
            new = name if old is None else prefixes[old] + name.removeprefix(old)
            if new in own:
                keys[new] = key
        yield keys
        first = {name.partition(".")[0] for name in stripped}
        if len(first) > 1 or not all("." in name for name in stripped):
            return
        stripped = {name.partition(".")[2]: key for name, key in stripped.items()}


def _covers(keys: Mapping[str, str], tensors: Mapping[str, Tensor]) -> bool:
    """Return whether the keys are all of the other implementation's, apart from batch counters."""
    used = set(keys.values())
    return all(key in used or key.endswith(_BATCHES) for key in tensors)


def _fit(
    keys: Mapping[str, str], tensors: Mapping[str, Tensor], own: Mapping[str, Tensor], required: Collection[str]
) -> bool:
    return all(_has_shape(tensors[keys[key]], own[key]) for key in required)


def _translation(
    module: nn.Module,
    keys: Mapping[str, str],
    tensors: Mapping[str, Tensor],
    own: Mapping[str, Tensor],
    *,
    whole: bool = True,
) -> Translation:
    published = published_values(module)
    values: Mapping[str, Tensor] = {key: _reshaped(tensors[name], own[key]) for key, name in keys.items()}
    foreign: _ForeignKeys | None = vars(module).get(_FOREIGN)
    # Tensors of our own show that attendet wrote the file, also if their path differs.
    is_foreign = keys.keys().isdisjoint(published) and any(key != name for key, name in keys.items())
    if foreign and foreign.adapt and is_foreign:
        values = foreign.adapt(module, keys.values(), values)
    return Translation(keys, {**published, **values}, whole)


def _match_layers(own: Mapping[str, Tensor], theirs: Mapping[str, Tensor]) -> dict[str, str] | None:
    """Return a mapping from keys to keys of layers with the same parameters and shapes, or None if it is ambiguous."""
    own_layers, their_layers = _layers_by_signature(own), _layers_by_signature(theirs)
    if not own_layers or own_layers.keys() != their_layers.keys():
        return None
    keys: dict[str, str] = {}
    for signature, paths in own_layers.items():
        their_paths = their_layers[signature]
        if len(paths) != len(their_paths) or not (_differ_by_number(paths) and _differ_by_number(their_paths)):
            return None
        for path, their_path in zip(
            sorted(paths, key=number_order), sorted(their_paths, key=number_order), strict=True
        ):
            leaves = [leaf for leaf, _ in signature]
            leaves += [_BATCHES] if path + _BATCHES in own and their_path + _BATCHES in theirs else []
            keys |= {path + leaf: their_path + leaf for leaf in leaves}
    return {key: keys[key] for key in own if key in keys}


def _layers_by_signature(tensors: Mapping[str, Tensor]) -> dict[_Signature, list[str]]:
    """Return the prefixes of layers by the names and shapes of their parameters."""
    layers: defaultdict[str, _Layer] = defaultdict(dict)
    for key, tensor in tensors.items():
        path, dot, leaf = key.rpartition(".")
        if leaf != _BATCHES:
            layers[path + dot][leaf] = tensor
    found: defaultdict[_Signature, list[str]] = defaultdict(list)
    for path, layer in layers.items():
        found[frozenset((leaf, _shape(tensor)) for leaf, tensor in layer.items())].append(path)
    return dict(found)


def _differ_by_number(paths: list[str]) -> bool:
    return len({re.sub(r"[0-9]+", "*", path) for path in paths}) == 1


def _shape(tensor: Tensor) -> tuple[int, ...]:
    """Return the shape of a tensor without axes of length 1 at the end; a matrix and a 1x1 convolution are equal."""
    shape = tuple(tensor.shape)
    while len(shape) > 1 and shape[-1] == 1:
        shape = shape[:-1]
    return shape


def _has_shape(value: Tensor, own: Tensor) -> bool:
    return _shape(value) == _shape(own) and value.is_complex() == own.is_complex()


def _reshaped(value: Tensor, own: Tensor) -> Tensor:
    return value.reshape(own.shape) if _has_shape(value, own) else value


def _translate_in_place(module: nn.Module, state: dict[str, Any], prefix: str, *_: object) -> None:
    tensors = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
    translation = translate(module, {key: value for key, value in tensors.items() if isinstance(value, Tensor)})
    if translation is not None:
        for key in translation.keys.values():
            del state[prefix + key]
        state.update({prefix + key: value for key, value in translation.tensors.items()})
        return
    for name, parameter in module.named_parameters():
        if name in tensors:
            state[prefix + name] = _reshaped(tensors[name], parameter)
    # The error or the partial loading of `load_state_dict` then speaks of our keys.
    prefixes: Mapping[str, str] = vars(module)[_FOREIGN].prefixes
    for foreign, ours in prefixes.items():
        for key in [key for key in tensors if key.startswith(foreign)]:
            state[prefix + ours + key.removeprefix(foreign)] = state.pop(prefix + key)
