"""A YAML reader for untrusted files that keeps the place of every value.

Model files and data files come from strangers. The reader refuses anchors and aliases (which can expand to any size),
tags (which can name code), deep nesting, repeated keys, and large files, before they cost memory or time. Each error
names the line and the column.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from attendet.errors import AttendetError, Location, ModelFileError
from attendet.utils.io import read_text
from attendet.utils.text import JOINERS, short_repr, shorten

MAX_BYTES = 64 * 1024
MAX_DEPTH = 8
# More than the names of the most classes, and few enough for seconds.
_MAX_VALUES = 110_000
# Anchors and tags in error messages.
_MAX_SHOWN = 40
# The time to convert a number grows with the square of its length.
_MAX_NUMBER_LENGTH = 40
# Unicode categories: controls, formats (which can reverse the direction of text), lone surrogates, line separators.
_INVISIBLE_CATEGORIES = ("Cc", "Cf", "Cs", "Zl", "Zp")
_ALLOWED_INVISIBLE = f"\n\t{JOINERS}"

# PyYAML has two unrelated classes of marks, and its types allow events without any.
_Mark: TypeAlias = Any

Scalar: TypeAlias = "int | float | bool | str | None"
Plain: TypeAlias = "Scalar | list[Plain] | dict[str, Plain]"


@dataclass(frozen=True)
class Node:
    """A value of a YAML file and its place.

    Attributes:
        value: A scalar, a list of nodes, or a mapping from keys to nodes.
        location: File, line, and column where the value starts.
        span: Index of the first character in the text, and of the character after the last.
        raises: Class of errors about this value.
    """

    value: Scalar | list[Node] | dict[str, Node]
    location: Location
    span: tuple[int, int]
    raises: type[AttendetError] = ModelFileError

    def plain(self) -> Plain:
        """Return the value as built-in types, without places."""
        match self.value:
            case list() as items:
                return [item.plain() for item in items]
            case dict() as items:
                return {key: item.plain() for key, item in items.items()}
            case scalar:
                return scalar

    def error(self, message: str, remedy: str | None = None) -> AttendetError:
        """Return an error about this value; its place is in the message."""
        return self.raises(message, where=self.location, remedy=remedy)


def read_yaml_text(path: Path, raises: type[AttendetError] = ModelFileError, max_bytes: int = MAX_BYTES) -> str:
    """Return the text of a YAML file.

    Args:
        path: The file.
        raises: Class of the errors that this function raises.
        max_bytes: Largest size.

    Raises:
        AttendetError: If the file cannot be opened, is too large, or is not UTF-8.
    """
    return read_text(path, max_bytes, raises, remedy="such files have a few thousand")


def parse(text: str, file: str, raises: type[AttendetError] = ModelFileError) -> Node:
    """Parse a YAML text that holds a single document.

    Args:
        text: The YAML text.
        file: Name of the file, for error messages.
        raises: Class of the errors that this function raises.

    Raises:
        AttendetError: If the text is not YAML, is empty, has several documents, or uses a feature
            that this reader refuses (see the top of this module).

    Example:
        >>> node = parse("{nc: 80, anchors: [10, 13]}", "a.yaml")
        >>> node.plain()
        {'nc': 80, 'anchors': [10, 13]}
        >>> str(node.value["anchors"].location)
        'a.yaml:1:19'
    """
    try:
        return _compose(yaml.parse(text, Loader=yaml.SafeLoader), _Source(file, raises))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = _location(mark, file) if mark else Location(file)
        raise raises(f"the file is not YAML: {error.problem or error.context}", where=where) from error
    except yaml.YAMLError as error:
        raise raises(f"the file is not YAML: {str(error).splitlines()[0]}", where=Location(file)) from error
    except (ValueError, ArithmeticError) as error:
        # PyYAML does not check the numbers in "\U00110000" and "%YAML 1.99999".
        message = "the file is not YAML: it has a character or a version that does not exist"
        raise raises(message, where=Location(file)) from error


@dataclass(frozen=True)
class _Source:
    """The file that is read, and the class of errors about it."""

    file: str
    raises: type[AttendetError]

    def node(self, value: Any, start: _Mark, end: _Mark) -> Node:
        return Node(value, _location(start, self.file), (start.index, end.index), self.raises)

    def error(self, message: str, mark: _Mark, remedy: str | None = None) -> AttendetError:
        return self.raises(message, where=_location(mark, self.file), remedy=remedy)


class _OpenList:
    """A list whose items are being read."""

    def __init__(self, start: _Mark, source: _Source, *, is_flow: bool) -> None:
        self.start, self.source, self.is_flow = start, source, is_flow
        self.items: list[Node] = []

    def add(self, node: Node) -> None:
        self.items.append(node)

    def close(self, end: _Mark) -> Node:
        node = self.source.node(self.items, self.start, end)
        # PyYAML ends a block at the next token, after comments and the indentation of another block.
        is_block = not self.is_flow and self.items
        return replace(node, span=(node.span[0], self.items[-1].span[1])) if is_block else node


class _OpenMapping:
    """A mapping whose keys and values are being read, alternately."""

    def __init__(self, start: _Mark, source: _Source, *, is_flow: bool) -> None:
        self.start, self.source, self.is_flow = start, source, is_flow
        self.items: dict[str, Node] = {}
        self.key: str | None = None

    def add(self, node: Node) -> None:
        if self.key is not None:
            self.items[self.key] = node
            self.key = None
        elif isinstance(node.value, list | dict):
            raise node.error("a key must be a single value, got a list or a mapping")
        elif str(node.value) in self.items:
            raise node.error(f"the key {short_repr(node.value)} is given twice", "remove one of them")
        else:
            self.key = str(node.value)

    def close(self, end: _Mark) -> Node:
        node = self.source.node(self.items, self.start, end)
        last = next(reversed(self.items.values()), None)
        return node if self.is_flow or last is None else replace(node, span=(node.span[0], last.span[1]))


def _compose(events: Iterator[yaml.Event], source: _Source) -> Node:
    # A stack instead of recursion, so that MAX_DEPTH bounds the depth and not the interpreter.
    scalars = yaml.SafeLoader("")
    stack: list[_OpenList | _OpenMapping] = []
    root: Node | None = None
    values = 0
    for event in events:
        _refuse_references(event, source)
        values += isinstance(event, yaml.NodeEvent)
        if values > _MAX_VALUES:
            raise source.error(f"the file has more than {_MAX_VALUES:,} values", event.start_mark)
        match event:
            case yaml.SequenceStartEvent() | yaml.MappingStartEvent():
                if len(stack) == MAX_DEPTH:
                    raise source.error(f"the file has more than {MAX_DEPTH} levels of nesting", event.start_mark)
                opened = _OpenList if isinstance(event, yaml.SequenceStartEvent) else _OpenMapping
                stack.append(opened(event.start_mark, source, is_flow=bool(event.flow_style)))
                continue
            case yaml.SequenceEndEvent() | yaml.MappingEndEvent():
                node = stack.pop().close(event.end_mark)
            case yaml.ScalarEvent():
                node = _scalar(event, source, scalars)
            case yaml.DocumentStartEvent() if root is not None:
                raise source.error("the file has a second document", event.start_mark, "remove it")
            case _:
                continue
        if stack:
            stack[-1].add(node)
        else:
            root = node
    if root is None:
        raise source.raises("the file is empty", where=Location(source.file))
    return root


def _refuse_references(event: yaml.Event, source: _Source) -> None:
    if isinstance(event, yaml.AliasEvent):
        raise source.error(
            f"the alias *{shorten(str(event.anchor), _MAX_SHOWN)} is not allowed",
            event.start_mark,
            "write out its value",
        )
    if isinstance(event, yaml.NodeEvent) and event.anchor is not None:
        raise source.error(
            f"the anchor &{shorten(event.anchor, _MAX_SHOWN)} is not allowed", event.start_mark, "remove it"
        )
    tag = getattr(event, "tag", None)
    if tag not in (None, "!"):
        raise source.error(
            f"the tag {shorten(tag, _MAX_SHOWN)} is not allowed", event.start_mark, "write a plain value"
        )


def _scalar(event: yaml.ScalarEvent, source: _Source, scalars: yaml.SafeLoader) -> Node:
    """Return a scalar with numbers, booleans, and null resolved as in YAML 1.1, and all else as text."""
    start, end = _marks(event)
    value: Any = event.value
    if any(_is_invisible(character) for character in event.value):
        # Error messages repeat text of the file, and a terminal would interpret control characters.
        raise source.error("the text has control characters", start, "remove them")
    if len(event.value) <= _MAX_NUMBER_LENGTH:
        tag = scalars.resolve(yaml.ScalarNode, event.value, event.implicit)
        try:
            value = scalars.construct_object(yaml.ScalarNode(tag, event.value, start, end))
        except (ValueError, ArithmeticError, yaml.YAMLError):
            # It looks like a number or a date, but is not valid.
            value = event.value
    if value is not None and not isinstance(value, int | float | bool | str):
        value = event.value
    return source.node(value, start, end)


def _marks(event: yaml.Event) -> tuple[_Mark, _Mark]:
    return event.start_mark, event.end_mark


def _is_invisible(character: str) -> bool:
    return character not in _ALLOWED_INVISIBLE and unicodedata.category(character) in _INVISIBLE_CATEGORIES


def _location(mark: _Mark, file: str) -> Location:
    return Location(file, mark.line + 1, mark.column + 1)
