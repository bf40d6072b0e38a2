"""What is in a data set, and what is wrong with it, in numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attendet.data.problems import ProblemCount, summarize_problems
from attendet.data.records import Split, scaled_box_sides
from attendet.utils.text import list_names

MOST_NAMES = 5
TINY_SIDE = 8
"""Pixels: YOLOv5's finest level has a cell of 8, and of what is narrower it sees little."""

SMALL_AREA, LARGE_AREA = 32**2, 96**2
"""Square pixels: COCO's bounds between small, medium and large."""


@dataclass(frozen=True)
class BoxSizes:
    """How large boxes are once images are scaled to the training size.

    Shares are 0-1 of the boxes; all numbers are None where there is none.

    Attributes:
        median_width: In pixels.
        median_height: In pixels.
        tiny: Share with a side under 8 pixels.
        small: Share under 32x32 pixels in area, tiny ones among them.
        medium: Share between.
        large: Share from 96x96 pixels on.
    """

    median_width: float | None = None
    median_height: float | None = None
    tiny: float | None = None
    small: float | None = None
    medium: float | None = None
    large: float | None = None


@dataclass(frozen=True)
class SplitReport:
    """One split in numbers.

    Attributes:
        images: Number of images that can be used.
        skipped: Number of images that cannot.
        background: Number of images without objects.
        objects: Number of objects.
        crowd: Number of those that are groups.
        objects_by_class: Number of objects, by class.
        images_by_class: Number of images with such an object, by class.
        sizes: How large the boxes are at the training size.
    """

    images: int
    skipped: int
    background: int
    objects: int
    crowd: int
    objects_by_class: tuple[int, ...]
    images_by_class: tuple[int, ...]
    sizes: BoxSizes


@dataclass(frozen=True)
class DataReport:
    """A data set in numbers.

    Attributes:
        names: The classes.
        imgsz: The training size: pixels of an image's longer side.
        splits: By name.
        total: All splits together.
        problems: By kind, errors first.
        remarks: What looks odd though no file is wrong, in words.
    """

    names: tuple[str, ...]
    imgsz: int
    splits: Mapping[str, SplitReport]
    total: SplitReport
    problems: tuple[ProblemCount, ...]
    remarks: tuple[str, ...]

    @property
    def errors(self) -> int:
        """Number of problems for which training skips something, or measures the wrong thing."""
        return sum(problem.count for problem in self.problems if problem.kind.is_error)

    @property
    def warnings(self) -> int:
        """Number of the other problems."""
        return sum(problem.count for problem in self.problems if not problem.kind.is_error)

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as what JSON can hold."""
        return {
            "names": list(self.names),
            "imgsz": self.imgsz,
            "splits": {name: asdict(split) for name, split in self.splits.items()},
            "total": asdict(self.total),
            "problems": [
                {
                    "kind": problem.kind.name.lower(),
                    "what": problem.kind.value,
                    "is_error": problem.kind.is_error,
                    "count": problem.count,
                    "by_split": dict(problem.by_split),
                    "examples": [
                        {"file": example.where.file, "line": example.where.line, "detail": example.detail}
                        for example in problem.examples
                    ],
                }
                for problem in self.problems
            ],
            "errors": self.errors,
            "warnings": self.warnings,
            "remarks": list(self.remarks),
        }


def make_data_report(splits: Sequence[Split], imgsz: int = 640) -> DataReport:
    """Return a data set in numbers.

    Args:
        splits: Its splits as read, at least one, of the same classes.
        imgsz: The training size: images are scaled so that their longer side has so many pixels.

    Example:
        >>> from pathlib import Path
        >>> from attendet.data.records import ImageRecord, ImageRecords
        >>> boxes = np.array([[0.0, 0, 20, 40]])
        >>> record = ImageRecord(Path("a.jpg"), 1280, 960, boxes, np.array([0]), np.array([False]))
        >>> found = make_data_report([Split("train", ("cell",), ImageRecords([record]))])
        >>> found.splits["train"].sizes.median_width, found.splits["train"].objects_by_class
        (10.0, (1,))
    """
    names = splits[0].names
    sides = [scaled_box_sides(split.records, imgsz) for split in splits]
    found = {split.name: _split_report(split, part) for split, part in zip(splits, sides, strict=True)}
    total = _together([*found.values()], np.concatenate(sides))
    return DataReport(names, imgsz, found, total, summarize_problems(splits), tuple(_remarks(names, found, imgsz)))


def _split_report(split: Split, sides: NDArray[np.float64]) -> SplitReport:
    records, classes = split.records, len(split.names)
    image_of = records.image_indices()
    # An image counts once for a class, however many objects of it there are.
    pairs = np.unique(np.stack([image_of, records.classes]), axis=1)
    return SplitReport(
        images=len(records),
        skipped=split.skipped,
        background=len(records) - len(np.unique(image_of)),
        objects=len(records.classes),
        crowd=int(records.crowd.sum()),
        objects_by_class=tuple(np.bincount(records.classes, minlength=classes).tolist()),
        images_by_class=tuple(np.bincount(pairs[1], minlength=classes).tolist()),
        sizes=_box_sizes(sides),
    )


def _together(splits: Sequence[SplitReport], sides: NDArray[np.float64]) -> SplitReport:
    return SplitReport(
        images=sum(split.images for split in splits),
        skipped=sum(split.skipped for split in splits),
        background=sum(split.background for split in splits),
        objects=sum(split.objects for split in splits),
        crowd=sum(split.crowd for split in splits),
        objects_by_class=tuple(map(sum, zip(*(split.objects_by_class for split in splits), strict=True))),
        images_by_class=tuple(map(sum, zip(*(split.images_by_class for split in splits), strict=True))),
        sizes=_box_sizes(sides),
    )


def _box_sizes(sides: NDArray[np.float64]) -> BoxSizes:
    if not len(sides):
        return BoxSizes()
    areas = sides.prod(axis=1)
    width, height = np.median(sides, axis=0).tolist()
    return BoxSizes(
        median_width=width,
        median_height=height,
        tiny=float((sides.min(axis=1) < TINY_SIDE).mean()),
        small=float((areas < SMALL_AREA).mean()),
        medium=float(((areas >= SMALL_AREA) & (areas < LARGE_AREA)).mean()),
        large=float((areas >= LARGE_AREA).mean()),
    )


def _remarks(names: tuple[str, ...], splits: Mapping[str, SplitReport], imgsz: int) -> list[str]:
    remarks = []
    for name, split in splits.items():
        if not split.images:
            remarks.append(f"{name} has no image that can be used")
        elif not split.objects:
            remarks.append(f"{name} has no objects: every image is background")
    labeled = {name: split for name, split in splits.items() if split.objects}
    absent = {
        name: {label for label, count in enumerate(split.objects_by_class) if not count}
        for name, split in labeled.items()
    }
    nowhere = set.intersection(*absent.values()) if absent else set()
    if nowhere:
        remarks.append(f"{_some(names, nowhere)} anywhere")
    remarks += [f"{_some(names, labels - nowhere)} in {name}" for name, labels in absent.items() if labels - nowhere]
    for name, split in splits.items():
        tiny = split.sizes.tiny or 0
        if tiny > 0.1:
            remarks.append(
                f"{tiny:.0%} of the boxes in {name} have a side under {TINY_SIDE} px at {imgsz}; "
                "a larger image size shows more of them"
            )
    return remarks


def _some(names: tuple[str, ...], labels: set[int]) -> str:
    absent = list_names([names[label] for label in sorted(labels)], MOST_NAMES)
    return (
        f"1 class does not occur ({absent})" if len(labels) == 1 else f"{len(labels)} classes do not occur ({absent})"
    )
