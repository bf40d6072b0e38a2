"""The size of a model file: two multiples, or one of several sizes under `scales` in YOLOv8 and later families."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from attendet.models.yaml.checked_values import require_integer, require_positive
from attendet.utils.text import short_repr
from attendet.utils.yaml_nodes import Node

_KEYS = ("depth", "width")
# A size ends before a capital letter: yolov8sSE is size s, and yolov8-SE is without a size.
_SIZE_IN_NAME = re.compile(r"(?i:yolo[a-z]*)\d+(?:([a-z])(?![a-z])|([A-Z])(?![a-zA-Z])|[-_]([a-zA-Z])(?![a-zA-Z0-9]))")


@dataclass(frozen=True)
class ModelScale:
    """One size of an architecture.

    Attributes:
        depth: Depth multiple.
        width: Width multiple.
        max_width: Largest number of output channels, before the width multiple is applied.
        name: Name of the size, such as `n`; None if the file does not list sizes.
        is_assumed: The size is the first one of several, because neither the file nor its name selects one.
    """

    depth: float
    width: float
    max_width: int
    name: str | None = None
    is_assumed: bool = False


def has_scales(keys: Mapping[str, Node]) -> bool:
    """Return whether a file lists its sizes under `scales`, as in YOLOv8 and later families."""
    return "scales" in keys and "depth_multiple" not in keys


def read_scale(keys: Mapping[str, Node], name: str, max_multiple: float, max_width: int) -> ModelScale:
    """Return the size of a model file: its multiples, or one of the sizes under `scales`.

    The key `scale`, which checkpoints have, or the name of the file selects the size.

    Args:
        keys: The values of the file by key.
        name: Path of the file, such as `yolov8s_CBAM.yaml`. A name without a size selects the first one.
        max_multiple: Largest depth multiple and width multiple.
        max_width: Largest number of channels.

    Raises:
        ModelFileError: If a multiple is not valid, `scales` is not a mapping to [depth, width, largest width], or
            `scale` is not one of them.

    Example:
        >>> from attendet.utils.yaml_nodes import parse
        >>> keys = parse("scales: {n: [0.33, 0.25, 1024], s: [0.33, 0.50, 1024]}", "yolov8.yaml").value
        >>> read_scale(keys, "models/yolov8s_CBAM.yaml", 16, 65_536)
        ModelScale(depth=0.33, width=0.5, max_width=1024, name='s', is_assumed=False)
    """
    if not has_scales(keys):
        depth, width = (require_positive(keys[f"{key}_multiple"], f"`{key}_multiple`", max_multiple) for key in _KEYS)
        return ModelScale(depth, width, max_width)
    scales = keys["scales"]
    sizes = scales.value
    if not isinstance(sizes, dict) or not sizes:
        raise scales.error("`scales` must be a mapping like {n: [0.33, 0.25, 1024]}")
    named = _named_size(keys.get("scale"), sizes, name)
    letter = named or next(iter(sizes))
    chosen = sizes[letter]
    match chosen.value:
        case [depth, width, largest]:
            return ModelScale(
                require_positive(depth, "the depth multiple", max_multiple),
                require_positive(width, "the width multiple", max_multiple),
                require_integer(largest, "the largest width", 1, max_width),
                letter,
                is_assumed=named is None and len(sizes) > 1,
            )
        case _:
            raise chosen.error("a size must be [depth multiple, width multiple, largest width]")


def _named_size(scale: Node | None, sizes: Mapping[str, Node], name: str) -> str | None:
    """Return the size that the key `scale` names, as in checkpoints, or the name of the file."""
    if scale is not None:
        if not isinstance(scale.value, str) or scale.value not in sizes:
            raise scale.error(f"`scale` must be one of {', '.join(sizes)}, got {short_repr(scale.plain())}")
        return scale.value
    match = _SIZE_IN_NAME.search(Path(name).name)
    size = "".join(match.groups("")).lower() if match else None
    return size if size in sizes else None
