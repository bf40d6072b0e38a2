"""Model files as typed, validated rows."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from attendet.errors import Location, ModelFileError
from attendet.models.yaml.checked_values import require_integer, require_list, require_positive
from attendet.models.yaml.family_blocks import args_of_size, head_has_anchors
from attendet.models.yaml.required_keys import KEYS, missing_key, require_keys
from attendet.models.yaml.scales import has_scales, read_scale
from attendet.utils.limits import MAX_CLASSES
from attendet.utils.yaml_nodes import MAX_BYTES, Node, Plain, parse

MAX_WIDTH = 65_536
_MAX_ROWS = 300
_MAX_SOURCES = 32
_MAX_ITEMS = 32
_MAX_REPEATS = 100
_MAX_TOTAL_REPEATS = 200
_MAX_MULTIPLE = 16

# YAML 1.1 reads 1e-4 as a word, because its numbers with an exponent have a dot.
_EXPONENT = re.compile(r"[+-]?[0-9]{1,9}[eE][+-]?[0-9]{1,3}")

Section = Literal["backbone", "head"]
Anchors: TypeAlias = tuple[tuple[tuple[float, float], ...], ...]


@dataclass(frozen=True)
class RowSource:
    """A row that another row reads.

    Attributes:
        written: The number in the file: an absolute row, or a negative number that counts back from the reading row.
        row: The absolute row; -1 is the image.
        span: Place of the number in the text: index of its first character, and of the character after its last.
    """

    written: int
    row: int
    span: tuple[int, int]


@dataclass(frozen=True)
class LayerRow:
    """A row of a model file: `[from, number, module, args]`.

    Attributes:
        index: Index of the row, counted over backbone and head.
        section: The list that contains the row.
        sources: The rows that it reads.
        number: Repeats of its block, before the depth multiple is applied.
        module: Name of the block or attention module.
        args: The arguments as they are built; words such as `nc` and `None` are replaced by their values.
        location: Place of the row in the file.
        module_span: Place of the name of the module in the text: index of its first character, and of the character
            after its last.
        args_span: Place of the list of arguments in the text.
    """

    index: int
    section: Section
    sources: tuple[RowSource, ...]
    number: int
    module: str
    args: tuple[Plain, ...]
    location: Location
    module_span: tuple[int, int] = field(default=(0, 0), repr=False, compare=False)
    args_span: tuple[int, int] = field(default=(0, 0), repr=False, compare=False)


@dataclass(frozen=True)
class ModelFile:
    """A validated model file.

    Attributes:
        name: Path or bundled name, for messages.
        text: Content of the file.
        num_classes: Number of classes, `nc`.
        depth_multiple: Factor for the repeats of blocks.
        width_multiple: Factor for the output channels of blocks.
        max_width: Largest number of output channels before `width_multiple` is applied.
        size: Name of the size, such as `n`, if the file lists several under `scales`.
        is_size_assumed: The size is the first one of several, because neither the file nor its name selects one.
        anchors: Width and height in pixels of each anchor of each level, or the number of anchors per level; empty for
            a head without anchors, as in YOLOv8 and YOLO11, even if the file has the key.
        activation: The activation that replaces SiLU, if there is one.
        rows: The rows of backbone and head.
        unused_keys: Keys that have no meaning in a model file, or none in this one, and their places.
    """

    name: str
    text: str = field(repr=False)
    num_classes: int
    depth_multiple: float
    width_multiple: float
    anchors: Anchors | int
    activation: Node | None
    rows: tuple[LayerRow, ...]
    unused_keys: tuple[tuple[str, Location], ...] = ()
    max_width: int = MAX_WIDTH
    size: str | None = None
    is_size_assumed: bool = False

    def repeats(self, row: LayerRow) -> int:
        """Return how often the block of a row is repeated: max(round(number * depth_multiple), 1)."""
        return max(round(row.number * self.depth_multiple), 1) if row.number > 1 else 1

    def has_rows_of(self, other: ModelFile) -> bool:
        """Return whether another file describes the same rows; number of classes, anchors, and layout may differ.

        Example:
            >>> from attendet.models import load_model_file
            >>> file = load_model_file("yolov5n")
            >>> mine = read_model_file(file.text.replace("nc: 80", "nc: 3 # mine"), "mine.yaml")
            >>> file.has_rows_of(mine), mine.num_classes
            (True, 3)
        """
        return self._structure() == other._structure()

    def _structure(self) -> object:
        # The arguments of the head are the number of classes and the anchors.
        rows = [
            (row.module, row.number, [source.row for source in row.sources], () if row is self.rows[-1] else row.args)
            for row in self.rows
        ]
        scale = self.depth_multiple, self.width_multiple, self.max_width
        return scale, bool(self.anchors), self.activation and self.activation.value, rows


def read_model_file(text: str, name: str) -> ModelFile:
    """Validate the text of a model file.

    Words among the arguments are replaced by their values: `nc`, and any other key of the file with a number.

    Args:
        text: YAML in the format of YOLOv5's model files.
        name: Path or name of the file, for messages.

    Raises:
        ModelFileError: If the text is too long, not YAML, or not a valid model file; with line and column.

    Example:
        >>> from attendet.models.bundled import bundled_text
        >>> file = read_model_file(bundled_text("yolov5s"), "mine.yaml")
        >>> len(file.rows), file.rows[-1].module, file.num_classes
        (25, 'Detect', 80)
    """
    # The text may come from a weights file, so no reader of files has limited its length.
    if len(text) > MAX_BYTES:
        raise ModelFileError(
            f"a model file must have at most {MAX_BYTES:,} characters, got {len(text):,}", where=Location(name)
        )
    root = parse(text, name)
    keys = require_keys(root)
    scale = read_scale(keys, name, _MAX_MULTIPLE, MAX_WIDTH)
    words: dict[str, Plain] = {"None": None, "True": True, "False": False}
    words |= {key: node.value for key, node in keys.items() if isinstance(node.value, int | float)}
    rows = _rows(keys, words, scale.name)
    has_anchors = head_has_anchors(
        [row.module for row in rows], rows[-1].args, are_in_file="anchors" in keys, lists_sizes=has_scales(keys)
    )
    if has_anchors and "anchors" not in keys:
        raise missing_key("anchors", keys, rows[-1].location, "add `anchors`, or write [nc] for a head without anchors")
    anchors = _anchors(keys["anchors"]) if "anchors" in keys else ()
    known = (*KEYS, "activation", *(["scales", "scale"] if has_scales(keys) else []))
    file = ModelFile(
        name=name,
        text=text,
        num_classes=require_integer(keys["nc"], "`nc`", 1, MAX_CLASSES),
        depth_multiple=scale.depth,
        width_multiple=scale.width,
        max_width=scale.max_width,
        size=scale.name,
        is_size_assumed=scale.is_assumed,
        anchors=anchors if has_anchors else (),
        activation=keys.get("activation"),
        rows=rows,
        unused_keys=tuple(
            (key, node.location)
            for key, node in keys.items()
            if (key == "anchors" and not has_anchors) or (key not in known and not isinstance(node.value, int | float))
        ),
    )
    _limit_repeats(file)
    return file


def _rows(keys: dict[str, Node], words: dict[str, Plain], size: str | None) -> tuple[LayerRow, ...]:
    sections: tuple[Section, ...] = ("backbone", "head")
    nodes: list[tuple[Section, Node]] = [
        (section, node) for section in sections for node in require_list(keys[section], f"`{section}`")
    ]
    if not nodes:
        raise keys["backbone"].error("`backbone` and `head` must have rows, got two empty lists")
    if len(nodes) > _MAX_ROWS:
        raise nodes[_MAX_ROWS][1].error(f"a model file must have at most {_MAX_ROWS} rows, got {len(nodes):,}")
    return tuple(_row(index, section, node, words, size) for index, (section, node) in enumerate(nodes))


def _row(index: int, section: Section, node: Node, words: dict[str, Plain], size: str | None) -> LayerRow:
    match node.value:
        case [sources, number, Node(value=str(module)) as module_node, Node(value=list(args)) as args_node]:
            pass
        case _:
            raise node.error(
                f"row {index} must be [from, number, module, [arguments]]", "write it like [-1, 1, Conv, [64, 3, 2]]"
            )
    return LayerRow(
        index=index,
        section=section,
        sources=_sources(sources, index),
        number=require_integer(number, "the number of repeats", 1, _MAX_REPEATS),
        module=module,
        args=args_of_size(module, tuple(_argument(arg, words) for arg in args), size),
        location=node.location,
        module_span=module_node.span,
        args_span=args_node.span,
    )


def _sources(node: Node, index: int) -> tuple[RowSource, ...]:
    nodes = node.value if isinstance(node.value, list) else [node]
    if not 1 <= len(nodes) <= _MAX_SOURCES:
        message = f"row {index} must read 1 to {_MAX_SOURCES} rows, got {len(nodes):,}"
        raise node.error(message, remedy="-1 is the previous row")
    sources = []
    for item in nodes:
        written = require_integer(item, "a row number", -_MAX_ROWS, _MAX_ROWS)
        row = index + written if written < 0 else written
        if not -1 <= row < index:
            raise item.error(f"row {index} must read earlier rows, got {written}", remedy="-1 is the previous row")
        sources.append(RowSource(written, row, item.span))
    return tuple(sources)


def _argument(node: Node, words: dict[str, Plain]) -> Plain:
    match node.value:
        case list() as items if len(items) > _MAX_ITEMS:
            raise node.error(f"a list of arguments must have at most {_MAX_ITEMS} items, got {len(items):,}")
        case list() as items:
            return [_argument(item, words) for item in items]
        case dict() as items:
            return {key: _argument(item, words) for key, item in items.items()}
        case str() as word:
            value = words.get(word, float(word) if _EXPONENT.fullmatch(word) else word)
        case scalar:
            value = scalar
    if isinstance(value, int | float) and not (math.isfinite(value) and abs(value) <= MAX_WIDTH):
        raise node.error(f"an argument must be between -{MAX_WIDTH:,} and {MAX_WIDTH:,}, got {value}")
    return value


def _anchors(node: Node) -> Anchors | int:
    if not isinstance(node.value, list):
        return require_integer(node, "the number of anchors per level", 1, _MAX_REPEATS)
    levels = []
    for level in node.value:
        sides = [
            require_positive(side, "the side of an anchor", MAX_WIDTH)
            for side in require_list(level, "each level of `anchors`")
        ]
        if not sides or len(sides) % 2:
            raise level.error(f"the anchors of a level must be pairs of width and height, got {len(sides)} numbers")
        levels.append(tuple(zip(sides[::2], sides[1::2], strict=True)))
    for anchors, level in zip(levels, node.value, strict=True):
        if len(anchors) != len(levels[0]):
            raise level.error(f"every level must have {len(levels[0])} anchors like the first, got {len(anchors)}")
    if not levels:
        remedy = "write a list per level, or the number of anchors per level"
        raise node.error("`anchors` must have at least one level", remedy)
    return tuple(levels)


def _limit_repeats(file: ModelFile) -> None:
    total = 0
    for row in file.rows:
        total += file.repeats(row)
        if total > _MAX_TOTAL_REPEATS:
            message = f"the rows must have at most {_MAX_TOTAL_REPEATS:,} repeats in total, got {total:,} up to here"
            raise ModelFileError(message, where=row.location)
