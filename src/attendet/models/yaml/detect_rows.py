"""The head that the word `Detect` stands for in a model file."""

from __future__ import annotations

from dataclasses import replace

from attendet.blocks.wiring import split_options
from attendet.models.yaml.family_blocks import is_c3k2
from attendet.models.yaml.model_file import LayerRow, ModelFile
from attendet.registry import normalize_name


def head_row(row: LayerRow, file: ModelFile) -> LayerRow:
    """Return a row with the name of its head in place of `Detect`; any other row is returned as it is.

    Without anchors (see `head_has_anchors`), `Detect` is the head of YOLOv8. In a file with blocks of YOLO11, `C3k2`,
    its class branch is that of YOLO11, unless the row names another one: `[nc, {classes: dense}]`.

    Args:
        row: A row of a model file.
        file: The file.

    Example:
        >>> from attendet.models.yaml.lookup import load_model_file
        >>> file = load_model_file("yolo11n")
        >>> head = head_row(file.rows[-1], file)
        >>> head.module, head.args
        ('AnchorFreeDetect', (80, {'classes': 'depthwise'}))
    """
    if normalize_name(row.module) != "detect" or file.anchors:
        return row
    arguments, options = split_options(row.args)
    is_yolo11 = any(is_c3k2(other.module) for other in file.rows)
    options = {"classes": "depthwise" if is_yolo11 else "dense", **options}
    return replace(row, module="AnchorFreeDetect", args=(*arguments, options))
