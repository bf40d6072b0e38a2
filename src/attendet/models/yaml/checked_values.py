"""Values of a model file that must have a type and a range."""

from __future__ import annotations

from attendet.utils.text import shorten
from attendet.utils.yaml_nodes import Node


def require_list(node: Node, name: str) -> list[Node]:
    """Return the items of a list.

    Args:
        node: The value.
        name: The value in error messages.

    Raises:
        ModelFileError: If the value is not a list.
    """
    if not isinstance(node.value, list):
        raise node.error(f"{name} must be a list, got {_shown(node)}")
    return node.value


def require_integer(node: Node, name: str, low: int, high: int) -> int:
    """Return an integer from `low` to `high`.

    Raises:
        ModelFileError: If the value is anything else.
    """
    if type(node.value) is not int or not low <= node.value <= high:
        raise node.error(f"{name} must be an integer from {low:,} to {high:,}, got {_shown(node)}")
    return node.value


def require_positive(node: Node, name: str, high: float) -> float:
    """Return a number above 0 and up to `high`.

    Raises:
        ModelFileError: If the value is anything else.
    """
    if isinstance(node.value, bool) or not isinstance(node.value, int | float) or not 0 < node.value <= high:
        raise node.error(f"{name} must be a positive number of at most {high:,}, got {_shown(node)}")
    return float(node.value)


def _shown(node: Node) -> str:
    return shorten(repr(node.plain()), 40)
