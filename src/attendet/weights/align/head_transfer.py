"""Transfer a detection head between models with different classes: boxes, objectness, and classes of the same name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from attendet.weights.align.module_tensors import TensorMatch
from attendet.weights.align.sequence_pairing import pair_sequences

_BOX_CHANNELS = 5  # x, y, w, h, and objectness come before the classes


@dataclass(frozen=True)
class HeadTensors:
    """The tensors of a detection head.

    Attributes:
        anchors: Anchor sizes (levels, anchors, 2).
        weights: For each level, the weight (anchors · (num_classes + 5), channels, 1, 1) of its convolution.
        biases: For each level, the bias (anchors · (num_classes + 5),) of its convolution.
        num_classes: Number of classes.
    """

    anchors: Tensor
    weights: tuple[Tensor, ...]
    biases: tuple[Tensor, ...]
    num_classes: int


def read_head(tensors: Mapping[str, Tensor]) -> HeadTensors | None:
    """Return the detection head that a module's tensors form, or None if they do not form one.

    Args:
        tensors: The tensors by key, relative to the module.

    Example:
        >>> level = {"m.0.weight": torch.ones(21, 16, 1, 1), "m.0.bias": torch.ones(21)}
        >>> head = read_head({"anchors": torch.ones(1, 3, 2), **level})
        >>> head.num_classes if head else None
        2
        >>> read_head(level) is None
        True
    """
    anchors = tensors.get("anchors")
    if anchors is None or anchors.ndim != 3 or anchors.shape[1] < 1 or anchors.shape[2] != 2:
        return None
    # A tiny file can declare any number of levels with empty anchors, so the last level is checked first.
    if f"m.{len(anchors) - 1}.bias" not in tensors:
        return None
    weights = [tensors.get(f"m.{level}.weight") for level in range(len(anchors))]
    biases = [tensors.get(f"m.{level}.bias") for level in range(len(anchors))]
    outputs = len(biases[0]) if biases[0] is not None and biases[0].ndim == 1 else 0
    classes, remainder = divmod(outputs - _BOX_CHANNELS * anchors.shape[1], anchors.shape[1])
    valid_weights = tuple(w for w in weights if w is not None and w.ndim == 4 and len(w) == outputs)
    valid_biases = tuple(b for b in biases if b is not None and b.shape == (outputs,))
    complete = len(valid_weights) == len(valid_biases) == len(anchors)
    if not complete or classes < 1 or remainder:
        return None
    if any(tensor.is_complex() for tensor in (anchors, *valid_weights, *valid_biases)):
        return None
    return HeadTensors(anchors, valid_weights, valid_biases, classes)


def head_keys(head: HeadTensors) -> list[str]:
    """Return the keys of a head's tensors."""
    levels = range(len(head.weights))
    return ["anchors", *(f"m.{level}.{name}" for level in levels for name in ("weight", "bias"))]


def match_heads(model: HeadTensors, file: HeadTensors, sources: Sequence[int | None]) -> dict[str, TensorMatch]:
    """Return the counterparts of the tensors of the model's head.

    Levels are matched in order. If one head has more levels, levels are matched by their channels, then by their
    anchors. The anchors of a level are transferred with it.

    Args:
        model: The head of the model.
        file: The head of the file.
        sources: For each class of the model, the class of the file whose channels it gets (see `class_sources`).
    """
    anchors = model.anchors.detach().clone()
    pairs = _pair_levels(model, file)
    transferred = [(level, source) for level, source in pairs if _level_fits(model, file, level, source)]
    matches: dict[str, TensorMatch] = {}
    for level, source in pairs:
        for name, own, others in (("weight", model.weights, file.weights), ("bias", model.biases, file.biases)):
            fits = (level, source) in transferred
            value = _merge_classes(own[level], others[source], anchors.shape[1], sources) if fits else None
            matches[f"m.{level}.{name}"] = TensorMatch(f"m.{source}.{name}", value, fits and None not in sources)
    for level, source in transferred:
        anchors[level] = file.anchors[source].detach().to(anchors)
    matches["anchors"] = TensorMatch(
        "anchors", anchors if transferred else None, whole=len(transferred) == len(anchors)
    )
    return matches


def class_sources(
    model_count: int, file_count: int, model_names: Sequence[str] | None, file_names: Sequence[str] | None
) -> list[int | None]:
    """Return, for each class of the model, the index of the same class in the file, or None if the class is new.

    Classes are matched by name. If names are unknown, or no name occurs on both sides, equally many classes are matched
    by index.

    Args:
        model_count: Number of classes of the model.
        file_count: Number of classes of the file.
        model_names: Class names of the model; ignored if their number is not `model_count`.
        file_names: Class names of the file; ignored if their number is not `file_count`.

    Example:
        >>> class_sources(2, 3, ["cat", "dog"], ["dog", "cow", "cat"])
        [2, 0]
        >>> class_sources(2, 2, ["cat", "dog"], None)
        [0, 1]
        >>> class_sources(1, 2, ["cell"], ["cat", "dog"])
        [None]
    """
    if model_names and file_names and len(model_names) == model_count and len(file_names) == file_count:
        if list(model_names) == list(file_names):
            return list(range(model_count))
        indices = {name: index for index, name in reversed(list(enumerate(file_names)))}
        if any(name in indices for name in model_names):
            return [indices.get(name) for name in model_names]
    return list(range(model_count)) if model_count == file_count else [None] * model_count


def _pair_levels(model: HeadTensors, file: HeadTensors) -> list[tuple[int, int]]:
    """Return pairs of a level of the model and a level of the file."""
    base = len(model.weights) + 1

    def score(level: int, source: int) -> int:
        # The number of pairs counts first. Otherwise the weights of a narrower model would move to the next level.
        fits = _level_fits(model, file, level, source)
        same_anchors = fits and torch.equal(model.anchors[level], file.anchors[source].to(model.anchors))
        return (base + fits) * base + same_anchors

    return pair_sequences(len(model.weights), len(file.weights), score)


def _level_fits(model: HeadTensors, file: HeadTensors, level: int, source: int) -> bool:
    same_anchors = model.anchors.shape[1:] == file.anchors.shape[1:]
    return same_anchors and model.weights[level].shape[1:] == file.weights[source].shape[1:]


def _merge_classes(own: Tensor, value: Tensor, anchors: int, sources: Sequence[int | None]) -> Tensor:
    """Return the model's own tensor with the boxes, the objectness, and the known classes of the file's tensor."""
    merged = own.detach().clone().unflatten(0, (anchors, -1))
    given = value.detach().to(own).unflatten(0, (anchors, -1))
    merged[:, :_BOX_CHANNELS] = given[:, :_BOX_CHANNELS]
    known = [(index, source) for index, source in enumerate(sources) if source is not None]
    merged[:, [_BOX_CHANNELS + index for index, _ in known]] = given[:, [_BOX_CHANNELS + source for _, source in known]]
    return merged.flatten(0, 1)
