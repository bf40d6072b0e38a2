"""Classes by their names and their indices."""

from __future__ import annotations

from collections.abc import Sequence

from attendet.errors import OptionError, unknown_name


def class_name(index: int, names: Sequence[str]) -> str:
    """Return the name of a class, or its index if it has no name.

    Example:
        >>> class_name(1, ["cat", "dog"]), class_name(1, [])
        ('dog', '1')
    """
    return names[index] if index < len(names) else str(index)


def class_index(name_or_index: str | int, names: Sequence[str], num_classes: int) -> int:
    """Return the index of a class that a user chose by name or index.

    Args:
        name_or_index: The name or the index. A text of digits is an index unless a class has this name.
        names: Class names, in the order of their indices; they may be unknown (empty).
        num_classes: Number of classes.

    Raises:
        UnknownNameError: If no class has this name.
        OptionError: If the index is not 0 to `num_classes - 1`.

    Example:
        >>> class_index("dog", ["cat", "dog"], 2), class_index("0", ["cat", "dog"], 2)
        (1, 0)
    """
    if isinstance(name_or_index, str) and name_or_index in names:
        return list(names).index(name_or_index)
    if isinstance(name_or_index, str) and not name_or_index.isdecimal():
        raise unknown_name("class", name_or_index, names or [f"0 to {num_classes - 1}"])
    index = int(name_or_index)
    if not 0 <= index < num_classes:
        raise OptionError(f"a class must be a name or 0 to {num_classes - 1}, got {index}")
    return index
