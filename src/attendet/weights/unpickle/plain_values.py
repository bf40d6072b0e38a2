"""What a pickle says beside its tensors, as plain values that JSON can hold."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import yaml

from attendet.weights.unpickle.inert import PickledObject
from attendet.weights.unpickle.numpy_values import array_values

_MOST_VALUES = 20_000
_MOST_CHARACTERS = 200_000
_DEEPEST = 20
_LONGEST_NUMBER_BITS = 64
_MOST_CLASSES = 10_000
_MOST_ITEMS = 100


class NotPlainError(Exception):
    """A value that no JSON can hold, or one that is too large to be told."""


def plain(value: Any) -> Any:
    """Return a value of a pickle as JSON would hold it.

    Paths and tuples are text and lists by now; objects of unknown classes are told by what they hold. Bytes and tensors
    are not told.

    Raises:
        NotPlainError: If it cannot be told, or has more than 20,000 parts or 200,000 characters. One part can be meant
            at many places of a small file, so parts are counted as they are told.

    Example:
        >>> plain({"lr0": 0.01, 3: (1, 2)})
        {'lr0': 0.01, '3': [1, 2]}
    """
    return _Teller().tell(value, 0)


def plain_items(items: Mapping[Any, Any]) -> dict[str, Any]:
    """Return those of the first hundred items of a mapping that can be told and are not None.

    Example:
        >>> plain_items({"epoch": 3, "optimizer": b"...", "wandb_id": None})
        {'epoch': 3}
    """
    told = {}
    for key, value in itertools.islice(items.items(), _MOST_ITEMS):
        if value is not None and isinstance(key, str) and len(key) <= 200:
            try:
                told[key] = plain(value)
            except NotPlainError:
                continue
    return told


def class_names(value: Any) -> tuple[str, ...] | None:
    """Return the names of classes from a list, or a mapping from numbers; None if it is neither.

    Example:
        >>> class_names({1: "b", 0: "a"}), class_names(["a"]), class_names({7: "a"})
        (('a', 'b'), ('a',), None)
    """
    if isinstance(value, dict) and len(value) <= _MOST_CLASSES and set(value) == set(range(len(value))):
        value = [value[number] for number in range(len(value))]
    if not isinstance(value, list | tuple) or not 0 < len(value) <= _MOST_CLASSES:
        return None
    try:
        names = plain(list(value))
    except NotPlainError:
        return None
    return tuple(map(str, names)) if all(isinstance(name, str | int | float) for name in names) else None


def model_file_text(value: Any) -> str | None:
    """Return the YAML of a model file, or None if the value is none.

    Example:
        >>> print(model_file_text({"nc": 80, "backbone": [[-1, 1, "Conv", [64, 6, 2, 2]]]}), end="")
        nc: 80
        backbone:
        - - -1
          - 1
          - Conv
          - [64, 6, 2, 2]
    """
    if not isinstance(value, dict) or "backbone" not in value:
        return None
    try:
        return yaml.safe_dump(plain(value), sort_keys=False, default_flow_style=None, allow_unicode=True)
    except NotPlainError:
        return None


class _Teller:
    """Counts what it tells."""

    def __init__(self) -> None:
        self._values = _MOST_VALUES
        self._characters = _MOST_CHARACTERS

    def tell(self, value: Any, depth: int) -> Any:
        self._values -= 1
        if self._values < 0 or depth > _DEEPEST:
            raise NotPlainError
        match value:
            case None | bool() | float():
                return value
            case int() if value.bit_length() <= _LONGEST_NUMBER_BITS:
                return value
            case str():
                return self._text(value)
            case list() | tuple():
                return [self.tell(item, depth + 1) for item in value]
            case dict():
                return {self._key(key): self.tell(item, depth + 1) for key, item in value.items()}
            case PickledObject():
                return self.tell(_content(value), depth + 1)
            case _:
                raise NotPlainError

    def _text(self, text: str) -> str:
        self._characters -= len(text)
        # Half of a character that takes two can stand in a pickle, and in no other file.
        if self._characters < 0 or any("\ud800" <= character <= "\udfff" for character in text):
            raise NotPlainError
        return text

    def _key(self, key: Any) -> str:
        if not isinstance(key, str | int):
            raise NotPlainError
        return self._text(str(key))


def _content(record: PickledObject) -> Any:
    """Return what a record holds: numbers of numpy, items, elements, attributes, or what it was made from."""
    if record.type.path == "numpy.ndarray":
        try:
            return array_values(record)
        except (TypeError, ValueError) as error:
            raise NotPlainError from error
    for held in (record.entries, record.elements, record.state):
        if held is not None:
            return held
    if isinstance(record.arguments, tuple) and len(record.arguments) == 1:
        # Text and numbers of a class of their own, such as the version of torch.
        return record.arguments[0]
    raise NotPlainError
