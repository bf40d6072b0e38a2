"""The tensors of a detection head as data: what belongs to boxes, and what to classes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from torch import Tensor

_LEVEL = "*"
_BOX_OUTPUTS = 5  # x, y, w, h, and objectness come before the classes of each anchor in YOLOv5
_SIDES = 4
# The branches of boxes (cv2) and of classes (cv3) of a level, and the last convolution of both.
_BRANCH_KEY = re.compile(r"(cv[23])\.(0|[1-9][0-9]{0,2})\.(.+)", re.DOTALL)
_LAST = "2"
# Weights that are the same in every file, and never trained.
_CONSTANTS = ("dfl.conv.weight",)

HEAD_KEY = re.compile(
    r"(.+)\.(anchors|m\.[0-9]{1,3}\.(?:weight|bias)|cv[23]\.[0-9]{1,3}\.2\.(?:weight|bias))", re.DOTALL
)
"""The keys that show a head and its number of classes: the row, and the key that `read_head` expects."""


@dataclass(frozen=True)
class HeadLevel:
    """The tensors of one level of a head by key, with `*` in the place of the level's number.

    Attributes:
        outputs: Weight (outputs, channels, 1, 1) and bias (outputs,) of the convolution with the logits of the classes.
        box_branch: The layers that only boxes depend on.
        class_branch: The layers before `outputs` that only classes depend on.
    """

    outputs: Mapping[str, Tensor]
    box_branch: Mapping[str, Tensor] = field(default_factory=dict)
    class_branch: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class HeadTensors:
    """The tensors of a detection head.

    Attributes:
        levels: Its levels in order. The outputs of a level have `boxes` groups of `box_outputs` channels, followed by
            one channel per class.
        num_classes: Number of classes.
        boxes: Number of boxes per cell that have classes of their own.
        box_outputs: Number of channels before the classes.
        anchors: Anchor sizes (levels, boxes, 2); None for a head without anchors.
        constants: Tensors with the same values in every file.
    """

    levels: tuple[HeadLevel, ...]
    num_classes: int
    boxes: int = 1
    box_outputs: int = 0
    anchors: Tensor | None = None
    constants: Mapping[str, Tensor] = field(default_factory=dict)

    def keys(self) -> list[str]:
        """Return the keys of all tensors, relative to the head."""
        levels = [
            at_level(key, number)
            for number, level in enumerate(self.levels)
            for key in (*level.box_branch, *level.class_branch, *level.outputs)
        ]
        return [*(["anchors"] if self.anchors is not None else []), *levels, *self.constants]


def at_level(key: str, level: int) -> str:
    """Return the key of a tensor at a level.

    Example:
        >>> at_level("cv2.*.0.conv.weight", 1)
        'cv2.1.0.conv.weight'
    """
    return key.replace(_LEVEL, str(level), 1)


def is_constant(key: str) -> bool:
    """Return whether a tensor of a head has the same values in every file, so that a file may lack it.

    Example:
        >>> is_constant("model.22.dfl.conv.weight"), is_constant("model.0.conv.weight")
        (True, False)
    """
    return any(key == constant or key.endswith(f".{constant}") for constant in _CONSTANTS)


def read_head(tensors: Mapping[str, Tensor]) -> HeadTensors | None:
    """Return the detection head that a module's tensors form, or None if they do not form one.

    A head with anchors, as in YOLOv5, has one convolution per level. A head without anchors, as in YOLOv8, has a branch
    for boxes and a branch for classes per level.

    Args:
        tensors: The tensors by key, relative to the module, without the tensors of attention.

    Example:
        >>> import torch
        >>> level = {"m.0.weight": torch.ones(21, 16, 1, 1), "m.0.bias": torch.ones(21)}
        >>> head = read_head({"anchors": torch.ones(1, 3, 2), **level})
        >>> head.num_classes if head else None
        2
        >>> read_head(level) is None
        True
    """
    head = _read_anchor_based(tensors) if "anchors" in tensors else _read_anchor_free(tensors)
    if head is None or any(tensors[key].is_complex() for key in head.keys()):  # noqa: SIM118 - not a mapping
        return None
    return head


def _read_anchor_based(tensors: Mapping[str, Tensor]) -> HeadTensors | None:
    anchors = tensors["anchors"]
    if anchors.ndim != 3 or anchors.shape[1] < 1 or anchors.shape[2] != 2:
        return None
    # A tiny file can declare any number of levels with empty anchors, so the last level is checked first.
    if f"m.{len(anchors) - 1}.bias" not in tensors:
        return None
    levels = [_outputs(tensors, "m.*", number) for number in range(len(anchors))]
    outputs = _equal_outputs(levels)
    classes, remainder = divmod(outputs - _BOX_OUTPUTS * anchors.shape[1], anchors.shape[1])
    if classes < 1 or remainder:
        return None
    parts = tuple(HeadLevel(level) for level in levels)
    return HeadTensors(parts, classes, anchors.shape[1], _BOX_OUTPUTS, anchors)


def _read_anchor_free(tensors: Mapping[str, Tensor]) -> HeadTensors | None:
    branches: dict[str, dict[int, dict[str, Tensor]]] = {"cv2": {}, "cv3": {}}
    for key, tensor in tensors.items():
        parts = _BRANCH_KEY.fullmatch(key)
        if parts:
            level = branches[parts[1]].setdefault(int(parts[2]), {})
            level[f"{parts[1]}.{_LEVEL}.{parts[3]}"] = tensor
    boxes, classes = branches["cv2"], branches["cv3"]
    count = len(boxes)
    if not count or set(boxes) != set(range(count)) or set(classes) != set(boxes):
        return None
    outputs = [_outputs(tensors, f"cv3.*.{_LAST}", number) for number in range(count)]
    sides = _equal_outputs(_outputs(tensors, f"cv2.*.{_LAST}", number) for number in range(count))
    num_classes = _equal_outputs(outputs)
    if num_classes < 1 or sides < 1 or sides % _SIDES:
        return None
    levels = tuple(
        HeadLevel(
            outputs[number],
            boxes[number],
            {key: value for key, value in classes[number].items() if key not in outputs[number]},
        )
        for number in range(count)
    )
    constants = {key: tensors[key] for key in _CONSTANTS if key in tensors}
    return HeadTensors(levels, num_classes, constants=constants)


def _outputs(tensors: Mapping[str, Tensor], layer: str, level: int) -> dict[str, Tensor]:
    """Return weight and bias of a convolution, if they exist."""
    keys = (f"{layer}.weight", f"{layer}.bias")
    return {key: tensors[at_level(key, level)] for key in keys if at_level(key, level) in tensors}


def _equal_outputs(levels: Iterable[Mapping[str, Tensor]]) -> int:
    """Return the number of outputs that the convolutions of all levels have; 0 if they differ or are incomplete."""
    counts: set[int] = set()
    for level in levels:
        match list(level.values()):
            case [weight, bias] if weight.ndim == 4 and bias.ndim == 1 and len(weight) == len(bias):
                counts.add(len(bias))
            case _:
                return 0
    return counts.pop() if len(counts) == 1 else 0
