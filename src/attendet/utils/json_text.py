"""Values as JSON text."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

# In Python, the names of files that are not UTF-8 contain lone surrogates.
_SURROGATE = re.compile("[\ud800-\udfff]")


def to_json(value: object, *, indent: int | None = 2) -> str:
    r"""Return a value as JSON text that every JSON reader accepts.

    Numbers that are not finite become null, because JSON has no NaN. A lone surrogate, as in the name of a file that is
    not UTF-8, is escaped, because UTF-8 cannot encode it.

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
