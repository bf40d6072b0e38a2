"""The labels of one image, as a label file of any format states them."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from attendet.data.paths import is_file
from attendet.data.records import Problem, ProblemKind
from attendet.errors import DataError, Location
from attendet.utils.io import read_bytes
from attendet.utils.text import short_repr

MAX_BYTES = 16 * 1024 * 1024
"""Largest label file of one image."""

MAX_PROBLEMS = 100
"""Most problems listed per label file; a file in another format has one problem per line."""

MAX_COORDINATE = 1e7
"""Largest plausible coordinate in pixels."""


@dataclass(frozen=True)
class ImageLabels:
    """The objects of one image as its label file states them.

    Attributes:
        file: Path of the label file.
        boxes: (objects, 4) float64: x1, y1, x2, y2 in pixels, or in 0-1 of the image if `normalized`.
        classes: Index or name of each object's class, exactly as in the file; the class may be unknown.
        crowd: (objects,) bool: whether the box holds a group of objects.
        lines: Line of each object in the file; None if the format does not have one object per line.
        descriptions: What messages call each object in a format without lines; empty in the other formats.
        problems: The parts of the file that cannot be read.
        stated_size: Width and height of the image in pixels according to the file, or None if it does not state them.
        normalized: Whether boxes are in 0-1 of the image.
    """

    file: str
    boxes: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 4)))
    classes: tuple[int | str, ...] = ()
    crowd: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, np.bool_))
    lines: tuple[int | None, ...] = ()
    descriptions: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    stated_size: tuple[int, int] | None = None
    normalized: bool = False

    def problem(self, kind: ProblemKind, index: int, detail: str = "") -> Problem:
        """Return a problem of the object with this index (from 0)."""
        description = self.descriptions[index] if self.descriptions else ""
        return Problem(kind, Location(self.file, self.lines[index]), ": ".join(filter(None, (description, detail))))


class LabelBuilder:
    """A collector of the objects and the problems of one label file, in order.

    Args:
        file: Path of the label file.

    Example:
        >>> builder = LabelBuilder("a.txt")
        >>> builder.add_object("cat", (0, 0, 9, 9), line=1)
        >>> builder.add_problem("2 numbers", line=2)
        >>> labels = builder.build()
        >>> labels.classes, str(labels.problems[0])
        (('cat',), 'a.txt:2: malformed label (2 numbers)')
    """

    def __init__(self, file: str) -> None:
        self.file = file
        self._boxes: list[Sequence[float]] = []
        self._classes: list[int | str] = []
        self._crowd: list[bool] = []
        self._lines: list[int | None] = []
        self._descriptions: list[str] = []
        self._problems: list[Problem] = []
        self._unlisted = 0

    def add_object(
        self,
        category: int | str,
        box: Sequence[float],
        *,
        line: int | None = None,
        crowd: bool = False,
        description: str = "",
    ) -> None:
        """Add an object; for the arguments, see the attributes of `ImageLabels`."""
        self._boxes.append(box)
        self._classes.append(category)
        self._crowd.append(crowd)
        self._lines.append(line)
        self._descriptions.append(description)

    def add_problem(self, detail: str, line: int | None = None, kind: ProblemKind = ProblemKind.MALFORMED) -> None:
        """Add a problem; after the first hundred, problems are only counted."""
        if len(self._problems) < MAX_PROBLEMS:
            self._problems.append(Problem(kind, Location(self.file, line), detail))
        else:
            self._unlisted += 1

    def build(self, *, stated_size: tuple[int, int] | None = None, normalized: bool = False) -> ImageLabels:
        """Return the labels collected so far."""
        problems = list(self._problems)
        if self._unlisted:
            problems.append(Problem(ProblemKind.MALFORMED, Location(self.file), f"and {self._unlisted:,} more"))
        return ImageLabels(
            self.file,
            np.array(self._boxes, np.float64).reshape(-1, 4),
            tuple(self._classes),
            np.array(self._crowd, np.bool_),
            tuple(self._lines),
            tuple(self._descriptions) if any(self._descriptions) else (),
            tuple(problems),
            stated_size,
            normalized,
        )


def read_label_file(path: str) -> bytes:
    """Return the content of a label file.

    Raises:
        DataError: If the file does not exist, is not a regular file, cannot be opened, or has more than 16 MiB.
    """
    if not is_file(path):
        raise DataError("label file not found", where=Location(path))
    return read_bytes(Path(path), MAX_BYTES, remedy="a label file has a few thousand bytes")


def parse_coordinate(value: object) -> float:
    """Convert a number or text to a coordinate in pixels.

    Raises:
        ValueError: If the value is not a number of plausible size (at most ten million pixels).

    Example:
        >>> parse_coordinate("12.5"), parse_coordinate(3)
        (12.5, 3.0)
    """
    try:
        number = float(value) if isinstance(value, int | float | str) else math.nan
    except (ValueError, OverflowError):
        number = math.nan
    if not abs(number) <= MAX_COORDINATE:
        raise ValueError(f"{short_repr(value)} is not a coordinate in pixels")
    return number


def labels_to_json(labels: ImageLabels) -> str:
    """Return labels as one line of JSON, which `labels_from_json` reads."""
    problems = [[problem.kind.name, problem.where.line, problem.detail] for problem in labels.problems]
    boxes, crowd = labels.boxes.ravel().tolist(), labels.crowd.astype(int).tolist()
    parts = [boxes, labels.classes, crowd, labels.lines, problems, labels.stated_size, labels.normalized]
    return json.dumps(parts, separators=(",", ":"))


def labels_from_json(file: str, text: str) -> ImageLabels:
    """Return the labels in a line of JSON that `labels_to_json` wrote.

    Raises:
        ValueError, TypeError, KeyError: If `labels_to_json` did not write the text.

    Example:
        >>> labels = ImageLabels("a.txt", np.array([[0.0, 0, 9, 9]]), (2,), np.array([False]), (1,))
        >>> labels_from_json("a.txt", labels_to_json(labels)).boxes.tolist()
        [[0.0, 0.0, 9.0, 9.0]]
    """
    boxes, classes, crowd, lines, problems, size, normalized = json.loads(text)
    return ImageLabels(
        file,
        np.array(boxes, np.float64).reshape(-1, 4),
        tuple(classes),
        np.array(crowd, np.bool_),
        tuple(lines),
        (),
        tuple(Problem(ProblemKind[kind], Location(file, line), detail) for kind, line, detail in problems),
        size and (size[0], size[1]),
        normalized,
    )
