"""An image and its labels → a record, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from attendet.data.formats.labels import Labels
from attendet.data.images import ImageInfo
from attendet.data.records import ImageRecord, Problem, ProblemKind, Split
from attendet.errors import Location

ROUNDING = 0.5
"""Pixels by which a box may reach outside: what rounding to whole pixels makes."""

SLIVER = 1.0
"""Longest short side of a sliver, in pixels."""


def make_record(
    image: str, facts: ImageInfo, labels: Labels, numbers: Mapping[int | str, int]
) -> tuple[ImageRecord, Iterator[Problem]]:
    """Return an image with its objects as labeled, and what is wrong with them.

    Args:
        image: The image file.
        facts: What is known of it.
        labels: What its label file says.
        numbers: Class number by what label files call the class; objects of other classes are left out.
    """
    size = (facts.width, facts.height)
    classes = np.array([numbers.get(label, -1) for label in labels.classes], np.int64)
    boxes = labels.boxes * np.array([*size, *size]) if labels.normalized else labels.boxes
    known = classes >= 0
    record = ImageRecord(Path(image), *size, boxes[known], classes[known], labels.crowd[known])
    return record, _problems(image, labels, boxes, classes, size)


def _problems(
    image: str, labels: Labels, boxes: NDArray[np.float64], classes: NDArray[np.int64], size: tuple[int, int]
) -> Iterator[Problem]:
    yield from labels.problems
    if labels.size is not None and labels.size != size:
        stated, real = ("×".join(map(str, sides)) for sides in (labels.size, size))
        yield Problem(ProblemKind.WRONG_SIZE, Location(labels.file), f"{Path(image).name} is {real}, not {stated}")
    for position in np.flatnonzero(classes < 0).tolist():
        yield labels.problem(ProblemKind.UNKNOWN_CLASS, position, repr(labels.classes[position]))
    yield from _doubtful(labels, boxes, classes, size)


def _doubtful(
    labels: Labels, boxes: NDArray[np.float64], classes: NDArray[np.int64], size: tuple[int, int]
) -> Iterator[Problem]:
    """Yield what is wrong with the boxes of known classes."""
    if not len(boxes):
        return
    clipped = np.minimum(np.maximum(boxes, 0), (*size, *size))
    excess = np.abs(boxes - clipped).max(axis=1)
    shortest = (clipped[:, 2:] - clipped[:, :2]).min(axis=1)
    for position in np.flatnonzero((classes >= 0) & ((excess > ROUNDING) | (shortest <= SLIVER))).tolist():
        x1, y1, x2, y2 = boxes[position].tolist()
        told = f"{x2 - x1:.4g}×{y2 - y1:.4g} px"
        if shortest[position] <= 0:
            inside = "" if min(x2 - x1, y2 - y1) <= 0 else ", none of it inside the image"
            yield labels.problem(ProblemKind.ZERO_AREA, position, told + inside)
            continue
        if excess[position] > ROUNDING:
            yield labels.problem(ProblemKind.OUTSIDE, position, f"by {excess[position]:.4g} px")
        if shortest[position] <= SLIVER:
            yield labels.problem(ProblemKind.SLIVER, position, told)
    yield from _repeated(labels, boxes, classes)


def _repeated(labels: Labels, boxes: NDArray[np.float64], classes: NDArray[np.int64]) -> Iterator[Problem]:
    rows = [(label, *box) for label, box in zip(classes.tolist(), boxes.tolist(), strict=True)]
    if len(set(rows)) == len(rows):
        return
    first_of: dict[tuple[float, ...], int] = {}
    for position, row in enumerate(rows):
        first = first_of.setdefault(row, position)
        if row[0] >= 0 and first != position:
            line = labels.lines[first]
            yield labels.problem(
                ProblemKind.DUPLICATE_BOX, position, "" if line is None else f"the same as line {line}"
            )


def drop_invalid(split: Split, *, single_class: bool = False) -> Split:
    """Return a split with boxes clipped to the image, and without those that have no area or stand there twice.

    All images stay, those without objects as background. Groups stay marked as groups.

    Args:
        split: As read.
        single_class: Make all objects class 0, called `object`.

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
    first = np.zeros(len(boxes), np.bool_)
    first[np.unique(columns, axis=0, return_index=True)[1]] = True
    keep = first & (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
    return replace(
        split, names=("object",) if single_class else split.names, records=records.with_objects(boxes, classes, keep)
    )
