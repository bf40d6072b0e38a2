"""Values as JSON text."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

# Names of files that are not UTF-8 have lone surrogates in Python, and no encoding of text has these.
_SURROGATE = re.compile("[\ud800-\udfff]")


def to_json(value: object, *, indent: int | None = 2) -> str:
    r"""Return a value as JSON text that every JSON reader accepts and every encoding of Unicode can hold.

    Numbers that are not finite become null: JSON has no NaN. A lone surrogate, as in the name of a file that is not
    UTF-8, is escaped.

    Args:
        value: Mappings, lists, tuples, and scalars, nested.
        indent: Spaces per level; None for a single line.

    Example:
        >>> to_json({"name": "зебра", "map50": float("nan")}, indent=None)
        '{"name": "зебра", "map50": null}'
        >>> to_json("caf\udce9.png")
        '"caf\\udce9.png"'
    """
    text = json.dumps(finite_or_none(value), indent=indent, ensure_ascii=False, allow_nan=False)
    return _SURROGATE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


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
