"""Placeholders for the objects of a pickle; they run no code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from attendet.errors import WeightsError
from attendet.utils.text import printable

# Python 2 and other releases of the same libraries use other module names for the same objects.
_MODULES = {
    "__builtin__": "builtins",
    "copy_reg": "copyreg",
    "numpy.core.multiarray": "numpy._core.multiarray",
    "numpy.core.numeric": "numpy._core.numeric",
    "pathlib._local": "pathlib",
    "torch.cuda": "torch",
    "torch.tensor": "torch._tensor",
}
_MAX_NAME_LENGTH = 200
_MAX_KEY_LENGTH = 16
_MAX_KEY_BITS = 64
_MAX_KEY_TEXT = 200


@dataclass(frozen=True, eq=False, slots=True)
class PickledName:
    """The name of a class or function in a pickle; it is never imported.

    Attributes:
        module: The module of the class or function, as the pickle spells it.
        name: Its name in that module.
    """

    module: str
    name: str

    @property
    def path(self) -> str:
        """Module and name joined by a dot, in the spelling of current releases."""
        return f"{_MODULES.get(self.module, self.module)}.{self.name}"

    def __str__(self) -> str:
        return printable(f"{self.module}.{self.name}")


def pickled_name(module: Any, name: Any) -> PickledName:
    """Return the name of a class or function after checking its type and length.

    Raises:
        WeightsError: If module or name is not a string, or is longer than 200 characters.
    """
    if not (isinstance(module, str) and isinstance(name, str)) or max(len(module), len(name)) > _MAX_NAME_LENGTH:
        raise WeightsError(f"the name of a class in a pickle must be a string of at most {_MAX_NAME_LENGTH} characters")
    return PickledName(module, name)


@dataclass(eq=False, slots=True)
class PickledObject:
    """An object of a pickle whose class is not imported.

    Attributes:
        type: Name of the class.
        arguments: The arguments that the object was created with.
        state: The state that its attributes were restored from.
        entries: Its items, if it was filled like a mapping.
        elements: Its elements, if it was filled like a list or a set.
    """

    type: PickledName
    arguments: Any = ()
    state: Any = None
    entries: dict[Any, Any] | None = None
    elements: list[Any] | None = None

    def attribute(self, name: str) -> Any:
        """Return an attribute of the object, or None if the state has no such attribute."""
        # The state of a class with __slots__ is a pair of mappings.
        states = self.state if isinstance(self.state, tuple) and len(self.state) == 2 else (self.state,)
        return next((state[name] for state in states if isinstance(state, Mapping) and name in state), None)


@dataclass(frozen=True, eq=False, slots=True)
class StorageSpec:
    """A one-dimensional block of memory whose bytes are elsewhere in the file.

    Attributes:
        key: The key that the bytes are stored under.
        dtype: Type of the elements; uint8 for an untyped storage.
        count: Number of elements in this block.
        stored: Number of elements stored under the key; larger than `count` if this block is a view of them.
        start: Index of the view's first element.
    """

    key: str
    dtype: torch.dtype
    count: int
    stored: int
    start: int = 0


@dataclass(frozen=True, eq=False, slots=True)
class TensorSpec:
    """A tensor that has not been read; only the Python types of its fields have been checked.

    Attributes:
        storage: The storage that holds its elements.
        dtype: Type of its elements.
        offset: Index of its first element in the storage.
        size: Its shape.
        stride: For each axis, the number of elements from one index to the next.
    """

    storage: StorageSpec
    dtype: torch.dtype
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


def checked_key(key: Any) -> Any:
    """Return a mapping's key if its hash is cheap to compute.

    Raises:
        TypeError: If the key is a nested or long tuple, a tuple with long text, or a huge integer. Hashing a tuple
            recurses without a limit, and equal hashes compare its text.
    """
    parts = key if isinstance(key, tuple) else (key,)
    if len(parts) > _MAX_KEY_LENGTH or any(isinstance(part, tuple) for part in parts):
        raise TypeError("a key is a large tuple")
    if parts is key and any(isinstance(part, str | bytes) and len(part) > _MAX_KEY_TEXT for part in parts):
        raise TypeError("a key is a tuple with a long text")
    if any(isinstance(part, int) and part.bit_length() > _MAX_KEY_BITS for part in parts):
        raise TypeError("a key is a huge integer")
    return key
