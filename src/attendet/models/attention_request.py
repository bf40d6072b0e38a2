"""Attention that is requested as text: `cbam@neck`, `se:reduction=8@after:C3`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from attendet.attention.catalog import require_options
from attendet.errors import OptionError
from attendet.utils.text import short_repr


@dataclass(frozen=True)
class AttentionRequest:
    """An attention module and the place to attach it.

    Attributes:
        attention: Registry name of the attention module.
        at: A placement, a path, or a pattern of paths; see `attendet.attach`.
        options: Keyword arguments of the module's class.
    """

    attention: str
    at: str
    options: dict[str, Any]


def parse_request(text: str) -> AttentionRequest:
    """Parse NAME@PLACE or NAME:OPTION=VALUE,…@PLACE; values are numbers, `true`, `false`, or words.

    Args:
        text: The request, as on the command line.

    Raises:
        OptionError: If the text has another format, or the attention module does not have an option.
        UnknownNameError: If no attention module has the name.

    Example:
        >>> parse_request("cbam:reduction=8,variant=authors@before:SPPF")
        AttentionRequest(attention='cbam', at='before:SPPF', options={'reduction': 8, 'variant': 'authors'})
    """
    module, at, place = text.partition("@")
    name, _, assignments = module.partition(":")
    pairs = [pair.partition("=") for pair in assignments.split(",") if pair]
    if not at or not place or not all(key and equals and value for key, equals, value in pairs):
        raise OptionError(
            f"`attention` must be NAME@PLACE or NAME:OPTION=VALUE,...@PLACE, got {short_repr(text)}",
            remedy="write it like cbam@neck or cbam:reduction=8@before:SPPF",
        )
    options = {key: _parse_value(value) for key, _, value in pairs}
    require_options(name, options)
    return AttentionRequest(name, place, options)


def _parse_value(word: str) -> Any:
    try:
        value = json.loads(word)
    except ValueError:
        return word
    return value if isinstance(value, bool | int | float) else word
