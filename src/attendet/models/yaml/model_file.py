"""A model file as typed, validated rows."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from attendet.blocks.wiring import Value
from attendet.errors import Location, ModelFileError, nearest_name
from attendet.utils.limits import MAX_CLASSES
from attendet.utils.text import shorten
from attendet.utils.yaml_nodes import MAX_BYTES, Node, parse

MAX_ROWS = 300
MAX_SOURCES = 32
MAX_ITEMS = 32
MAX_REPEATS = 100
MAX_TOTAL_REPEATS = 200
MAX_WIDTH = 65_536
MAX_MULTIPLE = 16
REQUIRED = ("nc", "depth_multiple", "width_multiple", "anchors", "backbone", "head")

Section = Literal["backbone", "head"]
Anchors: TypeAlias = tuple[tuple[tuple[float, float], ...], ...]


@dataclass(frozen=True)
class RowSource:
    """One row that a row reads.

    Attributes:
        written: The number in the file: an absolute row, or a negative one counted back from the reading row.
        row: The absolute row; -1 is the image.
        span: Where the number stands in the text, first character and the one after the last.
    """

    written: int
    row: int
    span: tuple[int, int]


@dataclass(frozen=True)
class LayerRow:
    """One row of a model file: `[from, number, module, args]`.

    Attributes:
        index: Its number, counted over backbone and head.
        section: The list it stands in.
        sources: The rows it reads.
        number: How often its block is repeated, before the depth multiple.
        module: The block's name.
        args: The arguments, with the file's words (`nc`, `None`, …) replaced by what they stand for.
        location: Where it stands.
    """

    index: int
    section: Section
    sources: tuple[RowSource, ...]
    number: int
    module: str
    args: tuple[Value, ...]
    location: Location


@dataclass(frozen=True)
class ModelFile:
    """A model file, validated.

    Attributes:
        name: Path or bundled name, for messages.
        text: The file as it was read.
        num_classes: Number of classes, `nc`.
        depth_multiple: What repeats are scaled by.
        width_multiple: What widths are scaled by.
        anchors: Sides in pixels, (width, height) pairs per level; or how many anchors a level has.
        activation: What replaces SiLU, if anything.
        rows: Backbone and head.
        unknown: Keys that mean nothing here, with their places.
    """

    name: str
    text: str = field(repr=False)
    num_classes: int
    depth_multiple: float
    width_multiple: float
    anchors: Anchors | int
    activation: Node | None
    rows: tuple[LayerRow, ...]
    unknown: tuple[tuple[str, Location], ...] = ()

    def repeats(self, row: LayerRow) -> int:
        """Return how often a row's block is repeated: max(round(number · depth), 1)."""
        return max(round(row.number * self.depth_multiple), 1) if row.number > 1 else 1

    def makes_the_rows_of(self, other: ModelFile) -> bool:
        """Return whether another file makes the same rows, however it is written and whatever its classes are.

        Example:
            >>> from attendet.models import load_model_file
            >>> file = load_model_file("yolov5n")
            >>> mine = read_model_file(file.text.replace("nc: 80", "nc: 3 # mine"), "mine.yaml")
            >>> file.makes_the_rows_of(mine), mine.num_classes
            (True, 3)
        """
        return self._makes() == other._makes()

    def _makes(self) -> object:
        # The head's arguments are the classes and the anchors.
        rows = [
            (row.module, row.number, [source.row for source in row.sources], () if row is self.rows[-1] else row.args)
            for row in self.rows
        ]
        return self.depth_multiple, self.width_multiple, self.activation and self.activation.value, rows


def read_model_file(text: str, name: str) -> ModelFile:
    """Validate the text of a model file.

    Words in arguments stand for what the file says of them: `nc`, and any other key of the file with a number.

    Args:
        text: YAML in the form of YOLOv5's model files.
        name: The name to report places under.

    Raises:
        ModelFileError: If it is longer than model files are; with line and column, if something is missing or out of
            bounds.
    """
    # Not all come from files of their own: those of weights are told by the weights.
    if len(text) > MAX_BYTES:
        raise ModelFileError(
            f"it has more than {MAX_BYTES:,} characters", where=Location(name), remedy="such files have a few thousand"
        )
    root = parse(text, name)
    if not isinstance(root.value, dict):
        raise root.error("a model file is a mapping", remedy=f"give it the keys {', '.join(REQUIRED)}")
    top = root.value
    for key in REQUIRED:
        if key not in top:
            nearest = nearest_name(key, set(top) - set(REQUIRED))
            raise (top[nearest] if nearest else root).error(
                f"{key} is missing", remedy=f"is {nearest} meant to be it?" if nearest else None
            )
    classes = _integer(top["nc"], "nc", 1, MAX_CLASSES)
    words: dict[str, Value] = {"None": None, "True": True, "False": False}
    words |= {key: node.value for key, node in top.items() if isinstance(node.value, int | float)}
    known = (*REQUIRED, "activation")
    file = ModelFile(
        name=name,
        text=text,
        num_classes=classes,
        depth_multiple=_positive(top["depth_multiple"], "the depth multiple", MAX_MULTIPLE),
        width_multiple=_positive(top["width_multiple"], "the width multiple", MAX_MULTIPLE),
        anchors=_anchors(top["anchors"]),
        activation=top.get("activation"),
        rows=_rows(top, words),
        unknown=tuple(
            (key, node.location)
            for key, node in top.items()
            if key not in known and not isinstance(node.value, int | float)
        ),
    )
    _bound_repeats(file)
    return file


def _rows(top: dict[str, Node], words: dict[str, Value]) -> tuple[LayerRow, ...]:
    sections: tuple[Section, ...] = ("backbone", "head")
    nodes: list[tuple[Section, Node]] = [(name, node) for name in sections for node in _list(top[name], name)]
    if not nodes:
        raise top["backbone"].error("there are no rows")
    if len(nodes) > MAX_ROWS:
        raise nodes[MAX_ROWS][1].error(f"there are more than {MAX_ROWS} rows")
    return tuple(_row(index, section, node, words) for index, (section, node) in enumerate(nodes))


def _row(index: int, section: Section, node: Node, words: dict[str, Value]) -> LayerRow:
    match node.value:
        case [sources, number, Node(value=str(module)), Node(value=list(args))]:
            pass
        case _:
            raise node.error(
                f"row {index} is not [from, number, module, [arguments]]", "write [-1, 1, Conv, [64, 3, 2]]"
            )
    return LayerRow(
        index=index,
        section=section,
        sources=_sources(sources, index),
        number=_integer(number, "the number of repeats", 1, MAX_REPEATS),
        module=module,
        args=tuple(_argument(arg, words) for arg in args),
        location=node.location,
    )


def _sources(node: Node, index: int) -> tuple[RowSource, ...]:
    nodes = node.value if isinstance(node.value, list) else [node]
    if not 1 <= len(nodes) <= MAX_SOURCES:
        what = f"row {index} reads {len(nodes) or 'nothing'}"
        raise node.error(what, remedy=f"name 1 to {MAX_SOURCES} rows; -1 is the row before")
    sources = []
    for item in nodes:
        written = _integer(item, "a row number", -MAX_ROWS, MAX_ROWS)
        row = index + written if written < 0 else written
        if not -1 <= row < index:
            raise item.error(f"row {index} reads {written}, which is no row before it", remedy="-1 is the row before")
        sources.append(RowSource(written, row, item.span))
    return tuple(sources)


def _argument(node: Node, words: dict[str, Value]) -> Value:
    match node.value:
        case list() as items if len(items) > MAX_ITEMS:
            raise node.error(f"a list of {len(items):,} is out of bounds", remedy=f"give at most {MAX_ITEMS}")
        case list() as items:
            return [_argument(item, words) for item in items]
        case dict() as items:
            return {key: _argument(item, words) for key, item in items.items()}
        case str() as word:
            value = words.get(word, word)
        case scalar:
            value = scalar
    if isinstance(value, int | float) and not (math.isfinite(value) and abs(value) <= MAX_WIDTH):
        raise node.error(f"{value} is out of bounds", remedy=f"arguments are at most {MAX_WIDTH:,}")
    return value


def _anchors(node: Node) -> Anchors | int:
    if not isinstance(node.value, list):
        return _integer(node, "the number of anchors per level", 1, MAX_REPEATS)
    levels = []
    for level in node.value:
        sides = [_positive(side, "an anchor's side", MAX_WIDTH) for side in _list(level, "a level's anchors")]
        if not sides or len(sides) % 2:
            raise level.error(f"{len(sides)} numbers are no pairs of width and height")
        levels.append(tuple(zip(sides[::2], sides[1::2], strict=True)))
    for level, node_of_level in zip(levels, node.value, strict=True):
        if len(level) != len(levels[0]):
            raise node_of_level.error(f"{len(level)} anchors, where the first level has {len(levels[0])}")
    if not levels:
        raise node.error("there are no anchors", remedy="give one row per level, or how many a level has")
    return tuple(levels)


def _bound_repeats(file: ModelFile) -> None:
    total = 0
    for row in file.rows:
        total += file.repeats(row)
        if total > MAX_TOTAL_REPEATS:
            raise ModelFileError(f"there are more than {MAX_TOTAL_REPEATS:,} repeats up to here", where=row.location)


def _list(node: Node, what: str) -> list[Node]:
    if not isinstance(node.value, list):
        raise node.error(f"{what} is {node.plain()!r}, where a list is needed")
    return node.value


def _integer(node: Node, what: str, low: int, high: int) -> int:
    if type(node.value) is not int or not low <= node.value <= high:
        raise node.error(
            f"{what} is {shorten(repr(node.plain()), 40)}", remedy=f"give a whole number from {low:,} to {high:,}"
        )
    return node.value


def _positive(node: Node, what: str, high: float) -> float:
    if isinstance(node.value, bool) or not isinstance(node.value, int | float) or not 0 < node.value <= high:
        raise node.error(
            f"{what} is {shorten(repr(node.plain()), 40)}", remedy=f"give a positive number of at most {high:,}"
        )
    return float(node.value)
