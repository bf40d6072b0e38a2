"""What is known of a data set once it has been read: images, their objects, and what was wrong."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import overload

import numpy as np
from numpy.typing import NDArray

from attendet.errors import Location


class Kind(Enum):
    """What can be wrong with a data set; the value is how tables and JSON name it."""

    UNREADABLE_IMAGE = "image does not decode"
    MISSING_IMAGE = "image is missing"
    UNREADABLE_LABELS = "label file cannot be read"
    MISSING_LABELS = "label file is missing"
    MALFORMED = "malformed label"
    UNKNOWN_CLASS = "unknown class"
    OUTSIDE = "box reaches outside the image"
    ZERO_AREA = "box without area"
    SLIVER = "sliver of a box"
    DUPLICATE_BOX = "duplicate box"
    DUPLICATE_IMAGE = "duplicate image"
    DUPLICATE_ACROSS_SPLITS = "image in two splits"
    ROTATED = "image is rotated by EXIF"
    WRONG_SIZE = "labels state another image size"

    @property
    def is_error(self) -> bool:
        """Whether training has to skip something because of it, or measures the wrong thing."""
        return self in _ERRORS


_ERRORS = frozenset(
    {
        Kind.UNREADABLE_IMAGE,
        Kind.MISSING_IMAGE,
        Kind.UNREADABLE_LABELS,
        Kind.MALFORMED,
        Kind.UNKNOWN_CLASS,
        Kind.ZERO_AREA,
        Kind.DUPLICATE_ACROSS_SPLITS,
    }
)


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        kind: What it is.
        where: The image or label file, with the line where there is one.
        detail: What exactly, in a few words.
    """

    kind: Kind
    where: Location
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.where}: {self.kind.value}" + (f" ({self.detail})" if self.detail else "")


@dataclass(frozen=True)
class Record:
    """One image and its objects.

    Attributes:
        image: Path of the image file.
        width: Width in pixels as shown, that is with EXIF rotation applied.
        height: Height in pixels as shown.
        boxes: (objects, 4) float64: x1, y1, x2, y2 in pixels of the image as shown.
        classes: (objects,) int64, from 0.
        crowd: (objects,) bool: a group of objects, which is neither trained on nor counted as missed.
    """

    image: Path
    width: int
    height: int
    boxes: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 4)))
    classes: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    crowd: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, np.bool_))


class Records(Sequence[Record]):
    """Many records in a few arrays: 100,000 images take some ten megabytes, and worker processes share them.

    Args:
        records: What to hold, in this order.

    Example:
        >>> records = Records([Record(Path("a.jpg"), 640, 480, np.array([[0.0, 0, 10, 10]]), np.array([2]),
        ...                           np.array([False]))])
        >>> len(records), records[0].width, records[0].classes.tolist()
        (1, 640, [2])
    """

    def __init__(self, records: Iterable[Record] = ()) -> None:
        paths, sizes, counts, boxes, classes, crowd = [], [], [], [], [], []
        for record in records:
            paths.append(str(record.image))
            sizes.append((record.width, record.height))
            counts.append(len(record.classes))
            boxes.append(record.boxes)
            classes.append(record.classes)
            crowd.append(record.crowd)
        self._paths = paths
        self.sizes: NDArray[np.int64] = np.array(sizes, np.int64).reshape(-1, 2)
        """(images, 2) width and height in pixels."""
        self._starts = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]).astype(np.int64)
        self.boxes: NDArray[np.float64] = np.concatenate([np.zeros((0, 4)), *boxes])
        """(objects, 4) all boxes: x1, y1, x2, y2 in pixels."""
        self.classes: NDArray[np.int64] = np.concatenate([np.zeros(0, np.int64), *classes])
        """(objects,) their classes."""
        self.crowd: NDArray[np.bool_] = np.concatenate([np.zeros(0, np.bool_), *crowd])
        """(objects,) whether they are groups."""

    def __len__(self) -> int:
        return len(self._paths)

    @overload
    def __getitem__(self, index: int) -> Record: ...
    @overload
    def __getitem__(self, index: slice) -> Records: ...
    def __getitem__(self, index: int | slice) -> Record | Records:
        if isinstance(index, slice):
            return Records(self[position] for position in range(*index.indices(len(self))))
        position = range(len(self))[index]
        objects = slice(self._starts[position], self._starts[position + 1])
        width, height = self.sizes[position].tolist()
        return Record(
            Path(self._paths[position]), width, height, self.boxes[objects], self.classes[objects], self.crowd[objects]
        )

    def __iter__(self) -> Iterator[Record]:
        return (self[position] for position in range(len(self)))

    def image_of_objects(self) -> NDArray[np.int64]:
        """Return (objects,) the position of each object's image."""
        return np.repeat(np.arange(len(self)), np.diff(self._starts))


@dataclass(frozen=True)
class Split:
    """One split of a data set, read.

    Attributes:
        name: `train`, `val` or `test`.
        names: The classes' names, by number.
        records: The images that decode, with their objects as labelled: boxes may reach outside or have no area (see
            `attendet.data.usable` for what training takes of them).
        problems: What was wrong, in the order it was met.
        skipped: Number of images left out because they cannot be read.
    """

    name: str
    names: tuple[str, ...]
    records: Records
    problems: tuple[Problem, ...] = ()
    skipped: int = 0
