"""Decide which tensors of a module can be loaded into another module of the same kind.

A batch norm is useless without its convolution, and so is half of a gate. The tensors of a module are therefore
transferred in groups (a layer with its norm, an attention module), each completely or not at all.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import torch
from torch import Tensor

KeyPath: TypeAlias = tuple[str, ...]
Grouping: TypeAlias = Callable[[str], KeyPath]
"""A function that returns, for the key of a tensor, the path that identifies its group."""
TensorSignature: TypeAlias = tuple[KeyPath, int, tuple[int, ...]]
"""Key without numbers, number of axes, and kernel shape of a tensor."""

_GATE_RANGE = "range"
_BATCHES = "num_batches_tracked"
# Files from other projects have no ranges, strengths, or orders, and files older than torch 0.4.1 no batch counters.
# Loading the state dict supplies the missing values.
_OPTIONAL = (_GATE_RANGE, "strength", "in_order", _BATCHES)
# The names of attached attention. Not every attention module has a gate with a range.
_ATTENTION = re.compile(r"attention\d*")


@dataclass(frozen=True)
class TensorMatch:
    """The counterpart of a tensor of the model.

    Attributes:
        key: Key of the counterpart in the file; None if the file implies the value without containing it.
        value: The value to load; None if the model keeps its own value.
        whole: Whether the complete value comes from the file.
    """

    key: str | None
    value: Tensor | None
    whole: bool


class ModuleTensors:
    """The tensors of one module, and its structure as their keys and shapes show it.

    Args:
        tensors: The tensors by key, relative to the module.
    """

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        self.tensors = tensors

    @cached_property
    def gates(self) -> frozenset[KeyPath]:
        """Paths of the gates inside the module, recognized by the buffers of their ranges or by an attention name."""
        ranges = frozenset(_parent(key) for key in self.tensors if _name(key) == _GATE_RANGE)
        return ranges | _named_attention(self.tensors)

    @cached_property
    def gate_patterns(self) -> frozenset[KeyPath]:
        """Paths of the gates, with numbers replaced by wildcards."""
        return frozenset(tuple(map(_wildcard, gate)) for gate in self.gates)

    @cached_property
    def shapes(self) -> frozenset[tuple[str, tuple[int, ...], bool]]:
        """Keys, shapes, and whether the tensors are complex; modules with equal shapes match the same modules."""
        return frozenset((key, tuple(value.shape), value.is_complex()) for key, value in self.tensors.items())

    @cached_property
    def grouping(self) -> Grouping:
        """The grouping of the module's tensors (see `row_grouping`)."""
        return row_grouping(self.tensors)

    @cached_property
    def outside_attention(self) -> Mapping[str, Tensor]:
        """The tensors that do not belong to attention inside the module."""
        roots = _attentions(self.tensors)
        return {key: value for key, value in self.tensors.items() if _root(_parent(key), roots) is None}

    @cached_property
    def signature(self) -> frozenset[TensorSignature]:
        """Signatures of all tensors outside gates, which are equal for all modules of the same kind.

        Numbers in keys are replaced by wildcards, so that a block with more repeats has the same signature.
        """
        return frozenset(
            (_pattern(key), tensor.ndim, tuple(tensor.shape[2:]))
            for key, tensor in self.tensors.items()
            if _name(key) not in _OPTIONAL and _root(_parent(key), self.gates) is None
        )


def same_kind(first: ModuleTensors, second: ModuleTensors) -> bool:
    """Return whether two modules are of the same kind: equal except for widths, repeats, and gates inside.

    Attention modules from other projects have no ranges by which gates are recognized. Therefore a module that has all
    tensors of the other with the same shapes, and additional tensors, is also of the same kind.

    Example:
        >>> import torch
        >>> conv, norm = {"conv.weight": torch.ones(8, 3, 3, 3)}, {"bn.weight": torch.ones(8)}
        >>> attention = {"attention.gate.weight": torch.ones(1, 8), "attention.gate.range": torch.ones(2)}
        >>> same_kind(ModuleTensors(conv | norm | attention), ModuleTensors(conv | norm))
        True
        >>> same_kind(ModuleTensors(conv | norm), ModuleTensors(conv | norm | {"se.fc.weight": torch.ones(1, 8)}))
        True
        >>> same_kind(ModuleTensors(conv | norm), ModuleTensors(norm | {"conv.weight": torch.ones(8, 3, 1, 1)}))
        False
    """
    first_signature = _without_gates(first.signature, second.gate_patterns)
    second_signature = _without_gates(second.signature, first.gate_patterns)
    if first_signature == second_signature:
        return True
    if not first_signature or not second_signature:
        return False
    if not (first_signature < second_signature or second_signature < first_signature):
        return False
    smaller, larger = (first, second) if first_signature < second_signature else (second, first)
    gates = first.gate_patterns | second.gate_patterns
    return all(
        key in larger.tensors and larger.tensors[key].shape == tensor.shape
        for key, tensor in smaller.tensors.items()
        if _name(key) not in _OPTIONAL and _root(_pattern(key)[:-1], gates) is None
    )


def match_tensors(
    model: Mapping[str, Tensor], file: Mapping[str, Tensor], grouping: Grouping
) -> dict[str, TensorMatch]:
    """Return the counterparts of a module's tensors: the tensors of the file with the same keys.

    The values of a group are loaded only if the file has all tensors of the group, with fitting shapes. An attention
    module of the same layers and the same number of channels, but with another kernel size or reduction, keeps the
    tensors that fit. A gate keeps its range only with all tensors of the gate.

    Args:
        model: The tensors of the model's module.
        file: The tensors of the file's module.
        grouping: Returns the group of a key.

    Example:
        >>> import torch
        >>> conv, norm = torch.ones(8, 3, 3, 3), torch.ones(8)
        >>> model = {"cv1.conv.weight": conv, "cv1.bn.weight": norm, "cv2.weight": norm}
        >>> wider = model | {"cv1.conv.weight": torch.ones(8, 4, 3, 3)}
        >>> [key for key, match in match_tensors(model, wider, row_grouping(model)).items() if match.whole]
        ['cv2.weight']
    """
    model_groups, file_groups = _groups(model, grouping), _groups(file, grouping)
    matches: dict[str, TensorMatch] = {}
    for name, keys in model_groups.items():
        shared = [key for key in keys if key in file]
        fitting = {key for key in shared if is_compatible(model[key], file[key])}
        if _required(keys) != _required(file_groups.get(name, ())):
            fitting = set()
        elif len(fitting) < len(shared):
            fitting = _kept_by_attention(model, file, keys, fitting) if name in _attentions(model) else set()
        matches.update((key, TensorMatch(key, file[key] if key in fitting else None, key in fitting)) for key in shared)
    return matches


def _kept_by_attention(
    model: Mapping[str, Tensor], file: Mapping[str, Tensor], keys: Sequence[str], fitting: set[str]
) -> set[str]:
    """Return the keys that an attention module keeps if its counterpart has the same layers, but other shapes.

    Args:
        model: The tensors of the model.
        file: The tensors of the file.
        keys: The keys of the attention module.
        fitting: The keys whose tensors have the same shape in the file.
    """
    layers = [key for key in keys if _name(key) not in _OPTIONAL]
    if _width(model[key] for key in layers) != _width(file[key] for key in layers):
        return set()
    kept = {key for key in layers if key in fitting}
    for key in fitting - kept:
        gate = key.removesuffix(_name(key))
        whole = all(other in fitting for other in keys if other.startswith(gate) and other in file)
        # The range of a gate with a new layer stays that of the model, so that the layer starts as it should.
        if whole or _has_same_value(model[key], file[key]):
            kept.add(key)
    return kept


def _width(tensors: Iterable[Tensor]) -> int:
    """Return the number of channels of an attention module: the largest one of its layers."""
    return max((side for tensor in tensors for side in tensor.shape[:2]), default=0)


def _has_same_value(tensor: Tensor, value: Tensor) -> bool:
    return not (tensor.is_meta or value.is_meta) and torch.equal(tensor.cpu(), value.to("cpu", tensor.dtype))


def is_compatible(tensor: Tensor, value: Tensor) -> bool:
    """Return whether a value has the shape of a tensor, or is a 1x1 convolution with the weights of its matrix."""
    same_shape = value.shape == tensor.shape or (tensor.ndim == 2 and value.shape == (*tensor.shape, 1, 1))
    return same_shape and value.is_complex() == tensor.is_complex()


def row_grouping(keys: Iterable[str]) -> Grouping:
    """Return the grouping of the keys of a detector's row.

    A group is an attention module, a batch norm named `bn` with the convolutions next to it, or any other layer.

    Example:
        >>> group = row_grouping(["cv1.conv.weight", "cv1.bn.weight", "cv1.bn.bias", "linear.weight"])
        >>> group("cv1.conv.weight") == group("cv1.bn.weight") != group("linear.weight")
        True
    """
    paths = [_parent(key) for key in keys]
    attentions = _attentions(keys)
    normed = {path[:-1] for path in paths if path[-1:] == ("bn",)}

    def group(key: str) -> KeyPath:
        path = _parent(key)
        layer = (*path[:-1], "bn") if path and path[:-1] in normed else path
        attention = _root(path, attentions)
        return layer if attention is None else attention

    return group


def name_grouping(keys: Iterable[str]) -> Grouping:
    """Return the grouping of the keys of any network: an attention module, a batch norm, or any other single tensor."""
    attentions = _attentions(keys)
    norms = {_parent(key) for key in keys if _name(key) == _BATCHES}

    def group(key: str) -> KeyPath:
        path = _parent(key)
        attention = _root(path, attentions)
        if attention is not None:
            return attention
        return path if path in norms else tuple(key.split("."))

    return group


def _attentions(keys: Iterable[str]) -> frozenset[KeyPath]:
    """Return the paths of attention modules: modules that contain only gates, and gates inside any other module."""
    gates = frozenset(_parent(key) for key in keys if _name(key) == _GATE_RANGE)
    parents = {gate[:-1] for gate in gates if gate}
    other_tensors: Counter[KeyPath] = Counter()
    for key in keys:
        path = _parent(key)
        if parents and _root(path, gates) is None:
            other_tensors.update(path[:end] for end in range(len(path) + 1) if path[:end] in parents)
    by_range = frozenset(gate if not gate or other_tensors[gate[:-1]] else gate[:-1] for gate in gates)
    return by_range | _named_attention(keys)


def _named_attention(keys: Iterable[str]) -> frozenset[KeyPath]:
    paths = (_parent(key) for key in keys)
    return frozenset(path[: end + 1] for path in paths for end, part in enumerate(path) if _ATTENTION.fullmatch(part))


def _root(path: KeyPath, roots: frozenset[KeyPath]) -> KeyPath | None:
    """Return the outermost of the roots that contains a path, or None."""
    if not roots:
        return None
    return next((path[:end] for end in range(len(path) + 1) if path[:end] in roots), None)


def _without_gates(signature: frozenset[TensorSignature], gates: frozenset[KeyPath]) -> frozenset[TensorSignature]:
    return frozenset(tensor for tensor in signature if _root(tensor[0][:-1], gates) is None)


def _groups(keys: Iterable[str], grouping: Grouping) -> dict[KeyPath, list[str]]:
    groups: dict[KeyPath, list[str]] = {}
    for key in keys:
        groups.setdefault(grouping(key), []).append(key)
    return groups


def _required(keys: Iterable[str]) -> set[str]:
    return {key for key in keys if _name(key) not in _OPTIONAL}


def _parent(key: str) -> KeyPath:
    return tuple(key.split("."))[:-1]


def _name(key: str) -> str:
    return key.rpartition(".")[2]


def _pattern(key: str) -> KeyPath:
    return tuple(map(_wildcard, key.split(".")))


def _wildcard(part: str) -> str:
    return "*" if part.isdecimal() else part
