"""The size of a model file: two multiples, or one of several sizes under `scales` in YOLOv8 and later families."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from attendet.models.yaml.checked_values import require_integer, require_positive
from attendet.utils.yaml_nodes import Node

_KEYS = ("depth", "width")
_SIZE_IN_NAME = re.compile(r"yolo[a-z]*\d+([a-z])(?![a-z])", re.IGNORECASE)


@dataclass(frozen=True)
class ModelScale:
    """One size of an architecture.

    Attributes:
        depth: Depth multiple.
        width: Width multiple.
        max_width: Largest number of output channels, before the width multiple is applied.
    """

    depth: float
    width: float
    max_width: int


def has_scales(keys: Mapping[str, Node]) -> bool:
    """Return whether a file is one of YOLOv8 or a later family, whose heads have no anchors."""
    return "scales" in keys and "anchors" not in keys


def read_scale(keys: Mapping[str, Node], name: str, max_multiple: float, max_width: int) -> ModelScale:
    """Return the size of a model file: its multiples, or the size under `scales` that the name of the file selects.

    Args:
        keys: The values of the file by key.
        name: Path of the file, such as `yolov8s_CBAM.yaml`. A name without a size selects the first one.
        max_multiple: Largest depth multiple and width multiple.
        max_width: Largest number of channels.

    Raises:
        ModelFileError: If a multiple is not valid, or `scales` is not a mapping to [depth, width, largest width].

    Example:
        >>> from attendet.utils.yaml_nodes import parse
        >>> keys = parse("scales: {n: [0.33, 0.25, 1024], s: [0.33, 0.50, 1024]}", "yolov8.yaml").value
        >>> read_scale(keys, "models/yolov8s_CBAM.yaml", 16, 65_536)
        ModelScale(depth=0.33, width=0.5, max_width=1024)
    """
    if not has_scales(keys):
        depth, width = (require_positive(keys[f"{key}_multiple"], f"`{key}_multiple`", max_multiple) for key in _KEYS)
        return ModelScale(depth, width, max_width)
    scales = keys["scales"]
    sizes = scales.value
    if not isinstance(sizes, dict) or not sizes:
        raise scales.error("`scales` must be a mapping like {n: [0.33, 0.25, 1024]}")
    letter = _SIZE_IN_NAME.search(Path(name).name)
    chosen = sizes.get(letter[1].lower() if letter else "") or next(iter(sizes.values()))
    match chosen.value:
        case [depth, width, largest]:
            return ModelScale(
                require_positive(depth, "the depth multiple", max_multiple),
                require_positive(width, "the width multiple", max_multiple),
                require_integer(largest, "the largest width", 1, max_width),
            )
        case _:
            raise chosen.error("a size must be [depth multiple, width multiple, largest width]")
