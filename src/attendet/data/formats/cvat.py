"""The XML of CVAT's export "CVAT for images": one file with the images, classes, and shapes of a task."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.sax import SAXException, SAXParseException
from xml.sax.handler import ContentHandler

from defusedxml.common import DefusedXmlException
from defusedxml.sax import parseString

from attendet.data.formats.coco import CocoFile
from attendet.data.formats.labels import MAX_COORDINATE, LabelBuilder, parse_coordinate
from attendet.data.paths import is_file
from attendet.errors import DataError, Location
from attendet.utils.io import read_bytes
from attendet.utils.text import is_legible, shorten

MAX_BYTES = 256 * 1024 * 1024
"""Largest file: about a million boxes."""

_HEAD = 64 * 1024
_MAX_DEPTH = 16
_MAX_NAME_LENGTH = 1000
# A tag describes the whole image.
_IGNORED_SHAPES = frozenset({"tag"})


def is_cvat_file(path: str) -> bool:
    """Return whether an XML file starts like an export of CVAT, without parsing it."""
    if not path.lower().endswith(".xml") or not is_file(path):
        return False
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - a text, as all paths of layouts
            head = file.read(_HEAD)
    except OSError:
        return False
    return b"<annotations>" in head and any(element in head for element in (b"<meta>", b"<image ", b"<track "))


def read_cvat(path: Path, split: str | None = None) -> CocoFile:
    """Read an export "CVAT for images" as the COCO file that would state the same.

    A polygon, an ellipse, a mask, or a rotated box is read as the box around it. Points, lines, and cuboids have no
    box: their images have labels that cannot be understood.

    Args:
        path: The XML file.
        split: Name of the split: if images have a subset of this name, only these are read; None reads all.

    Raises:
        DataError: If the file cannot be read or is not an export "CVAT for images".

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder, "annotations.xml")
        ...     box = '<box label="pear" xtl="1" ytl="2" xbr="4" ybr="6"/>'
        ...     _ = file.write_text(f'<annotations><image name="a.png">{box}</image></annotations>')
        ...     content = read_cvat(file)
        >>> content.names, [labels.boxes.tolist() for labels in content.labels()]
        (('pear',), [[[1.0, 2.0, 4.0, 6.0]]])
    """
    return _parse(path).content(split)


def cvat_splits(path: Path) -> tuple[str, ...]:
    """Return the splits that the images of an export are in; `train` for images without subsets.

    Raises:
        DataError: If `read_cvat` would raise it.
    """
    return _parse(path).splits() or ("train",)


def _parse(path: Path) -> _CvatHandler:
    where = Location(str(path))
    if not is_file(path):
        raise DataError("CVAT file not found", where=where)
    handler = _CvatHandler(str(path))
    try:
        parseString(read_bytes(path, MAX_BYTES, remedy="export parts of it"), handler)
    except SAXParseException as error:
        where = Location(str(path), error.getLineNumber(), (error.getColumnNumber() or 0) + 1)
        raise DataError(f"the file is not XML: {error.getMessage()}", where=where) from error
    except DefusedXmlException as error:
        raise DataError("XML entities are refused", where=where, remedy="write them out") from error
    except (SAXException, ValueError, LookupError) as error:
        raise DataError("the XML cannot be read", where=where) from error
    return handler


class _CvatHandler(ContentHandler):
    """A SAX handler that collects images and their shapes, and keeps no tree of the file."""

    def __init__(self, file: str) -> None:
        super().__init__()
        self._builder = LabelBuilder(file)
        self._path: list[str] = []
        self._name = ""
        self._names: dict[str, str] = {}
        self._images: list[tuple[str, tuple[int, int] | None]] = []
        self._subsets: list[str] = []
        self._shapes: list[list[dict[str, Any]]] = []

    def startElement(self, name: str, attrs: Any) -> None:  # noqa: N802 - SAX's name
        where = Location(self._builder.file)
        if not self._path and name != "annotations":
            raise DataError(f"the root element must be 'annotations', got {shorten(name, 40)!r}", where=where)
        if len(self._path) == _MAX_DEPTH:
            raise DataError(f"elements are nested more than {_MAX_DEPTH} levels deep", where=where)
        if name == "track" and len(self._path) == 1:
            raise DataError("the export is CVAT's for videos", where=where, remedy="export it as CVAT for images")
        self._path.append(name)
        if self._is_label_name():
            self._name = ""
        elif self._path == ["annotations", "image"]:
            self._add_image(attrs)
        elif self._path[:2] == ["annotations", "image"] and len(self._path) == 3 and name not in _IGNORED_SHAPES:
            self._shapes[-1].append(self._shape(name, attrs))

    def characters(self, content: str) -> None:
        if self._is_label_name():
            self._name = (self._name + content)[:_MAX_NAME_LENGTH]

    def endElement(self, name: str) -> None:  # noqa: ARG002, N802 - SAX's name and arguments
        if self._is_label_name():
            self._add_name(self._name)
        self._path.pop()

    def content(self, split: str | None) -> CocoFile:
        chosen = range(len(self._images))
        if split is not None and split in self._subsets:
            chosen = [index for index in chosen if self._subsets[index] == split]
        return CocoFile(
            self._builder.file,
            self._names,
            [self._images[index] for index in chosen],
            [self._shapes[index] for index in chosen],
            list(chosen),
            frozenset(),
            self._builder.build().problems,
        )

    def splits(self) -> tuple[str, ...]:
        return tuple(split for split in ("train", "val", "test") if split in self._subsets)

    def _is_label_name(self) -> bool:
        # Labels are in meta/task/labels, meta/job/labels, or meta/project/labels.
        path = self._path
        return path[:2] == ["annotations", "meta"] and path[-3:] == ["labels", "label", "name"]

    def _add_name(self, text: str) -> str:
        name = text.strip()
        if name and is_legible(name):
            self._names.setdefault(name, name)
        return name

    def _add_image(self, attrs: Mapping[str, str]) -> None:
        name = attrs.get("name", "")
        if not name or not is_legible(name):
            # Its shapes must not belong to the image before it.
            self._builder.add_problem(f"image number {len(self._images) + 1} must have a name of printable text")
            name = f"image number {len(self._images) + 1}"
        self._images.append((name, _stated_size(attrs)))
        self._subsets.append(_SUBSETS.get(attrs.get("subset", "").lower(), ""))
        self._shapes.append([])

    def _shape(self, kind: str, attrs: Mapping[str, str]) -> dict[str, Any]:
        number = len(self._shapes[-1]) + 1
        shape = {"id": number, "category_id": self._add_name(attrs.get("label", "")) or None}
        try:
            return {**shape, "bbox": _box_of(kind, attrs)}
        except ValueError as error:
            return {**shape, "problem": str(error)}


_SUBSETS = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}


def _stated_size(attrs: Mapping[str, str]) -> tuple[int, int] | None:
    try:
        width, height = (int(attrs.get(side, "")) for side in ("width", "height"))
    except ValueError:
        return None
    return (width, height) if 0 < width < MAX_COORDINATE and 0 < height < MAX_COORDINATE else None


def _box_of(kind: str, attrs: Mapping[str, str]) -> list[float]:
    """Return x, y, width, and height of the box around a shape; raise ValueError for a shape without a box."""
    match kind:
        case "box":
            x1, y1, x2, y2 = _numbers(attrs, "xtl", "ytl", "xbr", "ybr")
            return _rotated(x1, y1, x2 - x1, y2 - y1, parse_coordinate(attrs.get("rotation", "0")))
        case "ellipse":
            x, y, radius_x, radius_y = _numbers(attrs, "cx", "cy", "rx", "ry")
            return _rotated(x - radius_x, y - radius_y, 2 * radius_x, 2 * radius_y, 0)
        case "mask":
            return _numbers(attrs, "left", "top", "width", "height")
        case "polygon":
            points = [
                [parse_coordinate(value) for value in point.split(",")] for point in attrs.get("points", "").split(";")
            ]
            if any(len(point) != 2 for point in points):
                raise ValueError("points must be pairs of numbers")
            x, y = zip(*points, strict=True)
            return [min(x), min(y), max(x) - min(x), max(y) - min(y)]
    raise ValueError(f"a shape {shorten(kind, 40)!r} has no box")


def _numbers(attrs: Mapping[str, str], *names: str) -> list[float]:
    return [parse_coordinate(attrs.get(name)) for name in names]


def _rotated(x: float, y: float, width: float, height: float, degrees: float) -> list[float]:
    """Return the box around a box that is rotated around its center; negative sides stay as they are."""
    if degrees % 360 == 0 or width < 0 or height < 0:
        return [x, y, width, height]
    cosine, sine = abs(math.cos(math.radians(degrees))), abs(math.sin(math.radians(degrees)))
    wide, high = width * cosine + height * sine, width * sine + height * cosine
    return [x + (width - wide) / 2, y + (height - high) / 2, wide, high]
