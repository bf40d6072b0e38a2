"""Results of each frame as files: label files, tables, COCO results, and crops."""

from __future__ import annotations

import csv
import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self, TextIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from supervision import Detections

from attendet.data.formats.serialization import coco_result
from attendet.data.images import is_image
from attendet.errors import Location, OutputError
from attendet.prediction.input_frames import InputFrame
from attendet.prediction.sources import OnSkip
from attendet.utils.csv_text import csv_cell
from attendet.utils.file_names import UniqueNames, safe_file_name
from attendet.utils.io import cannot_write, write_atomically, write_text
from attendet.utils.json_text import to_json


class ResultWriter(ABC):
    """A writer of the detections of the frames of a run, in order.

    A context manager: when the block ends, the files are finished; after an exception, unfinished files are dropped.
    """

    def __init__(self) -> None:
        self._stack = ExitStack()

    @abstractmethod
    def write(self, frame: InputFrame, detections: Detections) -> None:
        """Write the detections of a frame.

        Raises:
            OutputError: If a file cannot be written.
        """

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return self._stack.__exit__(kind, error, trace)


class DetectedObject(NamedTuple):
    """One detection.

    Attributes:
        class_id: Index of the class.
        name: Name of the class.
        confidence: Score, 0-1.
        box: x1, y1, x2, y2 in pixels.
    """

    class_id: int
    name: str
    confidence: float
    box: tuple[float, float, float, float]

    def to_dict(self) -> dict[str, Any]:
        """Return the detection as plain values, ready for JSON."""
        return {"class_id": self.class_id, "name": self.name, "confidence": self.confidence, "box": list(self.box)}


def detected_objects(detections: Detections) -> Iterator[DetectedObject]:
    """Yield the detections of an image one by one.

    Example:
        >>> detections = Detections(np.array([[1.0, 2, 3, 4]]), confidence=np.array([0.5]), class_id=np.array([1]),
        ...                    data={"class_name": np.array(["cell"])})
        >>> list(detected_objects(detections))
        [DetectedObject(class_id=1, name='cell', confidence=0.5, box=(1.0, 2.0, 3.0, 4.0))]
    """
    if not len(detections) or detections.class_id is None or detections.confidence is None:
        return
    names = detections.data["class_name"]
    for box, class_id, name, confidence in zip(
        detections.xyxy.tolist(), detections.class_id.tolist(), names, detections.confidence.tolist(), strict=True
    ):
        yield DetectedObject(class_id, str(name), confidence, tuple(box))


class LabelWriter(ResultWriter):
    """A writer of YOLO label files: a line `class cx cy w h` per detection, in fractions of the image's sides.

    The file of an image is `labels/NAME.txt`, and that of a video frame `labels/NAME/000001.txt`. The file of an image
    without detections is empty.

    Args:
        folder: The run's folder.
        confidence: Whether each line ends with the confidence.
    """

    def __init__(self, folder: Path, *, confidence: bool = False) -> None:
        super().__init__()
        self._folder = folder / "labels"
        self._confidence = confidence

    def write(self, frame: InputFrame, detections: Detections) -> None:
        """Write the label file of a frame."""
        height, width = frame.image.shape[:2]
        lines = []
        for each in detected_objects(detections):
            x1, y1, x2, y2 = each.box
            box = [(x1 + x2) / 2 / width, (y1 + y2) / 2 / height, (x2 - x1) / width, (y2 - y1) / height]
            values = [*box, each.confidence] if self._confidence else box
            lines.append(" ".join([str(each.class_id), *(f"{value:.6f}" for value in values)]) + "\n")
        path = self._folder / f"{frame.stem}.txt"
        if frame.number is not None:
            path = self._folder / frame.stem / f"{frame.number:06d}.txt"
        write_text(path, "".join(lines))


class CsvWriter(ResultWriter):
    """A writer of a CSV table with one line per detection.

    Args:
        path: The file.
    """

    COLUMNS = ("image", "frame", "class", "name", "confidence", "x1", "y1", "x2", "y2")

    def __init__(self, path: Path) -> None:
        super().__init__()
        temporary = self._stack.enter_context(write_atomically(path))
        # File names are bytes; "surrogateescape" writes names that are not UTF-8 unchanged.
        file = temporary.open("w", newline="", encoding="utf-8", errors="surrogateescape")
        self._path = path
        self._table = csv.writer(self._stack.enter_context(file))
        self._table.writerow(self.COLUMNS)

    def write(self, frame: InputFrame, detections: Detections) -> None:
        """Add the detections of a frame."""
        number = "" if frame.number is None else frame.number
        try:
            for each in detected_objects(detections):
                box = [f"{side:.2f}" for side in each.box]
                cells = [frame.source.name, number, each.class_id, each.name, f"{each.confidence:.5f}", *box]
                self._table.writerow(map(csv_cell, cells))
        except OSError as error:
            raise cannot_write(self._path, error) from error


class CocoWriter(ResultWriter):
    """A writer of a JSON list of COCO results, each with the name of its file.

    Image ids count images and frames from 1 in their order, and category ids count classes from 1, as in the files of
    `attendet val --out` and `attendet data convert`.

    Args:
        target: A path, or an open file, which is not closed.
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
        self._has_entries = False

    def write(self, frame: InputFrame, detections: Detections) -> None:
        """Add the detections of a frame."""
        self._images += 1
        for each in detected_objects(detections):
            entry = coco_result(self._images, frame.source.name, each.class_id + 1, each.box, each.confidence)
            entry["category_name"] = each.name
            if frame.number is not None:
                entry["frame"] = frame.number
            self._file.write((",\n" if self._has_entries else "[\n") + to_json(entry, indent=None))
            self._has_entries = True

    def _end(self) -> None:
        self._file.write("\n]\n" if self._has_entries else "[]\n")


class CropWriter(ResultWriter):
    """A writer of crops: the pixels of each detection as an image, in one folder per class.

    Args:
        folder: The run's folder.
        names: Class names, in the order of their indices.
        on_skip: Called with the error of each crop that is too large for its format.
    """

    def __init__(self, folder: Path, names: Sequence[str], on_skip: OnSkip) -> None:
        super().__init__()
        self._on_skip = on_skip
        unique = UniqueNames()
        self._folders = [folder / "crops" / unique.take(safe_file_name(name)) for name in names]

    def write(self, frame: InputFrame, detections: Detections) -> None:
        """Write the crops of a frame."""
        height, width = frame.image.shape[:2]
        for number, each in enumerate(detected_objects(detections), start=1):
            x1, y1, x2, y2 = each.box
            # Rounding outwards keeps at least one pixel of a box that is inside a single pixel.
            rows = slice(math.floor(y1), min(height, math.ceil(y2)))
            columns = slice(math.floor(x1), min(width, math.ceil(x2)))
            name = f"{frame.stem}_{number}" if frame.number is None else f"{frame.stem}/{frame.number:06d}_{number}"
            path = self._folders[each.class_id] / f"{name}{image_suffix(frame)}"
            write_image(path, frame.image[rows, columns], self._on_skip)


def image_suffix(frame: InputFrame) -> str:
    """Return the suffix of image files that are made from a frame.

    It is `.jpg` for video frames, the suffix of the source for images, and `.png` for a source without the suffix of
    an image.
    """
    if frame.timestamp is not None:
        return ".jpg"
    return Path(frame.source.name).suffix if is_image(frame.source.name) else ".png"


def write_image(path: Path, image: NDArray[np.uint8], on_skip: OnSkip) -> None:
    """Write an image atomically in the format of the path's suffix.

    Args:
        path: The file.
        image: (H, W, 3) red, green, blue in 0-255.
        on_skip: Called with the error of an image that is too large for its format, so that others can be written.

    Raises:
        OutputError: If the file cannot be written for another reason.
    """
    try:
        with write_atomically(path) as temporary:
            _save(image, temporary)
    except _FormatError as error:
        height, width = image.shape[:2]
        message = f"the file format cannot hold {width}x{height} pixels: {error}"
        on_skip(OutputError(message, where=Location(str(path))))


class _FormatError(Exception):
    """An image that is too large for its format."""


def _save(image: NDArray[np.uint8], path: Path) -> None:
    try:
        Image.fromarray(image).save(path, quality=95)
    except (OSError, ValueError, OverflowError) as error:
        # Errors of the operating system, such as a full disk, have a number; errors of the format do not.
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise _FormatError(str(error)) from error
