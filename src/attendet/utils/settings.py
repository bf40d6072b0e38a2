"""Base class of typed settings, and the number types that they share."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from attendet.utils.text import short_repr

Positive: TypeAlias = Annotated[float, Field(gt=0, allow_inf_nan=False)]
"""A finite number above 0."""

NonNegative: TypeAlias = Annotated[float, Field(ge=0, allow_inf_nan=False)]
"""A finite number of at least 0."""

Fraction: TypeAlias = Annotated[float, Field(ge=0, le=1)]
"""A number from 0 to 1."""


class StrictModel(BaseModel):
    """Base class of immutable settings that reject unknown keys.

    Example:
        >>> class Threshold(StrictModel):
        ...     confidence: Fraction = 0.25
        >>> Threshold(confidence=0.5)
        Threshold(confidence=0.5)
    """

    model_config = ConfigDict(frozen=True, extra="forbid")


def describe_invalid(name: str, message: str, value: object) -> str:
    """Turn a message of pydantic into "`name` must be <rule>, got <value>".

    Args:
        name: Name of the setting, such as `schedule.epochs`.
        message: Message of pydantic, or of one of our validators.
        value: The value that was rejected.

    Example:
        >>> describe_invalid("seed", "Input should be greater than or equal to 0", -1)
        '`seed` must be greater than or equal to 0, got -1'
    """
    # "Input should be a valid integer, unable to parse string as an integer" states its rule in the first part.
    rule = message.replace("Input should", "must", 1).partition(", unable")[0].partition(", got")[0]
    return f"`{name}` {rule}, got {short_repr(value)}"
