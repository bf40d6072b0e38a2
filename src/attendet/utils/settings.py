"""Base class of typed settings, and the number types that they share."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

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
