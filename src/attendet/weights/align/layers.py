"""What of one module's tensors another module can take: whole layers, never a part of one.

A batch norm without its convolution is worth nothing, nor is half a gate. So the tensors of a module are taken in
units, each wholly or not at all.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

from torch import Tensor

Path: TypeAlias = tuple[str, ...]
Unit: TypeAlias = Callable[[str], Path]
Bone: TypeAlias = tuple[Path, int, tuple[int, ...]]

GATE_RANGE = "range"
STEPS = "num_batches_tracked"
# Files of others have no ranges, strengths or orders, and files older than torch 0.4.1 no steps: what loads the state
# dict fills them in.
OPTIONAL = (GATE_RANGE, "strength", "in_order", STEPS)
# What attention is called within the module it belongs to: not every kind has a gate with a range.
ATTENTION = re.compile(r"attention\d*")


@dataclass(frozen=True)
class TensorMatch:
    """The counterpart of one of the model's tensors.

    Attributes:
        key: Its key in the file.
        value: What to load; None where the model's own value stays.
        whole: Whether all of the value is the file's.
    """

    key: str
    value: Tensor | None
    whole: bool


class ModuleTensors:
    """The tensors of one module, by their keys below it.

    Args:
        tensors: Keys and tensors.
    """

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        self.tensors = tensors

    @cached_property
    def gates(self) -> frozenset[Path]:
        """Paths of the gates inside, given away by the buffers of their ranges, and of modules named as attention."""
        ranges = frozenset(_parent(key) for key in self.tensors if _name(key) == GATE_RANGE)
        return ranges | _named_attention(self.tensors)

    @cached_property
    def gate_patterns(self) -> frozenset[Path]:
        """The same without numbers."""
        return frozenset(tuple(map(_wild, gate)) for gate in self.gates)

    @cached_property
    def form(self) -> frozenset[tuple[str, tuple[int, ...], bool]]:
        """Keys and shapes; whatever holds of one module holds of all of its form."""
        return frozenset((key, tuple(value.shape), value.is_complex()) for key, value in self.tensors.items())

    @cached_property
    def unit(self) -> Unit:
        """Which of the module's units a key belongs to."""
        return row_units(self.tensors)

    @cached_property
    def skeleton(self) -> frozenset[Bone]:
        """Keys, axes and kernels of all but the gates: what is the same in all modules of a kind.

        Numbers in keys are left out, so that one with more repeats has the same skeleton.
        """
        return frozenset(
            (_pattern(key), tensor.ndim, tuple(tensor.shape[2:]))
            for key, tensor in self.tensors.items()
            if _name(key) not in OPTIONAL and _root(_parent(key), self.gates) is None
        )


def same_kind(ours: ModuleTensors, theirs: ModuleTensors) -> bool:
    """Return whether two modules are of one kind: equal but for widths, repeats, and gates inside.

    Attention of others has no ranges to know its gates by. So a module that has all the other has, of the same shape,
    and something more, is of its kind too.

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
    mine = _without(ours.skeleton, theirs.gate_patterns)
    yours = _without(theirs.skeleton, ours.gate_patterns)
    if mine == yours:
        return True
    if not mine or not yours or not (mine < yours or yours < mine):
        return False
    smaller, larger = (ours, theirs) if mine < yours else (theirs, ours)
    gates = ours.gate_patterns | theirs.gate_patterns
    return all(
        key in larger.tensors and larger.tensors[key].shape == tensor.shape
        for key, tensor in smaller.tensors.items()
        if _name(key) not in OPTIONAL and _root(_pattern(key)[:-1], gates) is None
    )


def fit(ours: Mapping[str, Tensor], theirs: Mapping[str, Tensor], unit: Unit) -> dict[str, TensorMatch]:
    """Return the counterparts of a module's tensors: those of the same key, whose units fit or do not.

    Args:
        ours: The module's tensors.
        theirs: The tensors offered.
        unit: Which unit a key belongs to.

    Example:
        >>> import torch
        >>> conv, norm = torch.ones(8, 3, 3, 3), torch.ones(8)
        >>> ours = {"cv1.conv.weight": conv, "cv1.bn.weight": norm, "cv2.weight": norm}
        >>> wider = ours | {"cv1.conv.weight": torch.ones(8, 4, 3, 3)}
        >>> [key for key, match in fit(ours, wider, row_units(ours)).items() if match.whole]
        ['cv2.weight']
    """
    wanted, offered = _grouped(ours, unit), _grouped(theirs, unit)
    matches: dict[str, TensorMatch] = {}
    for name, keys in wanted.items():
        shared = [key for key in keys if key in theirs]
        whole = _required(keys) == _required(offered.get(name, ())) and all(
            fits(ours[key], theirs[key]) for key in shared
        )
        matches.update((key, TensorMatch(key, theirs[key] if whole else None, whole)) for key in shared)
    return matches


def fits(own: Tensor, value: Tensor) -> bool:
    """Return whether a value has a tensor's shape, or is the matrix it is, written as a 1x1 convolution."""
    same_shape = value.shape == own.shape or (own.ndim == 2 and value.shape == (*own.shape, 1, 1))
    return same_shape and value.is_complex() == own.is_complex()


def row_units(keys: Iterable[str]) -> Unit:
    """Return which unit a key belongs to, in a module of a detector.

    Units are an attention module, a batch norm `bn` with the convolutions beside it, and any other layer.

    Example:
        >>> unit = row_units(["cv1.conv.weight", "cv1.bn.weight", "cv1.bn.bias", "linear.weight"])
        >>> unit("cv1.conv.weight") == unit("cv1.bn.weight") != unit("linear.weight")
        True
    """
    paths = [_parent(key) for key in keys]
    attentions = _attentions(keys)
    normed = {path[:-1] for path in paths if path[-1:] == ("bn",)}

    def unit(key: str) -> Path:
        path = _parent(key)
        beside_norm = (*path[:-1], "bn") if path and path[:-1] in normed else path
        root = _root(path, attentions)
        return beside_norm if root is None else root

    return unit


def name_units(keys: Iterable[str]) -> Unit:
    """Return which unit a key belongs to, in a model of whatever kind.

    Units are an attention module, a batch norm, and any other tensor.
    """
    attentions = _attentions(keys)
    norms = {_parent(key) for key in keys if _name(key) == STEPS}

    def unit(key: str) -> Path:
        path = _parent(key)
        root = _root(path, attentions)
        return root if root is not None else path if path in norms else tuple(key.split("."))

    return unit


def _attentions(keys: Iterable[str]) -> frozenset[Path]:
    """Return the paths of attention modules: parents of gates and nothing else, or gates that are alone."""
    gates = frozenset(_parent(key) for key in keys if _name(key) == GATE_RANGE)
    parents = {gate[:-1] for gate in gates if gate}
    others: Counter[Path] = Counter()
    for key in keys:
        path = _parent(key)
        if parents and _root(path, gates) is None:
            others.update(path[:end] for end in range(len(path) + 1) if path[:end] in parents)
    alone = frozenset(gate if not gate or others[gate[:-1]] else gate[:-1] for gate in gates)
    return alone | _named_attention(keys)


def _named_attention(keys: Iterable[str]) -> frozenset[Path]:
    paths = (_parent(key) for key in keys)
    return frozenset(path[: end + 1] for path in paths for end, part in enumerate(path) if ATTENTION.fullmatch(part))


def _root(path: Path, roots: frozenset[Path]) -> Path | None:
    """Return the outermost of the roots that a path lies in."""
    if not roots:
        return None
    return next((path[:end] for end in range(len(path) + 1) if path[:end] in roots), None)


def _without(skeleton: frozenset[Bone], gates: frozenset[Path]) -> frozenset[Bone]:
    return frozenset(bone for bone in skeleton if _root(bone[0][:-1], gates) is None)


def _grouped(keys: Iterable[str], unit: Unit) -> dict[Path, list[str]]:
    groups: dict[Path, list[str]] = {}
    for key in keys:
        groups.setdefault(unit(key), []).append(key)
    return groups


def _required(keys: Iterable[str]) -> set[str]:
    return {key for key in keys if _name(key) not in OPTIONAL}


def _parent(key: str) -> Path:
    return tuple(key.split("."))[:-1]


def _name(key: str) -> str:
    return key.rpartition(".")[2]


def _pattern(key: str) -> Path:
    return tuple(map(_wild, key.split(".")))


def _wild(part: str) -> str:
    return "*" if part.isdecimal() else part
