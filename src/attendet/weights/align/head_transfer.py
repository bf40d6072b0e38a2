"""A detection head with other classes: boxes and objectness stay, and so do classes of the same name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from attendet.weights.align.layers import TensorMatch
from attendet.weights.align.sequence_pairing import in_order

BOX = 5  # x, y, w, h and objectness come before the classes


@dataclass(frozen=True)
class Head:
    """The tensors of a detection head.

    Attributes:
        anchors: (L, A, 2).
        weights: One (A · (classes + 5), C, 1, 1) per level.
        biases: One (A · (classes + 5),) per level.
        num_classes: Number of classes.
    """

    anchors: Tensor
    weights: tuple[Tensor, ...]
    biases: tuple[Tensor, ...]
    num_classes: int


def read_head(tensors: Mapping[str, Tensor]) -> Head | None:
    """Return the head that tensors make up, or None if they do not.

    Example:
        >>> level = {"m.0.weight": torch.ones(21, 16, 1, 1), "m.0.bias": torch.ones(21)}
        >>> head = read_head({"anchors": torch.ones(1, 3, 2), **level})
        >>> head.num_classes if head else None
        2
        >>> read_head(level) is None
        True
    """
    anchors = tensors.get("anchors")
    # A file of no bytes can have any number of levels, if they are empty.
    if anchors is None or anchors.ndim != 3 or anchors.shape[1] < 1 or anchors.shape[2] != 2:
        return None
    if f"m.{len(anchors) - 1}.bias" not in tensors:
        return None
    weights = [tensors.get(f"m.{level}.weight") for level in range(len(anchors))]
    biases = [tensors.get(f"m.{level}.bias") for level in range(len(anchors))]
    outputs = len(biases[0]) if biases[0] is not None and biases[0].ndim == 1 else 0
    classes, rest = divmod(outputs - BOX * anchors.shape[1], anchors.shape[1])
    found_weights = tuple(w for w in weights if w is not None and w.ndim == 4 and len(w) == outputs)
    found_biases = tuple(b for b in biases if b is not None and b.shape == (outputs,))
    whole = len(found_weights) == len(found_biases) == len(anchors)
    if not whole or classes < 1 or rest or any(t.is_complex() for t in (anchors, *found_weights, *found_biases)):
        return None
    return Head(anchors, found_weights, found_biases, classes)


def head_keys(head: Head) -> list[str]:
    """Return a head's keys."""
    levels = range(len(head.weights))
    return ["anchors", *(f"m.{level}.{name}" for level in levels for name in ("weight", "bias"))]


def fit_head(ours: Head, theirs: Head, sources: Sequence[int | None]) -> dict[str, TensorMatch]:
    """Return the counterparts of a head's tensors.

    Levels are matched in order; where one side has more, by width, then by anchors. Anchors follow their levels.

    Args:
        ours: The model's head.
        theirs: The file's.
        sources: For each class of the model the file's class that its channels come from, see `class_sources`.
    """
    anchors = ours.anchors.detach().clone()
    pairs = _levels(ours, theirs)
    taken = [(level, source) for level, source in pairs if _level_fits(ours, theirs, level, source)]
    matches: dict[str, TensorMatch] = {}
    for level, source in pairs:
        for name, own, others in (("weight", ours.weights, theirs.weights), ("bias", ours.biases, theirs.biases)):
            fitting = (level, source) in taken
            value = _merged(own[level], others[source], anchors.shape[1], sources) if fitting else None
            matches[f"m.{level}.{name}"] = TensorMatch(f"m.{source}.{name}", value, fitting and None not in sources)
    for level, source in taken:
        anchors[level] = theirs.anchors[source].detach().to(anchors)
    matches["anchors"] = TensorMatch("anchors", anchors if taken else None, whole=len(taken) == len(anchors))
    return matches


def class_sources(
    ours: int, theirs: int, our_names: Sequence[str] | None, their_names: Sequence[str] | None
) -> list[int | None]:
    """Return for each of our classes the class of theirs that is the same, or None.

    Classes are the same by name. Where names are unknown on either side, or none is in both, equally many classes are
    taken for the same ones in order.

    Args:
        ours: Number of our classes.
        theirs: Number of theirs.
        our_names: Names of ours; not used if they are not as many.
        their_names: Names of theirs; likewise.

    Example:
        >>> class_sources(2, 3, ["cat", "dog"], ["dog", "cow", "cat"])
        [2, 0]
        >>> class_sources(2, 2, ["cat", "dog"], None)
        [0, 1]
        >>> class_sources(1, 2, ["cell"], ["cat", "dog"])
        [None]
    """
    if our_names and their_names and len(our_names) == ours and len(their_names) == theirs:
        if list(our_names) == list(their_names):
            return list(range(ours))
        places = {name: place for place, name in reversed(list(enumerate(their_names)))}
        if any(name in places for name in our_names):
            return [places.get(name) for name in our_names]
    return list(range(ours)) if ours == theirs else [None] * ours


def _levels(ours: Head, theirs: Head) -> list[tuple[int, int]]:
    """Return the pairs of our levels and theirs."""
    base = len(ours.weights) + 1

    def worth(level: int, source: int) -> int:
        # As with rows: pairs count first, or the weights of a narrower model would slip into the next level.
        fitting = _level_fits(ours, theirs, level, source)
        equal = fitting and torch.equal(ours.anchors[level], theirs.anchors[source].to(ours.anchors))
        return (base + fitting) * base + equal

    return in_order(len(ours.weights), len(theirs.weights), worth)


def _level_fits(ours: Head, theirs: Head, level: int, source: int) -> bool:
    same_anchors = ours.anchors.shape[1:] == theirs.anchors.shape[1:]
    return same_anchors and ours.weights[level].shape[1:] == theirs.weights[source].shape[1:]


def _merged(own: Tensor, value: Tensor, anchors: int, sources: Sequence[int | None]) -> Tensor:
    merged = own.detach().clone().unflatten(0, (anchors, -1))
    given = value.detach().to(own).unflatten(0, (anchors, -1))
    merged[:, :BOX] = given[:, :BOX]
    taken = [place for place, source in enumerate(sources) if source is not None]
    merged[:, [BOX + place for place in taken]] = given[:, [BOX + source for source in sources if source is not None]]
    return merged.flatten(0, 1)
