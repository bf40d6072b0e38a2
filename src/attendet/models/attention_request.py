"""Attention as it is asked for on a command line: `cbam@neck`, `se:reduction=8@after:C3`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from attendet.attention.catalog import require_options
from attendet.errors import OptionError


@dataclass(frozen=True)
class AttentionRequest:
    """What to attach where.

    Attributes:
        attention: Registry name.
        at: A placement, path or pattern of paths; see `attendet.attach`.
        options: Keyword arguments of the module's class.
    """

    attention: str
    at: str
    options: dict[str, Any]


def parse_request(text: str) -> AttentionRequest:
    """Read NAME@PLACE or NAME:OPTION=VALUE,…@PLACE; values are numbers, true, false, or words.

    Raises:
        OptionError: If it is neither, or the attention has no such option.
        UnknownNameError: If there is no such attention.

    Example:
        >>> parse_request("cbam:reduction=8,variant=authors@before:SPPF")
        AttentionRequest(attention='cbam', at='before:SPPF', options={'reduction': 8, 'variant': 'authors'})
    """
    what, at, place = text.partition("@")
    name, _, given = what.partition(":")
    pairs = [pair.partition("=") for pair in given.split(",") if pair]
    if not at or not place or not all(key and equals and value for key, equals, value in pairs):
        raise OptionError(f"attention {text!r}", remedy="write cbam@neck, or cbam:reduction=8@before:SPPF")
    options = {key: _value(value) for key, _, value in pairs}
    require_options(name, options)
    return AttentionRequest(name, place, options)


def _value(word: str) -> Any:
    try:
        value = json.loads(word)
    except ValueError:
        return word
    return value if isinstance(value, bool | int | float) else word
