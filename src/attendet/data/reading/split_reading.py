"""Reading of a split: records of its images, their problems, and the states of their labels."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TypeAlias

from attendet.data.formats.labels import ImageLabels
from attendet.data.image_decoding.sixteen_bits import MAX_BIT_DEPTH, smallest_bit_depth
from attendet.data.images import ImageInfo
from attendet.data.label_counts import LabelCounts
from attendet.data.paths import exists
from attendet.data.problems import ProblemList
from attendet.data.reading.file_readers import ReadResult
from attendet.data.reading.label_checks import LabelState, label_state, make_record
from attendet.data.records import ImageRecord, Problem, ProblemKind
from attendet.errors import DataError, Location
from attendet.utils.text import is_legible

ReadItem: TypeAlias = tuple[str, ReadResult, ReadResult]
"""Path, properties, and labels of an image."""

# Problems of the files that describe a split, which every command prints.
_REMARKS = (ProblemKind.FOREIGN_PATHS, ProblemKind.CONFLICTING_IDS)

# Labeled files come first: training loses them.
_PASSED_OVER = (ProblemKind.UNKNOWN_ENDING, ProblemKind.PASSED_OVER)


# Fraction of white below which an image is nearly black: all values of a sensor with 14 of 16 bits.
_DARK = 0.25


class SplitReading:
    """The reading of a split, which makes records and collects problems and digests.

    Args:
        class_indices: Class index by the index or name that label files use.
        bit_depth: Number of bits of the values in images with 16 bits per channel.

    Attributes:
        problems: The problems so far.
        digests: Digests of the images so far.
        largest: Largest value in images with 16 bits per channel so far; None without any.
        kept: Index (from 0) of each image that has a record so far.
    """

    def __init__(self, class_indices: Mapping[int | str, int], bit_depth: int = MAX_BIT_DEPTH) -> None:
        self._bit_depth = bit_depth
        self.problems = ProblemList()
        self.digests: list[str] = []
        self.largest: int | None = None
        self.kept: list[int] = []
        self._class_indices = class_indices
        self._first_image: dict[str, str] = {}
        self._counts: Counter[str] = Counter()
        self._first_problem: str | None = None

    def label_counts(self, format: str, place: str) -> LabelCounts:  # noqa: A002 - the name of the option
        """Return how many images had labels.

        Args:
            format: Format of the labels.
            place: The first label file, or the place where it was looked for.
        """
        listed = self.problems.listed
        passed_over = [problem for kind in _PASSED_OVER for problem in listed if problem.kind is kind]
        counts = self.problems.unlisted() + Counter(problem.kind for problem in listed)
        return LabelCounts(
            **self._counts,
            first_problem=self._first_problem,
            format=format,
            place=place,
            remarks=tuple(str(problem) for problem in listed if problem.kind in _REMARKS),
            passed_over=sum(counts[kind] for kind in _PASSED_OVER),
            first_passed_over=str(passed_over[0]) if passed_over else None,
        )

    def records(self, items: Iterator[ReadItem]) -> Iterator[ImageRecord]:
        """Yield a record for each image that can be read.

        Args:
            items: Path, properties, and labels of each image.
        """
        for index, (image, info, labels) in enumerate(items):
            if not is_legible(image):
                where = Location(ascii(image)[1:-1])
                self._add(ProblemKind.UNREADABLE_IMAGE, where, "its name has control characters")
            elif isinstance(info, DataError):
                if exists(image):
                    self._add(ProblemKind.UNREADABLE_IMAGE, Location(image), info.message)
                else:
                    self._add(ProblemKind.MISSING_IMAGE, Location(image))
            elif isinstance(labels, DataError):
                problem = Problem(ProblemKind.UNREADABLE_LABELS, labels.where or Location(image), labels.message)
                self.problems.extend([problem])
                # VOC has a file for every image: an image without one is left out, too.
                self._count("invalid" if os.path.lexists(problem.where.file) else "missing", problem)
            elif isinstance(info, ImageInfo) and isinstance(labels, ImageLabels):
                record, problems = make_record(image, info, labels, self._class_indices)
                listed = list(problems)
                self.problems.extend(listed)
                state, reason = label_state(record, listed)
                self._count(state, reason)
                # An image whose labels cannot be understood is not background: it is left out.
                if state != "invalid":
                    self._examine(image, info)
                    self.kept.append(index)
                    yield replace(record, bit_depth=self._bit_depth)

    def _examine(self, image: str, info: ImageInfo) -> None:
        if info.rotated:
            self._add(ProblemKind.ROTATED, Location(image))
        if info.unfinished:
            self._add(ProblemKind.UNFINISHED_JPEG, Location(image), "its pixels are there")
        if info.largest is not None:
            self.largest = max(info.largest, self.largest or 0)
            if info.largest < 2**self._bit_depth * _DARK:
                bits, white = smallest_bit_depth(info.largest), 2**self._bit_depth - 1
                detail = f"nothing above {info.largest:,} of {white:,}, looks like {bits} bits"
                self._add(ProblemKind.DARK_IMAGE, Location(image), detail)
        first = self._first_image.setdefault(info.digest, image)
        if first is not image:
            self._add(ProblemKind.DUPLICATE_IMAGE, Location(image), f"the same as {first}")
        self.digests.append(info.digest)

    def _count(self, state: LabelState, reason: Problem | None) -> None:
        self._counts[state] += 1
        if reason is not None and self._first_problem is None:
            self._first_problem = str(reason)

    def _add(self, kind: ProblemKind, where: Location, detail: str = "") -> None:
        self.problems.extend([Problem(kind, where, detail)])
