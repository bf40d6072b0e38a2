"""The value of a detector's loss."""

from __future__ import annotations

from collections.abc import Callable, Mapping
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


@dataclass(frozen=True)
class BatchProcesses:
    """The processes that share a batch in distributed training.

    A loss divides by counts over the whole batch, so that the mean of the gradients of all processes equals the
    gradient of a single process.

    Attributes:
        count: Number of processes.
        mean: Maps a count in this process to its mean over all processes.
    """

    count: int
    mean: Callable[[Tensor], Tensor]
