"""YOLOv5's hyperparameter files."""

from __future__ import annotations

from pathlib import Path

from attendet.errors import OptionError, nearest_name
from attendet.training.config import setting_names
from attendet.utils.yaml_nodes import parse, read_yaml_text

HYPERPARAMETER_ROOMS = ("optimizer", "augment", "loss")
WITHOUT_EFFECT = ("copy_paste", "iou_t")


def read_hyperparameters(path: Path) -> dict[str, object]:
    """Return the settings of a YOLOv5 hyperparameter file, by dotted key.

    A file that sets the learning rate means it for SGD, as in YOLOv5: that is then the optimizer, unless it is set too.
    `iou_t` has no effect in training and is left out; `copy_paste` needs polygons, and `anchors` belongs into the model
    file.

    Raises:
        OptionError: If a key is unknown, or asks for what there is not; with its place.
    """
    root = parse(read_yaml_text(path, OptionError), str(path), OptionError)
    if not isinstance(root.value, dict):
        raise root.error("hyperparameters are a mapping", remedy="write a line such as lr0: 0.01")
    by_name = {name.split(".")[1]: name for name in setting_names() if name.split(".")[0] in HYPERPARAMETER_ROOMS}
    settings: dict[str, object] = {}
    for key, node in root.value.items():
        value = node.plain()
        if key == "copy_paste" and value:
            raise node.error("copy_paste needs polygons, which are not read", remedy="set it to 0")
        if key == "anchors":
            raise node.error("the number of anchors is the model file's", remedy="write anchors: 3 there")
        if key in WITHOUT_EFFECT:
            continue
        if key not in by_name:
            nearest = nearest_name(key, by_name)
            raise node.error(
                f"unknown hyperparameter {key!r}", remedy=f"did you mean {nearest!r}?" if nearest else None
            )
        settings[by_name[key]] = value
    if "optimizer.lr0" in settings:
        settings.setdefault("optimizer.name", "SGD")
    return settings
