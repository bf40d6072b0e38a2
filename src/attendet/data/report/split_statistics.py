"""The numbers of images, objects, and box sizes of a split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attendet.data.records import Split

TINY_SIDE = 8
"""The finest level of YOLOv5 has a stride of 8 pixels, and sees little of objects that are narrower."""

# COCO's bounds between small, medium, and large objects, in square pixels.
_SMALL_AREA, _LARGE_AREA = 32**2, 96**2


@dataclass(frozen=True)
class BoxSizes:
    """Sizes of boxes after images are scaled to the training size.

    Fractions are 0-1 of the boxes. All attributes are None if there are no boxes.

    Attributes:
        median_width: Median width in pixels.
        median_height: Median height in pixels.
        tiny: Fraction of the boxes with a side under 8 pixels.
        small: Fraction with an area under 32x32 pixels, tiny boxes included.
        medium: Fraction with an area from 32x32 to under 96x96 pixels.
        large: Fraction with an area of at least 96x96 pixels.
    """

    median_width: float | None = None
    median_height: float | None = None
    tiny: float | None = None
    small: float | None = None
    medium: float | None = None
    large: float | None = None


@dataclass(frozen=True)
class SplitStatistics:
    """The numbers of a split.

    Attributes:
        images: Number of images that can be used.
        skipped: Number of images that cannot be used.
        background: Number of images without objects.
        objects: Number of objects.
        crowd: Number of objects that are marked as a group.
        objects_by_class: Number of objects of each class.
        images_by_class: Number of images with an object of each class.
        sizes: Sizes of the boxes at the training size.
    """

    images: int
    skipped: int
    background: int
    objects: int
    crowd: int
    objects_by_class: tuple[int, ...]
    images_by_class: tuple[int, ...]
    sizes: BoxSizes


def compute_statistics(split: Split, sides: NDArray[np.float64]) -> SplitStatistics:
    """Return the numbers of a split.

    Args:
        split: A split as read.
        sides: (objects, 2) width and height of each box in pixels at the training size.
    """
    records, num_classes = split.records, len(split.names)
    images = records.image_indices()
    # An image counts once for a class, regardless of how many objects of the class it has.
    pairs = np.unique(np.stack([images, records.classes]), axis=1)
    return SplitStatistics(
        images=len(records),
        skipped=split.skipped,
        background=len(records) - len(np.unique(images)),
        objects=len(records.classes),
        crowd=int(records.crowd.sum()),
        objects_by_class=tuple(np.bincount(records.classes, minlength=num_classes).tolist()),
        images_by_class=tuple(np.bincount(pairs[1], minlength=num_classes).tolist()),
        sizes=_box_sizes(sides),
    )


def sum_statistics(splits: Sequence[SplitStatistics], sides: NDArray[np.float64]) -> SplitStatistics:
    """Return the numbers of several splits together.

    Args:
        splits: The numbers of each split.
        sides: (objects, 2) width and height of the boxes of all splits in pixels at the training size.
    """
    return SplitStatistics(
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
        small=float((areas < _SMALL_AREA).mean()),
        medium=float(((areas >= _SMALL_AREA) & (areas < _LARGE_AREA)).mean()),
        large=float((areas >= _LARGE_AREA).mean()),
    )
