"""From objects as labelled to those that training takes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from attendet.data.records import Split


def usable(split: Split, *, single_class: bool = False) -> Split:
    """Return a split with boxes clipped to the image, and without those that have no area or stand there twice.

    All images stay, those without objects as background. Groups stay marked as groups.

    Args:
        split: As read.
        single_class: Make all objects class 0, called `object`.

    Example:
        >>> from pathlib import Path
        >>> from attendet.data.records import Record, Records
        >>> boxes = np.array([[-5.0, 0, 10, 10], [-5.0, 0, 10, 10], [3.0, 3, 3, 9]])
        >>> record = Record(Path("a.jpg"), 640, 480, boxes, np.array([0, 0, 0]), np.array([False] * 3))
        >>> usable(Split("train", ("pear",), Records([record]))).records[0].boxes.tolist()
        [[0.0, 0.0, 10.0, 10.0]]
    """
    records = split.records
    images = records.image_of_objects()
    boxes = np.clip(records.boxes, 0, np.tile(records.sizes, 2)[images])
    classes = np.zeros_like(records.classes) if single_class else records.classes
    columns = np.column_stack([images, classes, records.crowd, boxes])
    first = np.zeros(len(boxes), np.bool_)
    first[np.unique(columns, axis=0, return_index=True)[1]] = True
    keep = first & (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
    return replace(
        split, names=("object",) if single_class else split.names, records=records.with_objects(boxes, classes, keep)
    )
