"""Attributes of classes and objects that a pickle looks up: bound methods, members of enumerations, nested classes."""

from __future__ import annotations

import sys
from typing import Any

from attendet.errors import WeightsError
from attendet.weights.unpickle.placeholders import PickledName, PickledObject

_GETATTR = PickledName("builtins", "getattr")


def attribute(owner: Any, name: Any) -> PickledObject:
    """Return a placeholder for an attribute of a placeholder; nothing is looked up, and it cannot be called.

    Python pickles a bound method as `getattr(object, "method")` and a member of an enumeration as
    `getattr(Class, "MEMBER")`. The owner must be an object, or a name that can only be a class: one that starts with a
    capital letter, outside the standard library. Everything else would be a way to reach functions that act.

    Raises:
        WeightsError: If the owner is anything else, or the name has two leading underscores.

    Example:
        >>> attribute(PickledName("models.common", "Mode"), "TRAIN").arguments[1]
        'TRAIN'
        >>> attribute(PickledName("os", "path"), "os")
        Traceback (most recent call last):
        ...
        attendet.errors.WeightsError: opening the file would call builtins.getattr on os.path, which is refused; ask its
        author for a state dict or a safetensors file
    """
    kind = owner.type if isinstance(owner, PickledObject) else owner
    if not isinstance(kind, PickledName) or not _is_class_of_others(kind):
        raise _refusal(f" on {kind}" if isinstance(kind, PickledName) else "")
    if not isinstance(name, str) or not name.isidentifier() or name.startswith("__"):
        raise _refusal(f" on {kind}")
    return PickledObject(_GETATTR, (owner, name))


def _is_class_of_others(kind: PickledName) -> bool:
    """Return whether a name can only be that of a class, outside the standard library."""
    package = kind.path.partition(".")[0]
    simple = kind.name.rpartition(".")[2].lstrip("_")
    return simple[:1].isupper() and package not in sys.stdlib_module_names and "__" not in kind.path


def _refusal(place: str) -> WeightsError:
    return WeightsError(
        f"opening the file would call builtins.getattr{place}, which is refused",
        remedy="ask its author for a state dict or a safetensors file",
    )
