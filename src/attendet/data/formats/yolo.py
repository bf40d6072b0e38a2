"""YOLO's label format: a text file per image, a line per object, coordinates in 0-1 of the image."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence

from attendet.data.formats.labels import ImageLabels, LabelBuilder, read_label_file
from attendet.data.records import ProblemKind
from attendet.errors import DataError, Location
from attendet.utils.text import short_repr, shorten

COORDINATE_TOLERANCE = 0.01
"""How far outside 0-1 a coordinate may be, because of rounding or of boxes that reach over the edge of the image."""

_MAX_CLASS_INDEX = 1_000_000


def label_path(image: str) -> str:
    """Return the path of the label file of an image.

    The last folder `images` in the path is replaced by `labels`; without such a folder, the label file is next to the
    image.

    Example:
        >>> label_path("/data/images/train/a.jpg"), label_path("/data/train/a.jpg")
        ('/data/labels/train/a.txt', '/data/train/a.txt')
    """
    before, folder, below = image.rpartition("/images/")
    return os.path.splitext(f"{before}/labels/{below}" if folder else image)[0] + ".txt"  # noqa: PTH122 - 100,000 times


def read_yolo_labels(path: str) -> ImageLabels:
    """Read a YOLO label file.

    If the file is missing, the labels have no objects and one problem.

    Raises:
        DataError: If the file cannot be read or is not text.
    """
    if not os.path.lexists(path):
        builder = LabelBuilder(path)
        builder.add_problem("treated as background", kind=ProblemKind.MISSING_LABELS)
        return builder.build(normalized=True)
    try:
        return parse_yolo_labels(read_label_file(path).decode("utf-8-sig"), path)
    except UnicodeDecodeError as error:
        raise DataError("the file is not UTF-8 text", where=Location(path)) from error


def parse_yolo_labels(text: str, file: str) -> ImageLabels:
    """Parse the text of a YOLO label file.

    A line is `class x y width height` (x, y: center of the box) or `class x1 y1 x2 y2 x3 y3 ...` (the points of a
    polygon, at least 3, whose bounding box is taken). All coordinates are in 0-1 of the image.

    Args:
        text: Content of the label file.
        file: Path of the label file, for messages.

    Returns:
        The labels; lines that are not valid are listed in its `problems`.

    Example:
        >>> labels = parse_yolo_labels("2 0.5 0.5 0.2 0.4", "a.txt")
        >>> labels.classes, labels.boxes.round(2).tolist()
        ((2,), [[0.4, 0.3, 0.6, 0.7]])
    """
    builder = LabelBuilder(file)
    for line, row in enumerate(text.split("\n"), start=1):
        fields = row.split()
        if not fields:
            continue
        try:
            category, box = _parse_object(fields)
        except ValueError as error:
            builder.add_problem(str(error), line)
        else:
            builder.add_object(category, box, line=line)
    return builder.build(normalized=True)


def _parse_object(fields: Sequence[str]) -> tuple[int, tuple[float, float, float, float]]:
    """Return the class and the corners (0-1) of the object on a line; raise ValueError if the line is not valid."""
    numbers = [_parse_number(field) for field in fields]
    category, values = numbers[0], numbers[1:]
    if not 0 <= category <= _MAX_CLASS_INDEX or category != int(category):
        raise ValueError(f"the class must be an integer from 0, got {shorten(fields[0], 40)}")
    for field, value in zip(fields[1:], values, strict=True):
        if not -COORDINATE_TOLERANCE <= value <= 1 + COORDINATE_TOLERANCE:
            raise ValueError(f"coordinates must be 0-1, got {shorten(field, 40)}")
    if len(values) == 4:
        x, y, width, height = values
        if width < 0 or height < 0:
            raise ValueError(f"width and height must not be negative, got {width:g} and {height:g}")
        return int(category), (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
    if len(values) >= 6 and len(values) % 2 == 0:
        return int(category), (min(values[::2]), min(values[1::2]), max(values[::2]), max(values[1::2]))
    raise ValueError(f"a line must have 5 numbers, or a class and the x and y of at least 3 points, got {len(fields)}")


def _parse_number(field: str) -> float:
    try:
        value = float(field)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"{short_repr(field, 40)} is not a number")
    return value
