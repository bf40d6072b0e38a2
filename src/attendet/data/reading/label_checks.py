"""Checks of labels against their image, and the selection of the objects that training uses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from attendet.data.formats.labels import ImageLabels
from attendet.data.images import ImageInfo
from attendet.data.records import ImageRecord, Problem, ProblemKind, Split
from attendet.errors import DataError, Location

# A box may reach this many pixels outside the image because its coordinates were rounded to whole pixels.
_ROUNDING = 0.5

# A box is a sliver if its shorter side, inside the image, has at most this many pixels.
_MAX_SLIVER_SIDE = 1.0


def make_record(
    image: str, info: ImageInfo, labels: ImageLabels, class_indices: Mapping[int | str, int]
) -> tuple[ImageRecord, Iterator[Problem]]:
    """Combine an image and its labels into a record, and check the labels against the image.

    Args:
        image: Path of the image.
        info: Properties of the image.
        labels: Content of its label file.
        class_indices: Class index by the index or name that label files use.

    Returns:
        The record, with boxes as labeled, and the problems.
    """
    size = (info.width, info.height)
    classes = np.array([class_indices.get(category, -1) for category in labels.classes], np.int64)
    boxes = labels.boxes * np.array([*size, *size]) if labels.normalized else labels.boxes
    known = classes >= 0
    record = ImageRecord(Path(image), *size, boxes[known], classes[known], labels.crowd[known])
    return record, _find_problems(image, labels, boxes, classes, size)


LabelState = Literal["found", "empty", "missing", "invalid"]

# Problems after which it is not known what the image shows.
_INVALID = frozenset({ProblemKind.MALFORMED, ProblemKind.UNKNOWN_CLASS})


def label_state(record: ImageRecord, problems: Sequence[Problem]) -> tuple[LabelState, Problem | None]:
    """Return the state of an image's labels, and the problem of missing or invalid ones.

    Labels are invalid if a part of them cannot be understood, or if none of their boxes has an area inside the image.

    Args:
        record: The image, and its objects as labeled.
        problems: The problems of its labels.

    Example:
        >>> record, malformed = ImageRecord(Path("a.jpg"), 9, 9), Problem(ProblemKind.MALFORMED, Location("a.txt", 1))
        >>> label_state(record, [malformed])[0], label_state(record, [])[0]
        ('invalid', 'empty')
    """
    first = next((problem for problem in problems if problem.kind in _INVALID), None)
    if first is not None:
        return "invalid", first
    if not len(record.boxes):
        missing = next((problem for problem in problems if problem.kind is ProblemKind.MISSING_LABELS), None)
        return ("empty", None) if missing is None else ("missing", missing)
    clipped = np.clip(record.boxes, 0, (record.width, record.height) * 2)
    if (clipped[:, 2:] > clipped[:, :2]).all(axis=1).any():
        return "found", None
    return "invalid", next((problem for problem in problems if problem.kind is ProblemKind.ZERO_AREA), None)


def _find_problems(
    image: str, labels: ImageLabels, boxes: NDArray[np.float64], classes: NDArray[np.int64], size: tuple[int, int]
) -> Iterator[Problem]:
    yield from labels.problems
    if labels.stated_size is not None and labels.stated_size != size:
        stated, actual = ("×".join(map(str, sides)) for sides in (labels.stated_size, size))
        yield Problem(ProblemKind.WRONG_SIZE, Location(labels.file), f"{Path(image).name} is {actual}, not {stated}")
    for index in np.flatnonzero(classes < 0).tolist():
        yield labels.problem(ProblemKind.UNKNOWN_CLASS, index, repr(labels.classes[index]))
    yield from _check_boxes(labels, boxes, classes, size)


def _check_boxes(
    labels: ImageLabels, boxes: NDArray[np.float64], classes: NDArray[np.int64], size: tuple[int, int]
) -> Iterator[Problem]:
    """Yield the problems of boxes whose class is known."""
    if not len(boxes):
        return
    clipped = np.minimum(np.maximum(boxes, 0), (*size, *size))
    excess = np.abs(boxes - clipped).max(axis=1)
    shorter_sides = (clipped[:, 2:] - clipped[:, :2]).min(axis=1)
    doubtful = (classes >= 0) & ((excess > _ROUNDING) | (shorter_sides <= _MAX_SLIVER_SIDE))
    for index in np.flatnonzero(doubtful).tolist():
        x1, y1, x2, y2 = boxes[index].tolist()
        sides = f"{x2 - x1:.4g}×{y2 - y1:.4g} px"
        if shorter_sides[index] <= 0:
            detail = sides if min(x2 - x1, y2 - y1) <= 0 else f"{sides}, entirely outside the image"
            yield labels.problem(ProblemKind.ZERO_AREA, index, detail)
            continue
        if excess[index] > _ROUNDING:
            yield labels.problem(ProblemKind.OUTSIDE, index, f"by {excess[index]:.4g} px")
        if shorter_sides[index] <= _MAX_SLIVER_SIDE:
            yield labels.problem(ProblemKind.SLIVER, index, sides)
    yield from _find_duplicates(labels, boxes, classes)


def _find_duplicates(labels: ImageLabels, boxes: NDArray[np.float64], classes: NDArray[np.int64]) -> Iterator[Problem]:
    objects = [(category, *box) for category, box in zip(classes.tolist(), boxes.tolist(), strict=True)]
    if len(set(objects)) == len(objects):
        return
    first_index: dict[tuple[float, ...], int] = {}
    for index, item in enumerate(objects):
        first = first_index.setdefault(item, index)
        if item[0] >= 0 and first != index:
            line = labels.lines[first]
            yield labels.problem(ProblemKind.DUPLICATE_BOX, index, "" if line is None else f"the same as line {line}")


def require_labels(split: Split) -> None:
    """Raise an error if no image of a split has labels.

    Raises:
        DataError: It names the place where labels were looked for, their format, and the first problem.
    """
    for problem in split.problems:
        if problem.kind is ProblemKind.NO_LABELS:
            raise DataError(f"no image of {split.name} has labels", where=problem.where, remedy=problem.detail)


def drop_invalid(split: Split, *, single_class: bool = False) -> Split:
    """Return a split with the objects that training and evaluation use.

    Boxes are clipped to their image. Boxes without area and duplicates (same image, class, box, and crowd flag) are
    dropped. All images are kept; those without objects count as background.

    Args:
        split: A split as read.
        single_class: Whether to make all objects class 0, named `object`.

    Example:
        >>> from pathlib import Path
        >>> from attendet.data.records import ImageRecord, ImageRecords
        >>> boxes = np.array([[-5.0, 0, 10, 10], [-5.0, 0, 10, 10], [3.0, 3, 3, 9]])
        >>> record = ImageRecord(Path("a.jpg"), 640, 480, boxes, np.array([0, 0, 0]), np.array([False] * 3))
        >>> drop_invalid(Split("train", ("pear",), ImageRecords([record]))).records[0].boxes.tolist()
        [[0.0, 0.0, 10.0, 10.0]]
    """
    records = split.records
    images = records.image_indices()
    boxes = np.clip(records.boxes, 0, np.tile(records.sizes, 2)[images])
    classes = np.zeros_like(records.classes) if single_class else records.classes
    columns = np.column_stack([images, classes, records.crowd, boxes])
    is_first = np.zeros(len(boxes), np.bool_)
    is_first[np.unique(columns, axis=0, return_index=True)[1]] = True
    keep = is_first & (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
    kept = replace(split, records=records.with_objects(boxes, classes, keep))
    if not single_class:
        return kept
    # The categories of a COCO file do not have the one class `object`.
    ids = split.coco_ids and replace(split.coco_ids, categories={"object": 1})
    return replace(kept, names=("object",), coco_ids=ids)
