"""Values as JSON text."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any


def to_json(value: object, *, indent: int | None = 2) -> str:
    r"""Return a value as JSON text that every JSON reader accepts.

    Numbers that are not finite become null, because JSON has no NaN. Characters that a terminal would interpret are
    escaped, and lone surrogates, as in the name of a file that is not UTF-8, which UTF-8 cannot encode.

    Args:
        value: Mappings, lists, tuples, and scalars, nested.
        indent: Spaces per level; None for a single line.

    Example:
        >>> to_json({"name": "зебра", "map50": float("nan")}, indent=None)
        '{"name": "зебра", "map50": null}'
        >>> to_json("caf\udce9.png"), to_json("a\u202eb")
        ('"caf\\udce9.png"', '"a\\u202eb"')
    """
    text = json.dumps(finite_or_none(value), indent=indent, ensure_ascii=False, allow_nan=False)
    # Only line breaks of the indentation are in the text itself.
    unprintable = {character for character in set(text) if not character.isprintable()} - {"\n"}
    return text.translate({ord(character): json.dumps(character)[1:-1] for character in unprintable})


def finite_or_none(value: Any) -> Any:
    """Return a nested value with None in the place of each number that is not finite.

    Args:
        value: Mappings, lists, tuples, and scalars, nested; tuples become lists.

    Example:
        >>> finite_or_none({"a": (1.0, math.nan)})
        {'a': [1.0, None]}
    """
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list | tuple):
        return [finite_or_none(each) for each in value]
    if isinstance(value, Mapping):
        return {key: finite_or_none(each) for key, each in value.items()}
    return value
