"""YOLO's text labels: a file per image, a line per object, in shares of the image."""

from __future__ import annotations

import glob
import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from attendet.data.formats.labels import Labels, Rows, read_bytes
from attendet.data.images import is_image
from attendet.data.paths import is_file, is_folder, matching, walk
from attendet.data.records import ProblemKind
from attendet.errors import DataError, Location

MAX_LIST_BYTES = 256 * 1024 * 1024
"""Longest list of images: a few million paths."""

MAX_CLASS = 1_000_000

LEEWAY = 0.01
"""How far a coordinate may lie outside 0-1 and still be meant as a share: rounding, and boxes over the edge."""


def label_path(image: str) -> str:
    """Return where the labels of an image are: under `labels` instead of the last `images`, else beside it.

    Example:
        >>> label_path("/data/images/train/a.jpg"), label_path("/data/train/a.jpg")
        ('/data/labels/train/a.txt', '/data/train/a.txt')
    """
    before, folder, below = image.rpartition("/images/")
    return os.path.splitext(f"{before}/labels/{below}" if folder else image)[0] + ".txt"  # noqa: PTH122 - 100,000 times


def read_labels(path: str) -> Labels:
    """Return what a label file says; one that is missing says that there is nothing in the image, with a problem.

    Raises:
        DataError: If the file cannot be read, or is not text.
    """
    if not os.path.lexists(path):
        rows = Rows(path)
        rows.fault("taken as an image without objects", kind=ProblemKind.MISSING_LABELS)
        return rows.labels(normalized=True)
    try:
        return parse_labels(read_bytes(path).decode("utf-8-sig"), path)
    except UnicodeDecodeError as error:
        raise DataError("it is not UTF-8 text", where=Location(path)) from error


def parse_labels(text: str, file: str) -> Labels:
    """Return what a text says: rows of class, center x, center y, width, height, or of class and a polygon's points.

    Example:
        >>> labels = parse_labels("2 0.5 0.5 0.2 0.4", "a.txt")
        >>> labels.classes, labels.boxes.round(2).tolist()
        ((2,), [[0.4, 0.3, 0.6, 0.7]])
    """
    rows = Rows(file)
    for line, row in enumerate(text.split("\n"), start=1):
        words = row.split()
        if not words:
            continue
        try:
            label, box = _object(words)
        except ValueError as error:
            rows.fault(str(error), line)
        else:
            rows.add(label, box, line=line)
    return rows.labels(normalized=True)


def _object(words: Sequence[str]) -> tuple[int, tuple[float, float, float, float]]:
    """Return class and corners of a row; a `ValueError` says what is wrong."""
    numbers = [_number(word) for word in words]
    label, values = numbers[0], numbers[1:]
    if not 0 <= label <= MAX_CLASS or label != int(label):
        raise ValueError(f"the class is {words[0][:40]}, not a whole number from 0")
    for word, value in zip(words[1:], values, strict=True):
        if not -LEEWAY <= value <= 1 + LEEWAY:
            raise ValueError(f"{word[:40]} is no share of the image, 0 to 1")
    if len(values) == 4:
        x, y, width, height = values
        if width < 0 or height < 0:
            raise ValueError("width or height is negative")
        return int(label), (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
    if len(values) >= 6 and len(values) % 2 == 0:
        return int(label), (min(values[::2]), min(values[1::2]), max(values[::2]), max(values[1::2]))
    raise ValueError(f"{len(words)} numbers: a row has 5, or a class and the x and y of at least 3 points")


def _number(word: str) -> float:
    try:
        value = float(word)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"{word[:40]!r} is not a number")
    return value


def images_in(folder: str) -> Iterator[str]:
    """Yield the images in a folder and below, in the order of their names; hidden files are left out."""
    for parent, files in walk(folder):
        yield from (os.path.join(parent, name) for name in files if is_image(name))  # noqa: PTH118


def images_of(entry: str, root: str, where: Location) -> list[str]:
    """Return the images of a folder, a glob pattern, a list file or one image.

    Args:
        entry: Absolute path or pattern.
        root: Folder that lists may be relative to.
        where: The place that names the entry.

    Raises:
        DataError: If there is nothing there.
    """
    if is_folder(entry):
        return list(images_in(entry))
    if is_file(entry):
        return [entry] if is_image(entry) else images_listed(entry, root)
    if entry.endswith("/**"):
        # A folder is taken with all that is in it anyway.
        return images_of(entry.removesuffix("/**"), root, where)
    if glob.has_magic(entry):
        found = sorted(matching(entry))
        # Labels lie beside images in some sets.
        taken = [name for name in found if is_image(name) or is_folder(name) or entry.endswith(".txt")]
        images = (image for name in taken for image in ([name] if is_image(name) else images_of(name, root, where)))
        return list(dict.fromkeys(images))
    raise DataError(f"there is no {entry}", where=where, remedy="name a folder, a glob pattern or a list of images")


def images_listed(file: str, root: str) -> list[str]:
    """Return the images that a text file lists, a path a line.

    Paths may be absolute, relative to the data set's folder, or to the list, which those with `./` are first.

    Raises:
        DataError: If the list cannot be read.
    """
    return [_resolve(line, Path(file).parent, Path(root)) for line in lines_of(file)]


def lines_of(file: str) -> list[str]:
    """Return the lines of a list that are not empty.

    Raises:
        DataError: If it cannot be read, is not text, or has more than 256 MiB.
    """
    where = Location(file)
    try:
        if Path(file).stat().st_size > MAX_LIST_BYTES:
            raise DataError(f"it has more than {MAX_LIST_BYTES:,} bytes", where=where)
        with Path(file).open(encoding="utf-8-sig") as lines:
            return [line.strip() for line in lines if line.strip()]
    except OSError as error:
        raise DataError(f"it cannot be read: {error.strerror}", where=where) from error
    except UnicodeDecodeError as error:
        raise DataError("it is not UTF-8 text", where=where) from error


def _resolve(line: str, beside: Path, root: Path) -> str:
    path = line.replace("\\", "/")
    folders = (beside, root) if path.startswith("./") else (root, beside)
    candidates = [os.path.normpath(folder / path) for folder in folders]
    try:
        return next((path for path in candidates if os.path.lexists(path)), candidates[0])
    except ValueError:
        # A path with a null character is nowhere.
        return candidates[0]
