"""What stands for the objects of a pickle: descriptions, which do nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from attendet.errors import WeightsError
from attendet.utils.text import printable

# Python 2 and other releases of the same libraries say other names for the same things.
_MODULES = {
    "__builtin__": "builtins",
    "copy_reg": "copyreg",
    "numpy.core.multiarray": "numpy._core.multiarray",
    "numpy.core.numeric": "numpy._core.numeric",
    "pathlib._local": "pathlib",
    "torch.cuda": "torch",
    "torch.tensor": "torch._tensor",
}
_LONGEST_NAME = 200
_LONGEST_KEY = 16


@dataclass(frozen=True, eq=False, slots=True)
class PickledName:
    """A class or function that a pickle names; it is never looked up.

    Attributes:
        module: Its module.
        name: Its name there.
    """

    module: str
    name: str

    @property
    def path(self) -> str:
        """Module and name, joined by a dot; one spelling for things that have several."""
        return f"{_MODULES.get(self.module, self.module)}.{self.name}"

    def __str__(self) -> str:
        return printable(f"{self.module}.{self.name}")


def is_named(module: Any, name: Any) -> PickledName:
    """Return a name.

    Raises:
        WeightsError: If it is no text, or longer than names are.
    """
    if not (isinstance(module, str) and isinstance(name, str)) or max(len(module), len(name)) > _LONGEST_NAME:
        raise WeightsError("it names a class in a way that no class is named")
    return PickledName(module, name)


@dataclass(eq=False, slots=True)
class PickledObject:
    """An object of a class that is not loaded.

    Attributes:
        type: Its class.
        arguments: What it was made from.
        state: What its attributes were restored from.
        entries: What it holds as a mapping.
        elements: What it holds as a list or set.
    """

    type: PickledName
    arguments: Any = ()
    state: Any = None
    entries: dict[Any, Any] | None = None
    elements: list[Any] | None = None

    def attribute(self, name: str) -> Any:
        """Return an attribute, or None where there is none."""
        # With slots the state is a pair of two mappings.
        states = self.state if isinstance(self.state, tuple) and len(self.state) == 2 else (self.state,)
        return next((state[name] for state in states if isinstance(state, Mapping) and name in state), None)


@dataclass(frozen=True, eq=False, slots=True)
class StorageSketch:
    """A flat piece of memory that the file holds elsewhere.

    Attributes:
        key: The name it is stored under.
        dtype: What it holds; the raw bytes of an untyped storage count as uint8.
        count: Elements of the piece.
        stored: Elements stored under the key: more than `count` where this is a view into it.
        start: The view's first element.
    """

    key: str
    dtype: torch.dtype
    count: int
    stored: int
    start: int = 0


@dataclass(frozen=True, eq=False, slots=True)
class TensorSketch:
    """A tensor that has not been read; nothing of it has been checked but its types.

    Attributes:
        storage: Where its elements are.
        dtype: What they are.
        offset: The first one.
        size: Its shape.
        stride: Elements from one index to the next, per axis.
    """

    storage: StorageSketch
    dtype: torch.dtype
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


def hashable(key: Any) -> Any:
    """Return a mapping's key, if it is one whose hash is quick.

    Raises:
        TypeError: If it is not. Of tuples, hashing recurses, and Python does not watch how deep.
    """
    parts = key if isinstance(key, tuple) else (key,)
    if len(parts) > _LONGEST_KEY or any(isinstance(part, tuple) for part in parts):
        raise TypeError("a key is a large tuple")
    if any(isinstance(part, int) and part.bit_length() > 64 for part in parts):
        raise TypeError("a key is a huge number")
    return key
