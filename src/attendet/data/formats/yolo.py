"""YOLO's label format: a text file per image, a line per object, coordinates in 0-1 of the image."""

from __future__ import annotations

import glob
import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from attendet.data.formats.labels import ImageLabels, LabelBuilder, read_label_file
from attendet.data.images import is_image
from attendet.data.paths import expand_glob, is_file, is_folder, walk
from attendet.data.records import ProblemKind
from attendet.errors import DataError, Location
from attendet.utils.text import short_repr, shorten

MAX_LIST_BYTES = 256 * 1024 * 1024
"""Largest list of images: a few million paths."""

COORDINATE_TOLERANCE = 0.01
"""How far outside 0-1 a coordinate may be, because of rounding or of boxes that reach over the edge of the image."""

_MAX_CLASS_INDEX = 1_000_000


def label_path(image: str) -> str:
    """Return the path of the label file of an image.

    The last folder `images` in the path is replaced by `labels`; without such a folder, the label file is next to the
    image.

    Example:
        >>> label_path("/data/images/train/a.jpg"), label_path("/data/train/a.jpg")
        ('/data/labels/train/a.txt', '/data/train/a.txt')
    """
    before, folder, below = image.rpartition("/images/")
    return os.path.splitext(f"{before}/labels/{below}" if folder else image)[0] + ".txt"  # noqa: PTH122 - 100,000 times


def read_yolo_labels(path: str) -> ImageLabels:
    """Read a YOLO label file.

    If the file is missing, the labels have no objects and one problem.

    Raises:
        DataError: If the file cannot be read or is not text.
    """
    if not os.path.lexists(path):
        builder = LabelBuilder(path)
        builder.add_problem("treated as background", kind=ProblemKind.MISSING_LABELS)
        return builder.build(normalized=True)
    try:
        return parse_yolo_labels(read_label_file(path).decode("utf-8-sig"), path)
    except UnicodeDecodeError as error:
        raise DataError("the file is not UTF-8 text", where=Location(path)) from error


def parse_yolo_labels(text: str, file: str) -> ImageLabels:
    """Parse the text of a YOLO label file.

    A line is `class x y width height` (x, y: center of the box) or `class x1 y1 x2 y2 x3 y3 ...` (the points of a
    polygon, at least 3, whose bounding box is taken). All coordinates are in 0-1 of the image.

    Args:
        text: Content of the label file.
        file: Path of the label file, for messages.

    Returns:
        The labels; lines that are not valid are listed in its `problems`.

    Example:
        >>> labels = parse_yolo_labels("2 0.5 0.5 0.2 0.4", "a.txt")
        >>> labels.classes, labels.boxes.round(2).tolist()
        ((2,), [[0.4, 0.3, 0.6, 0.7]])
    """
    builder = LabelBuilder(file)
    for line, row in enumerate(text.split("\n"), start=1):
        fields = row.split()
        if not fields:
            continue
        try:
            category, box = _parse_object(fields)
        except ValueError as error:
            builder.add_problem(str(error), line)
        else:
            builder.add_object(category, box, line=line)
    return builder.build(normalized=True)


def _parse_object(fields: Sequence[str]) -> tuple[int, tuple[float, float, float, float]]:
    """Return the class and the corners (0-1) of the object on a line; raise ValueError if the line is not valid."""
    numbers = [_parse_number(field) for field in fields]
    category, values = numbers[0], numbers[1:]
    if not 0 <= category <= _MAX_CLASS_INDEX or category != int(category):
        raise ValueError(f"the class must be an integer from 0, got {shorten(fields[0], 40)}")
    for field, value in zip(fields[1:], values, strict=True):
        if not -COORDINATE_TOLERANCE <= value <= 1 + COORDINATE_TOLERANCE:
            raise ValueError(f"coordinates must be 0-1, got {shorten(field, 40)}")
    if len(values) == 4:
        x, y, width, height = values
        if width < 0 or height < 0:
            raise ValueError(f"width and height must not be negative, got {width:g} and {height:g}")
        return int(category), (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
    if len(values) >= 6 and len(values) % 2 == 0:
        return int(category), (min(values[::2]), min(values[1::2]), max(values[::2]), max(values[1::2]))
    raise ValueError(f"a line must have 5 numbers, or a class and the x and y of at least 3 points, got {len(fields)}")


def _parse_number(field: str) -> float:
    try:
        value = float(field)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"{short_repr(field, 40)} is not a number")
    return value


def find_images(folder: str) -> Iterator[str]:
    """Yield the paths of the images in a folder and its subfolders, in alphabetical order, without hidden files."""
    for parent, files in walk(folder):
        yield from (os.path.join(parent, name) for name in files if is_image(name))  # noqa: PTH118 - 100,000 times


def resolve_images(entry: str, root: str, where: Location) -> list[str]:
    """Return the paths of the images that an entry of a split names.

    Args:
        entry: Absolute path of a folder, a list of images, or one image; or an absolute glob pattern.
        root: Folder of the data set, which paths in lists may be relative to.
        where: Location of the entry in its file, for messages.

    Raises:
        DataError: If nothing exists at the path, or a list cannot be read.
    """
    if is_folder(entry):
        return list(find_images(entry))
    if is_file(entry):
        return [entry] if is_image(entry) else read_image_list(entry, root)
    if entry.endswith("/**"):
        # A folder already includes its subfolders.
        return resolve_images(entry.removesuffix("/**"), root, where)
    if glob.has_magic(entry):
        # Some data sets keep label files next to the images; only a pattern for .txt files means lists of images.
        named = [path for path in sorted(expand_glob(entry)) if _is_source(path) or entry.endswith(".txt")]
        images = (
            image for path in named for image in ([path] if is_image(path) else resolve_images(path, root, where))
        )
        return list(dict.fromkeys(images))
    remedy = "name a folder, a glob pattern, or a list of images"
    raise DataError(f"file or folder not found: {entry}", where=where, remedy=remedy)


def _is_source(path: str) -> bool:
    return is_image(path) or is_folder(path)


def read_image_list(file: str, root: str) -> list[str]:
    """Return the paths of the images that a text file lists, one per line.

    A path may be absolute, relative to the folder of the data set, or relative to the folder of the list. A path that
    starts with `./` is looked up in the folder of the list first, other paths in the folder of the data set.

    Args:
        file: Path of the list.
        root: Folder of the data set.

    Raises:
        DataError: If the list cannot be read.
    """
    return [_resolve(line, Path(file).parent, Path(root)) for line in read_lines(file)]


def read_lines(file: str) -> list[str]:
    """Return the lines of a text file that are not blank, without surrounding white space.

    Raises:
        DataError: If the file cannot be read, is not UTF-8 text, or has more than 256 MiB.
    """
    where = Location(file)
    try:
        if Path(file).stat().st_size > MAX_LIST_BYTES:
            raise DataError(f"the file is larger than {MAX_LIST_BYTES:,} bytes", where=where)
        with Path(file).open(encoding="utf-8-sig") as lines:
            return [line.strip() for line in lines if line.strip()]
    except OSError as error:
        raise DataError(f"the file cannot be read: {error.strerror}", where=where) from error
    except UnicodeDecodeError as error:
        raise DataError("the file is not UTF-8 text", where=where) from error


def _resolve(line: str, list_folder: Path, root: Path) -> str:
    path = line.replace("\\", "/")
    folders = (list_folder, root) if path.startswith("./") else (root, list_folder)
    candidates = [os.path.normpath(folder / path) for folder in folders]
    try:
        return next((path for path in candidates if os.path.lexists(path)), candidates[0])
    except ValueError:
        # No file can have a null character in its path.
        return candidates[0]
