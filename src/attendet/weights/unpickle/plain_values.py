"""Convert the training settings in a pickle to plain values that JSON can hold."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import yaml

from attendet.weights.unpickle.numpy_values import array_values
from attendet.weights.unpickle.placeholders import PickledObject

_MAX_VALUES = 20_000
_MAX_CHARACTERS = 200_000
_MAX_DEPTH = 20
_MAX_NUMBER_BITS = 64
_MAX_CLASSES = 10_000
_MAX_ITEMS = 100
_MAX_KEY_LENGTH = 200
# Keys that the Ultralytics package adds to a model file in a checkpoint. The size means something with `scales` only.
_ADDED_KEYS = ("scale", "yaml_file")


class NotPlainError(Exception):
    """Raised for a value that JSON cannot hold, or that is too large to convert."""


def to_plain(value: Any) -> Any:
    """Return a value of a pickle as the plain value that JSON would hold.

    Tuples and sets become lists, and keys become strings. An object of an unknown class becomes its items, its
    elements, or its attributes.

    Raises:
        NotPlainError: If the value contains bytes or tensors, or has more than 20,000 parts or 200,000 characters.
            Parts are counted once per occurrence, because a small pickle can refer to one part many times.

    Example:
        >>> to_plain({"lr0": 0.01, 3: (1, 2)})
        {'lr0': 0.01, '3': [1, 2]}
    """
    return _Converter().convert(value, 0)


def plain_items(items: Mapping[Any, Any]) -> dict[str, Any]:
    """Return the items of a mapping that can be converted and are not None, among its first hundred.

    Example:
        >>> plain_items({"epoch": 3, "optimizer": b"...", "wandb_id": None})
        {'epoch': 3}
    """
    plain = {}
    for key, value in itertools.islice(items.items(), _MAX_ITEMS):
        if value is not None and isinstance(key, str) and len(key) <= _MAX_KEY_LENGTH:
            try:
                plain[key] = to_plain(value)
            except NotPlainError:
                continue
    return plain


def class_names(value: Any) -> tuple[str, ...] | None:
    """Return class names from a list, or from a mapping whose keys are 0, 1, 2, …; None for any other value.

    Example:
        >>> class_names({1: "b", 0: "a"}), class_names(["a"]), class_names({7: "a"})
        (('a', 'b'), ('a',), None)
    """
    if isinstance(value, dict) and len(value) <= _MAX_CLASSES and all(number in value for number in range(len(value))):
        value = [value[number] for number in range(len(value))]
    if not isinstance(value, list | tuple) or not 0 < len(value) <= _MAX_CLASSES:
        return None
    try:
        names = to_plain(list(value))
    except NotPlainError:
        return None
    return tuple(map(str, names)) if all(isinstance(name, str | int | float) for name in names) else None


def model_file_text(value: Any) -> str | None:
    """Return the YAML text of the model file that a YOLO model carries; None if the value is not a model file.

    The path of the file is left out, which has no meaning in it. A size without a name is the first one.

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
        return yaml.safe_dump(_file_keys(to_plain(value)), sort_keys=False, default_flow_style=None, allow_unicode=True)
    except NotPlainError:
        return None


def _file_keys(keys: dict[str, Any]) -> dict[str, Any]:
    """Return the keys of a model file, without the keys that a training adds."""
    kept = {key: value for key, value in keys.items() if key not in _ADDED_KEYS}
    scales = keys.get("scales")
    if "scale" in keys and isinstance(scales, dict) and scales:
        kept["scale"] = keys["scale"] or next(iter(scales))
    return kept


class _Converter:
    """Converts one value, and limits the number of its parts and characters."""

    def __init__(self) -> None:
        self._values = _MAX_VALUES
        self._characters = _MAX_CHARACTERS

    def convert(self, value: Any, depth: int) -> Any:
        self._values -= 1
        if self._values < 0 or depth > _MAX_DEPTH:
            raise NotPlainError
        match value:
            case None | bool() | float():
                return value
            case int() if value.bit_length() <= _MAX_NUMBER_BITS:
                return value
            case str():
                return self._text(value)
            case list() | tuple():
                return [self.convert(item, depth + 1) for item in value]
            case dict():
                return {self._key(key): self.convert(item, depth + 1) for key, item in value.items()}
            case PickledObject():
                return self.convert(_content(value), depth + 1)
            case _:
                raise NotPlainError

    def _text(self, text: str) -> str:
        self._characters -= len(text)
        # A pickle can contain a lone surrogate; UTF-8 files cannot.
        if self._characters < 0 or any("\ud800" <= character <= "\udfff" for character in text):
            raise NotPlainError
        return text

    def _key(self, key: Any) -> str:
        if not isinstance(key, str | int):
            raise NotPlainError
        return self._text(str(key))


def _content(instance: PickledObject) -> Any:
    """Return the content of an object: its numbers, items, elements, or attributes, or its only argument."""
    if instance.type.path == "numpy.ndarray":
        try:
            return array_values(instance)
        except (TypeError, ValueError) as error:
            raise NotPlainError from error
    for content in (instance.entries, instance.elements, instance.state):
        if content is not None:
            return content
    if isinstance(instance.arguments, tuple) and len(instance.arguments) == 1:
        # Subclasses of str and of the numeric types, such as the version of torch.
        return instance.arguments[0]
    raise NotPlainError
