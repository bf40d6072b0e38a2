"""What is known of a data set once it has been read: images, their objects, and what was wrong."""

from __future__ import annotations

import hashlib
import os
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import overload

import numpy as np
from numpy.typing import NDArray

from attendet.errors import Location


class ProblemKind(Enum):
    """What can be wrong with a data set; the value is how tables and JSON name it."""

    MISSING_SPLIT = "split cannot be read"
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
        ProblemKind.MISSING_SPLIT,
        ProblemKind.UNREADABLE_IMAGE,
        ProblemKind.MISSING_IMAGE,
        ProblemKind.UNREADABLE_LABELS,
        ProblemKind.MALFORMED,
        ProblemKind.UNKNOWN_CLASS,
        ProblemKind.ZERO_AREA,
        ProblemKind.DUPLICATE_ACROSS_SPLITS,
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

    kind: ProblemKind
    where: Location
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.where}: {self.kind.value}" + (f" ({self.detail})" if self.detail else "")


@dataclass(frozen=True)
class ImageRecord:
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


class ImageRecords(Sequence[ImageRecord]):
    """Many records in a few arrays: 100,000 images take some ten megabytes, and worker processes share them.

    Args:
        records: What to hold, in this order.

    Example:
        >>> records = ImageRecords([ImageRecord(Path("a.jpg"), 640, 480, np.array([[0.0, 0, 10, 10]]), np.array([2]),
        ...                           np.array([False]))])
        >>> len(records), records[0].width, records[0].classes.tolist()
        (1, 640, [2])
    """

    def __init__(self, records: Iterable[ImageRecord] = ()) -> None:
        names, sizes, counts = bytearray(), array("q"), array("q", [0])
        boxes, classes, crowd = bytearray(), bytearray(), bytearray()
        ends = array("q", [0])
        for record in records:
            names += os.fsencode(record.image)
            ends.append(len(names))
            sizes.extend((record.width, record.height))
            counts.append(counts[-1] + len(record.classes))
            boxes += np.asarray(record.boxes, np.float64).tobytes()
            classes += np.asarray(record.classes, np.int64).tobytes()
            crowd += np.asarray(record.crowd, np.bool_).tobytes()
        # Bytes instead of a list of paths: counting references would copy a list's pages into every worker process.
        self._names = bytes(names)
        self._ends = np.array(ends, np.int64)
        self._starts = np.array(counts, np.int64)
        self.sizes: NDArray[np.int64] = np.array(sizes, np.int64).reshape(-1, 2)
        """(images, 2) width and height in pixels."""
        self.boxes: NDArray[np.float64] = np.frombuffer(boxes, np.float64).reshape(-1, 4)
        """(objects, 4) all boxes: x1, y1, x2, y2 in pixels."""
        self.classes: NDArray[np.int64] = np.frombuffer(classes, np.int64)
        """(objects,) their classes."""
        self.crowd: NDArray[np.bool_] = np.frombuffer(crowd, np.bool_)
        """(objects,) whether they are groups."""

    def __len__(self) -> int:
        return len(self.sizes)

    @overload
    def __getitem__(self, index: int) -> ImageRecord: ...
    @overload
    def __getitem__(self, index: slice) -> ImageRecords: ...
    def __getitem__(self, index: int | slice) -> ImageRecord | ImageRecords:
        if isinstance(index, slice):
            return ImageRecords(self[position] for position in range(*index.indices(len(self))))
        position = range(len(self))[index]
        objects = slice(self._starts[position], self._starts[position + 1])
        width, height = self.sizes[position].tolist()
        return ImageRecord(
            self.path(position), width, height, self.boxes[objects], self.classes[objects], self.crowd[objects]
        )

    def __iter__(self) -> Iterator[ImageRecord]:
        return (self[position] for position in range(len(self)))

    def path(self, position: int) -> Path:
        """Return the path of an image."""
        return Path(os.fsdecode(self._names[self._ends[position] : self._ends[position + 1]]))

    def with_objects(
        self, boxes: NDArray[np.float64], classes: NDArray[np.int64], keep: NDArray[np.bool_]
    ) -> ImageRecords:
        """Return the same images with other boxes (objects, 4) and classes (objects,), of which some are kept."""
        changed = copy(self)
        changed.boxes, changed.classes, changed.crowd = boxes[keep], classes[keep], self.crowd[keep]
        counts = np.bincount(self.image_indices()[keep], minlength=len(self))
        changed._starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)  # noqa: SLF001 - our own
        return changed

    def image_indices(self) -> NDArray[np.int64]:
        """Return (objects,) the position of each object's image."""
        return np.repeat(np.arange(len(self)), np.diff(self._starts))


def scaled_box_sides(records: ImageRecords, imgsz: int) -> NDArray[np.float64]:
    """Return (objects, 2) width and height in pixels of all boxes once images' longer sides are scaled to `imgsz`.

    Only what lies inside the image counts, as in training.

    Example:
        >>> box, flag = np.array([[-8.0, 0, 8, 4]]), np.array([False])
        >>> scaled_box_sides(ImageRecords([ImageRecord(Path("a.jpg"), 640, 480, box, np.array([0]), flag)]), 320).tolist()
        [[4.0, 2.0]]
    """
    sizes = records.sizes[records.image_indices()]
    clipped = np.clip(records.boxes, 0, np.tile(sizes, 2))
    sides = np.maximum(clipped[:, 2:] - clipped[:, :2], 0)
    return sides * (imgsz / sizes.max(axis=1, keepdims=True, initial=1))


@dataclass(frozen=True)
class Split:
    """One split of a data set, read.

    Attributes:
        name: `train`, `val` or `test`.
        names: The classes' names, by number.
        records: The images that decode, with their objects as labeled: boxes may reach outside or have no area (see
            `attendet.data.reading.label_checks` for what training takes of them).
        problems: What was wrong, in the order it was met; of each kind only the first, where there are very many.
        skipped: Number of images left out because they cannot be read.
        digests: Of each record's image file; equal files have equal digests.
        untold: Number of further problems, by kind.
    """

    name: str
    names: tuple[str, ...]
    records: ImageRecords
    problems: tuple[Problem, ...] = ()
    skipped: int = 0
    digests: tuple[str, ...] = ()
    untold: Mapping[ProblemKind, int] = field(default_factory=dict)

    def counts(self) -> Counter[ProblemKind]:
        """Return how many problems there are, by kind, those that are not in `problems` among them."""
        return Counter(problem.kind for problem in self.problems) + Counter(self.untold)

    def fingerprint(self) -> str:
        """Return a digest of names, images and objects: two equal splits have equal ones, wherever they lie."""
        digest = hashlib.blake2b(digest_size=16)
        for part in (*self.names, *self.digests):
            digest.update(part.encode() + b"\0")
        for column in (self.records.sizes, self.records.boxes, self.records.classes, self.records.crowd):
            digest.update(np.ascontiguousarray(column).tobytes())
        digest.update(self.records.image_indices().tobytes())
        return digest.hexdigest()
