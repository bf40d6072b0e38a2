"""Transfer a detection head between models with different classes: boxes, objectness, and classes of the same name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from attendet.weights.align.head_tensors import HeadTensors, at_level
from attendet.weights.align.module_tensors import TensorMatch, match_tensors
from attendet.weights.align.sequence_pairing import pair_sequences


def match_heads(model: HeadTensors, file: HeadTensors, sources: Sequence[int | None]) -> dict[str, TensorMatch]:
    """Return the counterparts of the tensors of the model's head; none if only one of the heads has anchors.

    Levels are matched in order. If one head has more levels, levels are matched by their channels, then by their
    anchors. The anchors of a level are transferred with it. A branch of a level is transferred as a whole or not at
    all: the width of a branch of classes depends on their number, and a branch of another width starts new.

    Args:
        model: The head of the model.
        file: The head of the file.
        sources: For each class of the model, the class of the file whose channels it gets (see `class_sources`).
    """
    if (model.anchors is None) != (file.anchors is None):
        return {}
    matches = _match_constants(model, file)
    pairs = _pair_levels(model, file)
    for level, source in pairs:
        found = _match_level(model, file, level, source, sources)
        matches |= {at_level(key, level): _of_file(match, source) for key, match in found.items()}
    if model.anchors is not None and file.anchors is not None:
        anchors = model.anchors.detach().clone()
        transferred = [(level, source) for level, source in pairs if _classes_fit(model, file, level, source)]
        for level, source in transferred:
            anchors[level] = file.anchors[source].detach().to(anchors)
        whole = len(transferred) == len(anchors)
        matches["anchors"] = TensorMatch("anchors", anchors if transferred else None, whole)
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


def _match_level(
    model: HeadTensors, file: HeadTensors, level: int, source: int, sources: Sequence[int | None]
) -> dict[str, TensorMatch]:
    """Return the counterparts of the tensors of a level, by their keys with `*` in the place of the level's number."""
    own, other = model.levels[level], file.levels[source]
    fits = _classes_fit(model, file, level, source)
    matches = _match_branch(own.box_branch, other.box_branch)
    for key, match in _match_branch(own.class_branch, other.class_branch).items():
        matches[key] = match if fits else TensorMatch(match.key, None, whole=False)
    for key, tensor in own.outputs.items():
        value = _merge_classes(model, tensor, other.outputs[key], sources) if fits else None
        matches[key] = TensorMatch(key, value, fits and None not in sources)
    return matches


def _match_constants(model: HeadTensors, file: HeadTensors) -> dict[str, TensorMatch]:
    """Return the constants as kept, also if the file lacks them, but not if the file has other values."""
    matches: dict[str, TensorMatch] = {}
    for key, value in model.constants.items():
        stored = file.constants.get(key)
        same = stored is None or (stored.shape == value.shape and torch.equal(stored.to(value), value))
        matches[key] = TensorMatch(None if stored is None else key, value if same else None, same)
    return matches


def _pair_levels(model: HeadTensors, file: HeadTensors) -> list[tuple[int, int]]:
    """Return pairs of a level of the model and a level of the file."""
    base = 2 * len(model.levels) + 1

    def score(level: int, source: int) -> int:
        # The number of pairs counts first. Otherwise the weights of a narrower model would move to the next level.
        fits = _classes_fit(model, file, level, source) + _boxes_fit(model, file, level, source)
        return (base + fits) * base + (fits > 0 and _same_anchors(model, file, level, source))

    return pair_sequences(len(model.levels), len(file.levels), score)


def _same_anchors(model: HeadTensors, file: HeadTensors, level: int, source: int) -> bool:
    if model.anchors is None or file.anchors is None:
        return False
    return torch.equal(model.anchors[level], file.anchors[source].to(model.anchors))


def _boxes_fit(model: HeadTensors, file: HeadTensors, level: int, source: int) -> bool:
    return _is_whole(model.levels[level].box_branch, file.levels[source].box_branch)


def _classes_fit(model: HeadTensors, file: HeadTensors, level: int, source: int) -> bool:
    """Return whether the outputs of a level have the same inputs, and the same boxes per cell."""
    own, other = model.levels[level], file.levels[source]
    same_boxes = (model.boxes, model.box_outputs) == (file.boxes, file.box_outputs)
    same_inputs = all(tensor.shape[1:] == other.outputs[key].shape[1:] for key, tensor in own.outputs.items())
    return same_boxes and same_inputs and _is_whole(own.class_branch, other.class_branch)


def _is_whole(model: Mapping[str, Tensor], file: Mapping[str, Tensor]) -> bool:
    matches = _match_branch(model, file)
    return all(match.whole for match in matches.values()) and bool(matches) == bool(model)


def _match_branch(model: Mapping[str, Tensor], file: Mapping[str, Tensor]) -> dict[str, TensorMatch]:
    return match_tensors(model, file, lambda _: ())


def _of_file(match: TensorMatch, source: int) -> TensorMatch:
    return TensorMatch(match.key and at_level(match.key, source), match.value, match.whole)


def _merge_classes(head: HeadTensors, own: Tensor, value: Tensor, sources: Sequence[int | None]) -> Tensor | None:
    """Return the model's own tensor with the boxes, the objectness, and the known classes of the file's tensor."""
    known = [(index, source) for index, source in enumerate(sources) if source is not None]
    if not known and not head.box_outputs:
        return None
    merged = own.detach().clone().unflatten(0, (head.boxes, -1))
    given = value.detach().to(own).unflatten(0, (head.boxes, -1))
    first = head.box_outputs
    merged[:, :first] = given[:, :first]
    merged[:, [first + index for index, _ in known]] = given[:, [first + source for _, source in known]]
    return merged.flatten(0, 1)
