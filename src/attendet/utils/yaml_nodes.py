"""YAML as nodes that know where they stand, read without trust.

Model and data files come from strangers. Anchors and aliases (which can unfold to any size), tags (which name code),
deep nesting, repeated keys and large files are refused, with their place, before they cost anything.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from attendet.errors import AttendetError, Location, ModelFileError
from attendet.utils.io import read_text

MAX_BYTES = 64 * 1024
MAX_DEPTH = 8
LONGEST_NUMBER = 40
# Categories of Unicode: controls, formats (which can turn the direction of a text round), halves of characters, breaks.
UNSEEN = ("Cc", "Cf", "Cs", "Zl", "Zp")
# Emoji and some scripts are written with joiners.
HARMLESS = "\n\t\u200c\u200d"

Scalar: TypeAlias = "int | float | bool | str | None"
Plain: TypeAlias = "Scalar | list[Plain] | dict[str, Plain]"


@dataclass(frozen=True)
class Node:
    """A value and its place.

    Attributes:
        value: A scalar, a list of nodes, or a mapping from words to nodes.
        location: File, line and column.
        span: First character in the text and the one after the last.
        raises: What an error about this place is.
    """

    value: Scalar | list[Node] | dict[str, Node]
    location: Location
    span: tuple[int, int]
    raises: type[AttendetError] = ModelFileError

    def plain(self) -> Plain:
        """Return the value without places."""
        match self.value:
            case list() as items:
                return [item.plain() for item in items]
            case dict() as items:
                return {key: item.plain() for key, item in items.items()}
            case scalar:
                return scalar

    def error(self, what: str, remedy: str | None = None) -> AttendetError:
        """Return an error about this place."""
        return self.raises(what, where=self.location, remedy=remedy)


def read_yaml(path: Path, raises: type[AttendetError] = ModelFileError, max_bytes: int = MAX_BYTES) -> str:
    """Return the text of a YAML file.

    Args:
        path: The file.
        raises: Class of the errors.
        max_bytes: Largest size.

    Raises:
        AttendetError: Of the class given, if the file cannot be opened, is too large, or is not UTF-8.
    """
    return read_text(path, max_bytes, raises, remedy="such files have a few thousand")


def parse(text: str, file: str, raises: type[AttendetError] = ModelFileError) -> Node:
    """Return the one document in a text.

    Args:
        text: YAML.
        file: The name to report places under.
        raises: What errors about the text are.

    Raises:
        AttendetError: Of the class given, if the text is no YAML, or has what is refused (see above).

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
        raise raises(f"it is not YAML: {error.problem or error.context}", where=where) from error
    except yaml.YAMLError as error:
        raise raises(f"it is not YAML: {str(error).splitlines()[0]}", where=Location(file)) from error


@dataclass(frozen=True)
class _Source:
    """What is being read: the file's name, and what errors about it are."""

    file: str
    raises: type[AttendetError]

    def node(self, value: Any, start: Any, end: Any) -> Node:
        return Node(value, _location(start, self.file), (start.index, end.index), self.raises)

    def error(self, what: str, mark: Any, remedy: str | None = None) -> AttendetError:
        return self.raises(what, where=_location(mark, self.file), remedy=remedy)


class _OpenList:
    """A list whose end is still to come."""

    def __init__(self, start: Any, source: _Source) -> None:
        self.start, self.source = start, source
        self.items: list[Node] = []

    def put(self, node: Node) -> None:
        self.items.append(node)

    def close(self, end: Any) -> Node:
        return self.source.node(self.items, self.start, end)


class _OpenMapping:
    """A mapping whose end is still to come; keys and values arrive in turn."""

    def __init__(self, start: Any, source: _Source) -> None:
        self.start, self.source = start, source
        self.items: dict[str, Node] = {}
        self.key: str | None = None

    def put(self, node: Node) -> None:
        if self.key is not None:
            self.items[self.key] = node
            self.key = None
        elif isinstance(node.value, list | dict):
            raise node.error("a key has to be a word")
        elif str(node.value) in self.items:
            raise node.error(f"{node.value} is given twice")
        else:
            self.key = str(node.value)

    def close(self, end: Any) -> Node:
        return self.source.node(self.items, self.start, end)


def _compose(events: Iterator[yaml.Event], source: _Source) -> Node:
    # A stack of our own instead of recursion: depth is bounded by us, not by the interpreter.
    scalars = yaml.SafeLoader("")
    stack: list[_OpenList | _OpenMapping] = []
    root: Node | None = None
    for event in events:
        _refuse_references(event, source)
        match event:
            case yaml.SequenceStartEvent() | yaml.MappingStartEvent():
                if len(stack) == MAX_DEPTH:
                    raise source.error(f"there are more than {MAX_DEPTH} levels of nesting", event.start_mark)
                opened = _OpenList if isinstance(event, yaml.SequenceStartEvent) else _OpenMapping
                stack.append(opened(event.start_mark, source))
                continue
            case yaml.SequenceEndEvent() | yaml.MappingEndEvent():
                node = stack.pop().close(event.end_mark)
            case yaml.ScalarEvent():
                node = _scalar(event, source, scalars)
            case yaml.DocumentStartEvent() if root is not None:
                raise source.error("there is a second document", event.start_mark)
            case _:
                continue
        if stack:
            stack[-1].put(node)
        else:
            root = node
    if root is None:
        raise source.raises("it is empty", where=Location(source.file))
    return root


def _refuse_references(event: yaml.Event, source: _Source) -> None:
    if isinstance(event, yaml.AliasEvent):
        raise source.error(f"the alias *{event.anchor} is refused", event.start_mark, "write out what it stands for")
    if isinstance(event, yaml.NodeEvent) and event.anchor is not None:
        raise source.error(f"the anchor &{event.anchor} is refused", event.start_mark, "leave it out")
    tag = getattr(event, "tag", None)
    if tag not in (None, "!"):
        raise source.error(f"the tag {tag} is refused", event.start_mark, "write plain values")


def _scalar(event: yaml.ScalarEvent, source: _Source, scalars: yaml.SafeLoader) -> Node:
    """Resolve numbers, booleans and null as every YAML reader does; the rest are words."""
    start, end = _marks(event)
    value: Any = event.value
    if any(character not in HARMLESS and unicodedata.category(character) in UNSEEN for character in event.value):
        # Messages repeat words of the file, and a terminal obeys control characters.
        raise source.error("there are control characters", start, "leave them out")
    if len(event.value) <= LONGEST_NUMBER:
        tag = scalars.resolve(yaml.ScalarNode, event.value, event.implicit)
        try:
            value = scalars.construct_object(yaml.ScalarNode(tag, event.value, start, end))
        except (ValueError, yaml.YAMLError):
            # It looks like a number or a date and is none.
            value = event.value
    if value is not None and not isinstance(value, int | float | bool | str):
        value = event.value
    return source.node(value, start, end)


def _marks(event: yaml.Event) -> tuple[Any, Any]:
    # Every event of a text has marks; their type allows for events made by hand.
    return event.start_mark, event.end_mark


def _location(mark: Any, file: str) -> Location:
    return Location(file, mark.line + 1, mark.column + 1)
