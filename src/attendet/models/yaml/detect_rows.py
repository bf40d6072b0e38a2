"""Choose the head of a model file, in which every head is called `Detect`."""

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
    if not _is_anchor_free_detect(row, file):
        return row
    arguments, options = split_options(row.args)
    return replace(row, module="AnchorFreeDetect", args=(*arguments, {"classes": _branch_of_blocks(file), **options}))


def inferred_class_branch(file: ModelFile) -> str | None:
    """Return the class branch of the head if the blocks of the file decide it; None if its row does, or has no choice.

    Example:
        >>> from attendet.models.yaml.lookup import load_model_file
        >>> [inferred_class_branch(load_model_file(name)) for name in ("yolov5n", "yolov8n", "yolo11n")]
        [None, 'dense', 'depthwise']
    """
    head = file.rows[-1]
    is_named = "classes" in split_options(head.args)[1]
    return None if is_named or not _is_anchor_free_detect(head, file) else _branch_of_blocks(file)


def _is_anchor_free_detect(row: LayerRow, file: ModelFile) -> bool:
    return normalize_name(row.module) == "detect" and not file.anchors


def _branch_of_blocks(file: ModelFile) -> str:
    return "depthwise" if any(is_c3k2(row.module) for row in file.rows) else "dense"
