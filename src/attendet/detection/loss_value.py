"""The value of a detector's loss."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class DetectionLoss:
    """The loss of a batch, and its weighted parts.

    Attributes:
        total: Value to minimize: the sum of the parts times the batch size.
        parts: Weighted parts by name, such as `box` and `cls`.
    """

    total: Float[Tensor, ""]
    parts: Mapping[str, Float[Tensor, ""]]
