"""Pascal VOC: an xml per image in `Annotations`, and lists of stems in `ImageSets`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.sax import SAXException, SAXParseException
from xml.sax.handler import ContentHandler

from defusedxml.common import DefusedXmlException
from defusedxml.sax import parseString

from attendet.data.formats.labels import Labels, Rows, coordinate, read_bytes
from attendet.data.formats.yolo import lines_of
from attendet.data.images import is_image
from attendet.data.paths import is_file, is_folder
from attendet.errors import DataError, Location

LONGEST_WORD = 1000
"""Characters of a value; none that we read has more."""

MAX_DEPTH = 16

_OBJECT = ("annotation", "object")
_SIDES = ("xmin", "ymin", "xmax", "ymax")
_READ = frozenset(
    {
        ("annotation", "size", "width"),
        ("annotation", "size", "height"),
        (*_OBJECT, "name"),
        *((*_OBJECT, "bndbox", side) for side in _SIDES),
    }
)


def read_labels(path: str) -> Labels:
    """Return what an annotation file says.

    Raises:
        DataError: If the file cannot be read, or is not XML.
    """
    return parse_labels(read_bytes(path), path)


def parse_labels(content: bytes, file: str) -> Labels:
    """Return what an annotation says.

    Coordinates are taken as they stand: VOC's own count pixels from 1, most tools' from 0, and a file does not say
    which. Objects that are `difficult` are objects like all others.

    Raises:
        DataError: If it is not XML, or defines entities, which can unfold to any size.

    Example:
        >>> labels = parse_labels(b"<annotation><object><name>pear</name><bndbox><xmin>1</xmin><ymin>2</ymin>"
        ...                       b"<xmax>5</xmax><ymax>9.5</ymax></bndbox></object></annotation>", "a.xml")
        >>> labels.classes, labels.boxes.tolist()
        (('pear',), [[1.0, 2.0, 5.0, 9.5]])
    """
    annotation = _Annotation(file)
    try:
        parseString(content, annotation)
    except SAXParseException as error:
        where = Location(file, error.getLineNumber(), (error.getColumnNumber() or 0) + 1)
        raise DataError(f"it is not XML: {error.getMessage()}", where=where) from error
    except DefusedXmlException as error:
        raise DataError("it defines entities, which are refused", where=Location(file)) from error
    except (SAXException, ValueError, LookupError) as error:
        # Encodings that do not exist, or are not what they say.
        raise DataError("it is not XML that can be read", where=Location(file)) from error
    return annotation.labels()


class _Annotation(ContentHandler):
    """Takes objects as their elements end, so that no tree is built and lines are known."""

    def __init__(self, file: str) -> None:
        super().__init__()
        self._rows = Rows(file)
        self._path: list[str] = []
        self._values: dict[tuple[str, ...], str] = {}
        self._line = 0
        self._locator: Any = None

    def setDocumentLocator(self, locator: Any) -> None:  # noqa: N802 - SAX's name
        self._locator = locator

    def startElement(self, name: str, attrs: Any) -> None:  # noqa: ARG002, N802
        if not self._path and name != "annotation":
            raise DataError(f"it is no annotation but {name[:40]!r}", where=Location(self._rows.file))
        if len(self._path) == MAX_DEPTH:
            raise DataError("its elements are nested too deeply", where=Location(self._rows.file))
        self._path.append(name)
        path = tuple(self._path)
        if path in _READ:
            self._values[path] = ""
        if path == _OBJECT:
            self._line = self._locator.getLineNumber()
            self._values = {key: value for key, value in self._values.items() if key[:2] != _OBJECT}

    def characters(self, content: str) -> None:
        path = tuple(self._path)
        if path in _READ:
            self._values[path] = (self._values[path] + content)[:LONGEST_WORD]

    def endElement(self, name: str) -> None:  # noqa: ARG002, N802
        if tuple(self._path) == _OBJECT:
            self._take_object()
        self._path.pop()

    def labels(self) -> Labels:
        try:
            width, height = (int(coordinate(self._value("annotation", "size", side))) for side in ("width", "height"))
        except ValueError:
            width = height = 0
        # Some tools write 0 for a size that they do not know.
        return self._rows.labels(size=(width, height) if width > 0 and height > 0 else None)

    def _take_object(self) -> None:
        try:
            name, box = _name(self._value(*_OBJECT, "name")), self._box()
        except ValueError as error:
            self._rows.fault(str(error), self._line)
        else:
            self._rows.add(name, box, line=self._line)

    def _box(self) -> list[float]:
        box = [self._side(side) for side in _SIDES]
        if box[2] < box[0] or box[3] < box[1]:
            raise ValueError("its right or lower side lies before its left or upper one")
        return box

    def _side(self, side: str) -> float:
        try:
            return coordinate(self._value(*_OBJECT, "bndbox", side))
        except ValueError as error:
            raise ValueError(f"{side}: {error}") from error

    def _value(self, *path: str) -> str:
        return self._values.get(path, "").strip()


def _name(text: str) -> str:
    if not text or not text.isprintable():
        raise ValueError("the object has no name that can be shown")
    return text


def root_of(entry: Path) -> Path | None:
    """Return the folder with `Annotations` that a list or a folder belongs to, or None."""
    folder = entry if is_folder(entry) else entry.parent
    return next((parent for parent in (folder, *list(folder.parents)[:3]) if is_folder(parent / "Annotations")), None)


def splits_of(root: Path) -> dict[str, Path]:
    """Return the lists of stems in a VOC folder, by split."""
    lists = {name: root / "ImageSets" / "Main" / f"{name}.txt" for name in ("train", "val", "test", "trainval")}
    return {name: path for name, path in lists.items() if is_file(path)}


def items_of(entry: Path, split: str, where: Location) -> Iterator[tuple[str, str]]:
    """Yield image and annotation file of what an entry names: a list of stems, a VOC folder, or a folder of both kinds.

    Raises:
        DataError: If there is no such thing.
    """
    root = root_of(entry)
    lists = splits_of(entry)
    if lists:
        if split not in lists:
            raise DataError(f"ImageSets/Main has no {split}.txt", where=where, remedy=f"there are {', '.join(lists)}")
        entry = lists[split]
    if is_folder(entry):
        folder = entry / "Annotations" if root == entry else entry
        stems = sorted(path.stem for path in folder.glob("*.xml"))
    elif root is None:
        raise DataError(f"there is no Annotations folder above {entry}", where=where)
    else:
        folder, stems = root / "Annotations", [_stem(line) for line in lines_of(str(entry))]
    images = _images_by_stem([*((root / "JPEGImages", root / "images") if root else ()), folder])
    for stem in stems:
        image = images.get(stem) or str((root / "JPEGImages" if root else folder) / f"{stem}.jpg")
        yield image, str(folder / f"{stem}.xml")


def _stem(line: str) -> str:
    """Return the stem of a line; lists for one class have a flag behind it."""
    words = line.rsplit(maxsplit=1)
    stem = words[0] if len(words) == 2 and words[1] in ("-1", "0", "1") else line
    return Path(stem).stem if is_image(stem) else stem


def _images_by_stem(folders: list[Path]) -> dict[str, str]:
    found: dict[str, str] = {}
    for folder in folders:
        if folder.is_dir():
            for path in sorted(folder.iterdir()):
                if is_image(path.name):
                    found.setdefault(path.stem, str(path))
    return found
