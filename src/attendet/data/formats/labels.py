"""What a label file says of one image, in any format."""

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

MAX_BYTES = 16 * 1024 * 1024
"""Longest label file of one image."""

MAX_PROBLEMS = 100
"""Most problems told of one file; a file of nonsense has as many as lines."""

LARGEST = 1e7
"""Largest coordinate in pixels that can be meant."""


@dataclass(frozen=True)
class Labels:
    """The objects of one image as a label file states them.

    Attributes:
        file: The label file.
        boxes: (objects, 4) float64: x1, y1, x2, y2, in pixels or, where `normalized`, as shares of the image.
        classes: Number or name of each object's class; an unknown one stands as it is in the file.
        crowd: (objects,) bool.
        lines: Line of each object in the file, or None.
        words: What a message calls each object where lines do not tell it; else empty.
        problems: What could not be read.
        size: Width and height in pixels that the file states.
        normalized: Whether boxes are shares, 0-1.
    """

    file: str
    boxes: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 4)))
    classes: tuple[int | str, ...] = ()
    crowd: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, np.bool_))
    lines: tuple[int | None, ...] = ()
    words: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    size: tuple[int, int] | None = None
    normalized: bool = False

    def problem(self, kind: ProblemKind, position: int, detail: str = "") -> Problem:
        """Return a problem of one object."""
        words = self.words[position] if self.words else ""
        return Problem(kind, Location(self.file, self.lines[position]), ": ".join(filter(None, (words, detail))))


class Rows:
    """Labels in the making: objects and problems as they are met.

    Args:
        file: The label file.
    """

    def __init__(self, file: str) -> None:
        self.file = file
        self._boxes: list[Sequence[float]] = []
        self._classes: list[int | str] = []
        self._crowd: list[bool] = []
        self._lines: list[int | None] = []
        self._words: list[str] = []
        self._problems: list[Problem] = []
        self._untold = 0

    def add(
        self, label: int | str, box: Sequence[float], *, line: int | None = None, crowd: bool = False, words: str = ""
    ) -> None:
        """Take an object."""
        self._boxes.append(box)
        self._classes.append(label)
        self._crowd.append(crowd)
        self._lines.append(line)
        self._words.append(words)

    def fault(self, detail: str, line: int | None = None, kind: ProblemKind = ProblemKind.MALFORMED) -> None:
        """Take a problem."""
        if len(self._problems) < MAX_PROBLEMS:
            self._problems.append(Problem(kind, Location(self.file, line), detail))
        else:
            self._untold += 1

    def labels(self, *, size: tuple[int, int] | None = None, normalized: bool = False) -> Labels:
        """Return all that was taken."""
        if self._untold:
            self._problems.append(Problem(ProblemKind.MALFORMED, Location(self.file), f"and {self._untold:,} more"))
            self._untold = 0
        return Labels(
            self.file,
            np.array(self._boxes, np.float64).reshape(-1, 4),
            tuple(self._classes),
            np.array(self._crowd, np.bool_),
            tuple(self._lines),
            tuple(self._words) if any(self._words) else (),
            tuple(self._problems),
            size,
            normalized,
        )


def read_bytes(path: str) -> bytes:
    """Return the content of a label file.

    Raises:
        DataError: If it cannot be opened, is no plain file, or has more than 16 MiB.
    """
    where = Location(path)
    if not is_file(path):
        raise DataError("there is no such label file", where=where)
    try:
        if Path(path).stat().st_size > MAX_BYTES:
            remedy = "a label file has a few thousand"
            raise DataError(f"it has more than {MAX_BYTES:,} bytes", where=where, remedy=remedy)
        return Path(path).read_bytes()
    except OSError as error:
        raise DataError(f"it cannot be read: {error.strerror}", where=where) from error


def coordinate(value: object) -> float:
    """Return a number of pixels; a `ValueError` says that it is none.

    Example:
        >>> coordinate("12.5"), coordinate(3)
        (12.5, 3.0)
    """
    try:
        number = float(value) if isinstance(value, int | float | str) else math.nan
    except (ValueError, OverflowError):
        number = math.nan
    if not abs(number) <= LARGEST:
        text = repr(value)
        raise ValueError(f"{text if len(text) <= 60 else text[:57] + '...'} is no coordinate")
    return number


def to_json(labels: Labels) -> str:
    """Return labels as one line of text, for `from_json`."""
    problems = [[problem.kind.name, problem.where.line, problem.detail] for problem in labels.problems]
    boxes, crowd = labels.boxes.ravel().tolist(), labels.crowd.astype(int).tolist()
    parts = [boxes, labels.classes, crowd, labels.lines, problems, labels.size, labels.normalized]
    return json.dumps(parts, separators=(",", ":"))


def from_json(file: str, text: str) -> Labels:
    """Return the labels that `to_json` wrote.

    Raises:
        ValueError, TypeError, KeyError: If it did not write them.
    """
    boxes, classes, crowd, lines, problems, size, normalized = json.loads(text)
    return Labels(
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
