"""Records of a data set that has been read: its images, their objects, and the problems found in its files."""

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

from attendet.data.coco_ids import CocoIds
from attendet.data.image_decoding.sixteen_bits import MAX_BIT_DEPTH
from attendet.data.label_counts import LabelCounts
from attendet.errors import Location


class ProblemKind(Enum):
    """The kinds of problems that a data set can have; the values name them in tables and in JSON.

    Example:
        >>> ProblemKind.ZERO_AREA.value, ProblemKind.ZERO_AREA.is_error, ProblemKind.SLIVER.is_error
        ('box without area', True, False)
    """

    MISSING_SPLIT = "split cannot be read"
    UNREADABLE_IMAGE = "image cannot be decoded"
    MISSING_IMAGE = "image is missing"
    UNREADABLE_LABELS = "label file cannot be read"
    MISSING_LABELS = "label file is missing"
    NO_LABELS = "no image has labels"
    MALFORMED = "malformed label"
    UNKNOWN_CLASS = "unknown class"
    OUTSIDE = "box reaches outside the image"
    ZERO_AREA = "box without area"
    SLIVER = "sliver (side ≤ 1 px)"
    DUPLICATE_BOX = "duplicate box"
    DUPLICATE_IMAGE = "duplicate image"
    DUPLICATE_ACROSS_SPLITS = "image in two splits"
    ROTATED = "image is rotated by EXIF"
    UNFINISHED_JPEG = "JPEG file without an end marker"
    DARK_IMAGE = "16-bit image is nearly black"
    WRONG_SIZE = "labels state a different image size"
    UNKNOWN_ENDING = "labeled file without a known image ending"
    PASSED_OVER = "file passed over"
    FOREIGN_PATHS = "paths of another machine"
    CONFLICTING_IDS = "COCO files have conflicting ids"

    @property
    def is_error(self) -> bool:
        """Whether the problem makes training skip something or evaluation measure the wrong thing."""
        return self in _ERRORS


_ERRORS = frozenset(
    {
        ProblemKind.MISSING_SPLIT,
        ProblemKind.UNREADABLE_IMAGE,
        ProblemKind.MISSING_IMAGE,
        ProblemKind.UNREADABLE_LABELS,
        ProblemKind.NO_LABELS,
        ProblemKind.MALFORMED,
        ProblemKind.UNKNOWN_CLASS,
        ProblemKind.ZERO_AREA,
        ProblemKind.DUPLICATE_ACROSS_SPLITS,
        ProblemKind.UNKNOWN_ENDING,
    }
)


@dataclass(frozen=True)
class Problem:
    """One problem of a data set.

    Attributes:
        kind: The kind of problem.
        where: The image or label file, with the line if the problem belongs to one.
        detail: A few words that are specific to this problem; may be empty.

    Example:
        >>> print(Problem(ProblemKind.OUTSIDE, Location("a.txt", line=3), "by 6 px"))
        a.txt:3: box reaches outside the image (by 6 px)
    """

    kind: ProblemKind
    where: Location
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.where}: {self.kind.value}" + (f" ({self.detail})" if self.detail else "")


@dataclass(frozen=True)
class ImageRecord:
    """An image file and the objects in it.

    The image is described as it is displayed, that is, after its EXIF rotation.

    Attributes:
        image: Path of the image file.
        width: Width in pixels.
        height: Height in pixels.
        boxes: (objects, 4) float64: x1, y1, x2, y2 in pixels.
        classes: (objects,) int64: class indices, from 0.
        crowd: (objects,) bool: whether the box holds a group of objects. Groups are not used for training, and a
            detector that misses one is not penalized.
        bit_depth: Number of bits (8 to 16) of the values, if the file is a PNG or TIFF with 16 bits per channel.

    Example:
        >>> record = ImageRecord(Path("a.jpg"), 640, 480)
        >>> record.boxes.shape, record.classes.shape
        ((0, 4), (0,))
    """

    image: Path
    width: int
    height: int
    boxes: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 4)))
    classes: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    crowd: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, np.bool_))
    bit_depth: int = MAX_BIT_DEPTH


class ImageRecords(Sequence[ImageRecord]):
    """A sequence of image records, stored in a few arrays.

    100,000 images take about ten megabytes, and worker processes that are forked share this memory.

    Args:
        records: The records, in order.

    Attributes:
        sizes: (images, 2) int64: width and height of each image in pixels.
        boxes: (objects, 4) float64: x1, y1, x2, y2 in pixels of the boxes of all images.
        classes: (objects,) int64: class indices of all objects.
        crowd: (objects,) bool: whether a box holds a group of objects.
        bit_depth: Number of bits (8 to 16) of the values in files with 16 bits per channel, the same for all images.

    Example:
        >>> record = ImageRecord(
        ...     Path("a.jpg"), 640, 480, np.array([[0.0, 0, 10, 10]]), np.array([2]), np.array([False])
        ... )
        >>> records = ImageRecords([record])
        >>> records, records[0].width, records[0].classes.tolist()
        (ImageRecords(images=1, objects=1), 640, [2])
    """

    def __init__(self, records: Iterable[ImageRecord] = ()) -> None:
        names, sizes, counts = bytearray(), array("q"), array("q", [0])
        boxes, classes, crowd = bytearray(), bytearray(), bytearray()
        ends = array("q", [0])
        self.bit_depth = MAX_BIT_DEPTH
        for record in records:
            self.bit_depth = record.bit_depth
            names += os.fsencode(record.image)
            ends.append(len(names))
            sizes.extend((record.width, record.height))
            counts.append(counts[-1] + len(record.classes))
            boxes += np.asarray(record.boxes, np.float64).tobytes()
            classes += np.asarray(record.classes, np.int64).tobytes()
            crowd += np.asarray(record.crowd, np.bool_).tobytes()
        # Paths are stored as bytes instead of a list: counting references would copy the pages of a list into every
        # worker process.
        self._names = bytes(names)
        self._ends = np.array(ends, np.int64)
        self._starts = np.array(counts, np.int64)
        self.sizes: NDArray[np.int64] = np.array(sizes, np.int64).reshape(-1, 2)
        self.boxes: NDArray[np.float64] = np.frombuffer(boxes, np.float64).reshape(-1, 4)
        self.classes: NDArray[np.int64] = np.frombuffer(classes, np.int64)
        self.crowd: NDArray[np.bool_] = np.frombuffer(crowd, np.bool_)

    def __len__(self) -> int:
        return len(self.sizes)

    def __repr__(self) -> str:
        return f"ImageRecords(images={len(self)}, objects={len(self.classes)})"

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
        labels = self.boxes[objects], self.classes[objects], self.crowd[objects]
        return ImageRecord(self.path(position), width, height, *labels, bit_depth=self.bit_depth)

    def __iter__(self) -> Iterator[ImageRecord]:
        return (self[position] for position in range(len(self)))

    def path(self, index: int) -> Path:
        """Return the path of an image by its index (from 0)."""
        return Path(os.fsdecode(self._names[self._ends[index] : self._ends[index + 1]]))

    def with_objects(
        self, boxes: NDArray[np.float64], classes: NDArray[np.int64], keep: NDArray[np.bool_]
    ) -> ImageRecords:
        """Return records of the same images with other boxes and classes, some of them dropped.

        Args:
            boxes: (objects, 4) new boxes of all objects: x1, y1, x2, y2 in pixels.
            classes: (objects,) new class indices of all objects.
            keep: (objects,) whether to keep an object.
        """
        changed = copy(self)
        changed.boxes, changed.classes, changed.crowd = boxes[keep], classes[keep], self.crowd[keep]
        counts = np.bincount(self.image_indices()[keep], minlength=len(self))
        changed._starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)  # noqa: SLF001 - same class
        return changed

    def image_indices(self) -> NDArray[np.int64]:
        """Return the index of the image that each object is in, as (objects,) int64."""
        return np.repeat(np.arange(len(self)), np.diff(self._starts))


@dataclass(frozen=True)
class Split:
    """One split of a data set that has been read.

    Attributes:
        name: `train`, `val`, or `test`.
        names: Class names, in the order of their indices.
        records: The images that can be decoded, with their objects as labeled: boxes may reach outside the image or
            have no area. `attendet.data.drop_invalid` selects the objects that training uses.
        problems: Problems in the order in which they were found. Only the first thousand of each kind are listed.
        skipped: Number of images left out because they cannot be read, or their labels cannot be understood.
        digests: One digest per image file, in the order of `records`; equal files have equal digests.
        unlisted: Number of further problems that `problems` does not list, by kind.
        labels: How many images have labels.
        coco_ids: Ids of images and categories in the COCO files of the split (default: it has no such file, or
            two images have one id).
        largest: Largest value in PNG, TIFF, and PNM files with 16 bits per channel; None without such files.

    Example:
        >>> Split("train", ("cat", "dog"), ImageRecords([ImageRecord(Path("a.jpg"), 640, 480)]))
        Split('train', images=1, objects=0, problems=0)
    """

    name: str
    names: tuple[str, ...]
    records: ImageRecords
    problems: tuple[Problem, ...] = ()
    skipped: int = 0
    digests: tuple[str, ...] = ()
    unlisted: Mapping[ProblemKind, int] = field(default_factory=dict)
    labels: LabelCounts = field(default_factory=LabelCounts)
    coco_ids: CocoIds | None = None
    largest: int | None = None

    def __repr__(self) -> str:
        return (
            f"Split({self.name!r}, images={len(self.records)}, objects={len(self.records.classes)}, "
            f"problems={self.count_problems().total()})"
        )

    def count_problems(self) -> Counter[ProblemKind]:
        """Return the number of problems of each kind, listed or not."""
        return Counter(problem.kind for problem in self.problems) + Counter(self.unlisted)

    def fingerprint(self) -> str:
        """Return a digest (32 hexadecimal digits) of class names, image files, their bit depth, and objects.

        Two equal splits have equal fingerprints, regardless of their folders.
        """
        digest = hashlib.blake2b(digest_size=16)
        for part in (*self.names, *self.digests):
            digest.update(part.encode() + b"\0")
        for column in (self.records.sizes, self.records.boxes, self.records.classes, self.records.crowd):
            digest.update(np.ascontiguousarray(column).tobytes())
        digest.update(self.records.image_indices().tobytes())
        if self.records.bit_depth != MAX_BIT_DEPTH:
            digest.update(bytes([self.records.bit_depth]))
        return digest.hexdigest()
