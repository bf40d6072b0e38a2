"""What is written of each image: tables, label files and crops."""

from __future__ import annotations

import csv
import math
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self, TextIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from supervision import Detections

from attendet.data.formats.serialization import coco_result
from attendet.data.images import is_image
from attendet.errors import Location, OutputError
from attendet.prediction.input_frames import InputFrame, UniqueNames
from attendet.prediction.sources import Skip
from attendet.utils.io import cannot_write, write_atomically, write_text
from attendet.utils.json_text import to_json


class Writer(ABC):
    """Takes the frames of a run in their order.

    A context: its files are finished at the end, and those that are not finished are dropped after an exception.
    """

    def __init__(self) -> None:
        self._stack = ExitStack()

    @abstractmethod
    def write(self, frame: InputFrame, detections: Detections) -> None:
        """Write what was seen in a frame.

        Raises:
            OutputError: If it cannot be written.
        """

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return self._stack.__exit__(kind, error, trace)


class Seen(NamedTuple):
    """One detection.

    Attributes:
        number: The class's number.
        name: The class's name.
        confidence: In 0-1.
        box: x1, y1, x2, y2 in pixels.
    """

    number: int
    name: str
    confidence: float
    box: tuple[float, float, float, float]


def each(detections: Detections) -> Iterator[Seen]:
    """Yield the detections of an image, one at a time.

    Example:
        >>> found = Detections(np.array([[1.0, 2, 3, 4]]), confidence=np.array([0.5]), class_id=np.array([1]),
        ...                    data={"class_name": np.array(["cell"])})
        >>> list(each(found))
        [Seen(number=1, name='cell', confidence=0.5, box=(1.0, 2.0, 3.0, 4.0))]
    """
    if not len(detections) or detections.class_id is None or detections.confidence is None:
        return
    names = detections.data["class_name"]
    for box, number, name, sure in zip(
        detections.xyxy.tolist(), detections.class_id.tolist(), names, detections.confidence.tolist(), strict=True
    ):
        yield Seen(number, str(name), sure, tuple(box))


class LabelWriter(Writer):
    """YOLO label files: a line `class cx cy w h` per detection, in shares of the image's sides.

    An image gives `labels/NAME.txt`, a frame of a video `labels/NAME/000001.txt`; where nothing was seen, it is empty.

    Args:
        folder: The run's folder.
        confidence: Whether the confidence stands at the end of each line.
    """

    def __init__(self, folder: Path, *, confidence: bool = False) -> None:
        super().__init__()
        self._folder = folder / "labels"
        self._confidence = confidence

    def write(self, frame: InputFrame, detections: Detections) -> None:
        """Write a frame's label file."""
        height, width = frame.image.shape[:2]
        lines = []
        for seen in each(detections):
            x1, y1, x2, y2 = seen.box
            shares = [(x1 + x2) / 2 / width, (y1 + y2) / 2 / height, (x2 - x1) / width, (y2 - y1) / height]
            numbers = [*shares, seen.confidence] if self._confidence else shares
            lines.append(" ".join([str(seen.number), *(f"{number:.6f}" for number in numbers)]) + "\n")
        path = self._folder / f"{frame.stem}.txt"
        if frame.number is not None:
            path = self._folder / frame.stem / f"{frame.number:06d}.txt"
        write_text(path, "".join(lines))


class CsvWriter(Writer):
    """A table with a line per detection.

    Args:
        path: The file.
    """

    COLUMNS = ("image", "frame", "class", "name", "confidence", "x1", "y1", "x2", "y2")

    def __init__(self, path: Path) -> None:
        super().__init__()
        temporary = self._stack.enter_context(write_atomically(path))
        # Names of files are bytes; those that are no UTF-8 are written as they are.
        file = temporary.open("w", newline="", encoding="utf-8", errors="surrogateescape")
        self._path = path
        self._table = csv.writer(self._stack.enter_context(file))
        self._table.writerow(self.COLUMNS)

    def write(self, frame: InputFrame, detections: Detections) -> None:
        """Add a frame's detections."""
        number = "" if frame.number is None else frame.number
        try:
            for seen in each(detections):
                box = [f"{side:.2f}" for side in seen.box]
                self._table.writerow(
                    [frame.source.name, number, seen.number, seen.name, f"{seen.confidence:.5f}", *box]
                )
        except OSError as error:
            raise cannot_write(self._path, error) from error


class CocoWriter(Writer):
    """Detections as a list of COCO results, each with the name of its file.

    Image ids count from 1 the images and frames as they come, category ids from 1 the classes: as `attendet val --out`
    and `attendet data convert` number what is true.

    Args:
        target: A path, or an open file that stays open.
    """

    def __init__(self, target: Path | TextIO) -> None:
        super().__init__()
        if isinstance(target, Path):
            temporary = self._stack.enter_context(write_atomically(target))
            self._file: TextIO = self._stack.enter_context(temporary.open("w", encoding="utf-8"))
        else:
            self._file = target
        self._stack.callback(self._end)
        self._images = 0
        self._begun = False

    def write(self, frame: InputFrame, detections: Detections) -> None:
        """Add a frame's detections."""
        self._images += 1
        for seen in each(detections):
            entry = coco_result(self._images, frame.source.name, seen.number, seen.box, seen.confidence)
            entry["category_name"] = seen.name
            if frame.number is not None:
                entry["frame"] = frame.number
            self._file.write((",\n" if self._begun else "[\n") + to_json(entry, indent=None))
            self._begun = True

    def _end(self) -> None:
        self._file.write("\n]\n" if self._begun else "[]\n")


class CropWriter(Writer):
    """Each detection cut out, in a folder per class.

    Args:
        folder: The run's folder.
        names: The classes' names, by number.
        skip: Told of crops that their formats cannot hold.
    """

    def __init__(self, folder: Path, names: Sequence[str], skip: Skip) -> None:
        super().__init__()
        self._skip = skip
        unique = UniqueNames()
        self._folders = [folder / "crops" / unique.take(as_file_name(name)) for name in names]

    def write(self, frame: InputFrame, detections: Detections) -> None:
        """Write a frame's crops."""
        height, width = frame.image.shape[:2]
        for count, seen in enumerate(each(detections), start=1):
            x1, y1, x2, y2 = seen.box
            # Outwards, so that a box within one pixel still has one.
            rows = slice(math.floor(y1), min(height, math.ceil(y2)))
            columns = slice(math.floor(x1), min(width, math.ceil(x2)))
            name = f"{frame.stem}_{count}" if frame.number is None else f"{frame.stem}/{frame.number:06d}_{count}"
            path = self._folders[seen.number] / f"{name}{suffix_of(frame)}"
            write_image(path, frame.image[rows, columns], self._skip)


def suffix_of(frame: InputFrame) -> str:
    """Return the ending of images made of a frame: its file's own where that is an image's, `.jpg` for videos.

    A file that does not end like an image is written as `.png`.
    """
    if frame.moment is not None:
        return ".jpg"
    return Path(frame.source.name).suffix if is_image(frame.source.name) else ".png"


def write_image(path: Path, image: NDArray[np.uint8], skip: Skip) -> None:
    """Write an image in the format of the path's ending, whole or not at all.

    Args:
        path: The file.
        image: (H, W, 3) red, green, blue.
        skip: Told of an image that is too large for its format; others may still be written.

    Raises:
        OutputError: If nothing can be written there.
    """
    try:
        with write_atomically(path) as temporary:
            _save(image, temporary)
    except _UnfitError as error:
        height, width = image.shape[:2]
        what = f"the format cannot hold {width}×{height} pixels: {error}"
        skip(OutputError(what, where=Location(str(path))))


class _UnfitError(Exception):
    """An image that its format cannot hold."""


def _save(image: NDArray[np.uint8], path: Path) -> None:
    try:
        Image.fromarray(image).save(path, quality=95)
    except (OSError, ValueError, OverflowError) as error:
        # Those of the system, such as a full disk, have a number.
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise _UnfitError(str(error)) from error


def as_file_name(name: str) -> str:
    """Return a name that any disk takes, and that stays in its folder.

    Example:
        >>> as_file_name("../white cell"), as_file_name("зебра"), as_file_name("")
        ('_white cell', 'зебра', '_')
    """
    return re.sub(r"[^\w .()+-]+", "_", name).strip(" .")[:100] or "_"
