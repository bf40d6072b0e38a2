"""Pascal VOC's label format: an XML file per image in `Annotations`, and lists of file stems in `ImageSets/Main`."""

from __future__ import annotations

from typing import Any
from xml.sax import SAXException, SAXParseException
from xml.sax.handler import ContentHandler

from defusedxml.common import DefusedXmlException
from defusedxml.sax import parseString

from attendet.data.formats.labels import ImageLabels, LabelBuilder, parse_coordinate, read_label_file
from attendet.errors import DataError, Location
from attendet.utils.text import is_legible, shorten

_MAX_VALUE_LENGTH = 1000
_MAX_DEPTH = 16

_OBJECT = ("annotation", "object")
_SIDES = ("xmin", "ymin", "xmax", "ymax")
_ELEMENTS = frozenset(
    {
        ("annotation", "size", "width"),
        ("annotation", "size", "height"),
        (*_OBJECT, "name"),
        *((*_OBJECT, "bndbox", side) for side in _SIDES),
    }
)


def read_voc_labels(path: str) -> ImageLabels:
    """Read a VOC annotation file.

    Raises:
        DataError: If the file cannot be read or is not a VOC annotation in XML.
    """
    return parse_voc_labels(read_label_file(path), path)


def parse_voc_labels(content: bytes, file: str) -> ImageLabels:
    """Parse the content of a VOC annotation file.

    Coordinates are taken as they are: VOC counts pixels from 1, most tools count from 0, and files do not state the
    convention.
    Objects marked as `difficult` count like all others.

    Args:
        content: XML.
        file: Path of the annotation file, for messages.

    Returns:
        The labels; objects that are not valid are listed in its `problems`.

    Raises:
        DataError: If the content is not XML, is not a VOC annotation, or defines entities (which may expand to any
            size).

    Example:
        >>> labels = parse_voc_labels(
        ...     b"<annotation><object><name>pear</name><bndbox><xmin>1</xmin><ymin>2</ymin>"
        ...     b"<xmax>5</xmax><ymax>9.5</ymax></bndbox></object></annotation>",
        ...     "a.xml",
        ... )
        >>> labels.classes, labels.boxes.tolist()
        (('pear',), [[1.0, 2.0, 5.0, 9.5]])
    """
    handler = _AnnotationHandler(file)
    try:
        parseString(content, handler)
    except SAXParseException as error:
        where = Location(file, error.getLineNumber(), (error.getColumnNumber() or 0) + 1)
        raise DataError(f"the file is not XML: {error.getMessage()}", where=where) from error
    except DefusedXmlException as error:
        raise DataError("XML entities are refused", where=Location(file), remedy="write them out") from error
    except (SAXException, ValueError, LookupError) as error:
        # The encoding does not exist, or is not the one that the file states.
        raise DataError("the XML cannot be read", where=Location(file)) from error
    return handler.labels()


class _AnnotationHandler(ContentHandler):
    """A SAX handler that adds each object at the end of its element, with the line, and keeps no tree of the file."""

    def __init__(self, file: str) -> None:
        super().__init__()
        self._builder = LabelBuilder(file)
        self._path: list[str] = []
        self._values: dict[tuple[str, ...], str] = {}
        self._line = 0
        self._locator: Any = None

    def setDocumentLocator(self, locator: Any) -> None:  # noqa: N802 - SAX's name
        self._locator = locator

    def startElement(self, name: str, attrs: Any) -> None:  # noqa: ARG002, N802 - SAX's name and arguments
        if not self._path and name != "annotation":
            where = Location(self._builder.file)
            raise DataError(f"the root element must be 'annotation', got {shorten(name, 40)!r}", where=where)
        if len(self._path) == _MAX_DEPTH:
            where = Location(self._builder.file)
            raise DataError(f"elements are nested more than {_MAX_DEPTH} levels deep", where=where)
        self._path.append(name)
        path = tuple(self._path)
        if path in _ELEMENTS:
            self._values[path] = ""
        if path == _OBJECT:
            self._line = self._locator.getLineNumber()
            self._values = {key: value for key, value in self._values.items() if key[:2] != _OBJECT}

    def characters(self, content: str) -> None:
        path = tuple(self._path)
        if path in _ELEMENTS:
            self._values[path] = (self._values[path] + content)[:_MAX_VALUE_LENGTH]

    def endElement(self, name: str) -> None:  # noqa: ARG002, N802 - SAX's name and arguments
        if tuple(self._path) == _OBJECT:
            self._add_object()
        self._path.pop()

    def labels(self) -> ImageLabels:
        try:
            sides = (self._value("annotation", "size", side) for side in ("width", "height"))
            width, height = (int(parse_coordinate(side)) for side in sides)
        except ValueError:
            width = height = 0
        # Some tools write 0 if they do not know the size.
        return self._builder.build(stated_size=(width, height) if width > 0 and height > 0 else None)

    def _add_object(self) -> None:
        try:
            name, box = _check_name(self._value(*_OBJECT, "name")), self._box()
        except ValueError as error:
            self._builder.add_problem(str(error), self._line)
        else:
            self._builder.add_object(name, box, line=self._line)

    def _box(self) -> list[float]:
        box = [self._side(side) for side in _SIDES]
        for low, high in (("xmin", "xmax"), ("ymin", "ymax")):
            if box[_SIDES.index(high)] < box[_SIDES.index(low)]:
                raise ValueError(f"{high} must not be less than {low}")
        return box

    def _side(self, side: str) -> float:
        try:
            return parse_coordinate(self._value(*_OBJECT, "bndbox", side))
        except ValueError as error:
            raise ValueError(f"{side}: {error}") from error

    def _value(self, *path: str) -> str:
        return self._values.get(path, "").strip()


def _check_name(text: str) -> str:
    if not text or not is_legible(text):
        raise ValueError(f"the name of an object must be printable text, got {shorten(text, 40)!r}")
    return text
