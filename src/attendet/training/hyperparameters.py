"""Read the hyperparameter files of YOLOv5 and YOLOv8."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from attendet.errors import OptionError, nearest_name
from attendet.training.config import setting_names
from attendet.utils.text import short_repr
from attendet.utils.yaml_nodes import parse, read_yaml_text

_SECTIONS = ("optimizer", "augment", "loss")
# Hyperparameters of YOLOv8 that have another name here.
_OTHER_NAMES = {"nbs": "optimizer.nominal_batch", "close_mosaic": "schedule.close_mosaic"}
_OTHER_TASK = "it belongs to another task than detection"
# Why a hyperparameter has no effect.
_WITHOUT_EFFECT = {
    "copy_paste": "labels are boxes, and only polygons can be pasted",
    "copy_paste_mode": "labels are boxes, and only polygons can be pasted",
    "anchors": "the model file sets the number of anchors",
    "bgr": "images keep the order of their channels",
    **dict.fromkeys(("pose", "kobj", "auto_augment", "erasing", "crop_fraction", "mask_ratio"), _OTHER_TASK),
    **dict.fromkeys(("overlap_mask", "dropout"), _OTHER_TASK),
}
# YOLOv5's own files have it, and YOLOv5 does not use it for training either.
_UNUSED = "iou_t"


@dataclass(frozen=True)
class Hyperparameters:
    """The settings of a hyperparameter file.

    Attributes:
        settings: Values by dotted key, such as `optimizer.lr0`.
        notes: A sentence for each hyperparameter that has no effect.
    """

    settings: dict[str, object]
    notes: tuple[str, ...] = ()


def read_hyperparameters(path: Path) -> Hyperparameters:
    """Read a hyperparameter file of YOLOv5 or YOLOv8.

    The learning rate of such a file is meant for SGD. A file that sets `lr0` therefore also selects SGD. `copy_paste`,
    `anchors`, `iou_t`, and the hyperparameters of other tasks have no effect.

    Args:
        path: The file, such as `hyp.scratch-low.yaml`.

    Raises:
        OptionError: If a key is unknown, with its row and column.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder, "hyp.yaml")
        ...     _ = file.write_text("lr0: 0.01")
        ...     read_hyperparameters(file)
        Hyperparameters(settings={'optimizer.lr0': 0.01, 'optimizer.name': 'SGD'}, notes=())
    """
    root = parse(read_yaml_text(path, OptionError), str(path), OptionError)
    if not isinstance(root.value, dict):
        raise root.error(
            "the file must be a mapping of hyperparameters to values", remedy="write lr0: 0.01, for example"
        )
    by_name = {name.split(".")[1]: name for name in setting_names() if name.split(".")[0] in _SECTIONS}
    by_name |= _OTHER_NAMES
    settings: dict[str, object] = {}
    notes: list[str] = []
    for key, node in root.value.items():
        value = node.plain()
        if key == _UNUSED:
            continue
        if key in _WITHOUT_EFFECT:
            # 0 switches each of them off in the originals, too.
            if value:
                notes.append(f"{node.location}: `{key}` {value} has no effect: {_WITHOUT_EFFECT[key]}")
            continue
        if key not in by_name:
            nearest = nearest_name(key, by_name)
            remedy = f"did you mean {nearest!r}?" if nearest else None
            raise node.error(f"unknown hyperparameter {short_repr(key)}", remedy=remedy)
        settings[by_name[key]] = value
    if "optimizer.lr0" in settings:
        settings.setdefault("optimizer.name", "SGD")
    return Hyperparameters(settings, tuple(notes))
