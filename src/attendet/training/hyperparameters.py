"""Read the hyperparameter files of YOLOv5."""

from __future__ import annotations

from pathlib import Path

from attendet.errors import OptionError, nearest_name
from attendet.training.config import setting_names
from attendet.utils.yaml_nodes import parse, read_yaml_text

_SECTIONS = ("optimizer", "augment", "loss")
_IGNORED = ("copy_paste", "iou_t")


def read_hyperparameters(path: Path) -> dict[str, object]:
    """Return the settings of a YOLOv5 hyperparameter file, by dotted key.

    In YOLOv5, the learning rate of such a file is meant for SGD. A file that sets `lr0` therefore also selects SGD.
    `iou_t` is ignored because it has no effect on training.

    Args:
        path: The file, such as `hyp.scratch-low.yaml`.

    Raises:
        OptionError: If a key is unknown or not supported (`copy_paste` needs polygons, `anchors` belongs in the model
            file), with its row and column.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder, "hyp.yaml")
        ...     _ = file.write_text("lr0: 0.01")
        ...     read_hyperparameters(file)
        {'optimizer.lr0': 0.01, 'optimizer.name': 'SGD'}
    """
    root = parse(read_yaml_text(path, OptionError), str(path), OptionError)
    if not isinstance(root.value, dict):
        raise root.error(
            "the file must be a mapping of hyperparameters to values", remedy="write lr0: 0.01, for example"
        )
    by_name = {name.split(".")[1]: name for name in setting_names() if name.split(".")[0] in _SECTIONS}
    settings: dict[str, object] = {}
    for key, node in root.value.items():
        value = node.plain()
        if key == "copy_paste" and value:
            raise node.error(f"`copy_paste` must be 0 because polygons are not supported, got {value!r}")
        if key == "anchors":
            raise node.error("`anchors` must be set in the model file", remedy=f"write anchors: {value} there")
        if key in _IGNORED:
            continue
        if key not in by_name:
            nearest = nearest_name(key, by_name)
            remedy = f"did you mean {nearest!r}?" if nearest else None
            raise node.error(f"unknown hyperparameter {key!r}", remedy=remedy)
        settings[by_name[key]] = value
    if "optimizer.lr0" in settings:
        settings.setdefault("optimizer.name", "SGD")
    return settings
