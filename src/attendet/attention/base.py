"""What every attention module is: features in, features of the same shape out, through gates that can be observed."""

from __future__ import annotations

import math
import warnings
from abc import ABC, abstractmethod
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from attendet.errors import AttendetWarning, OptionError

Start = Literal["paper", "identity"]


class Attention(nn.Module, ABC):
    """Base of the attention modules: (N, C, H, W) → the same shape, dtype and memory format.

    A subclass takes `channels` first, and everything else as keywords with defaults.

    Attributes:
        paper: Authors, title, venue and identifier of the paper the module is equal to.
    """

    paper: ClassVar[str]

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """Return the features weighed by the module's gates."""


class Gate(nn.Module, ABC):
    """Base of the gates: features (N, C, H, W) → weights that broadcast over them.

    Every gate is a module of its own whose output is the very tensor the features are multiplied by, so that a
    forward hook on it sees what the attention looks at.

    The weights are `low + (high - low) * sigmoid(logits)`. The range is kept in a buffer and so travels with the
    weights: loading a checkpoint restores the function it was trained with, whatever start it had.

    Args:
        start: `paper` for the published range, `identity` for (0, 2): with logits of zero such a gate is exactly 1.
        published: The range (low, high) of the paper's gate.
    """

    range: Tensor

    def __init__(self, start: Start, published: tuple[float, float] = (0.0, 1.0)) -> None:
        super().__init__()
        if start not in ("paper", "identity"):
            raise OptionError(f"there is no start {start!r}", remedy="give paper or identity")
        self.published = published
        self.register_buffer("range", torch.tensor((0.0, 2.0) if start == "identity" else published))
        self.register_load_state_dict_pre_hook(_complete_range)

    @abstractmethod
    def logits(self, x: Tensor) -> Tensor:
        """Return what the sigmoid is applied to; it broadcasts over x."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the weights, in the dtype of x."""
        low, high = self.range.unbind()
        return (low + (high - low) * torch.sigmoid(self.logits(x))).to(x.dtype)


def _complete_range(gate: Gate, state: dict[str, Any], prefix: str, *_: object) -> None:
    # Weights that others saved have no range, and were trained with the published one. Where the state dict does not
    # hold all of this gate, nothing is completed: a gate that is not loaded keeps its start.
    names = [f"{prefix}{name}" for name, _ in gate.named_parameters()]
    if names and f"{prefix}range" not in state and all(name in state for name in names):
        state[f"{prefix}range"] = torch.tensor(gate.published)


def hidden_width(channels: int, reduction: float, *, rounded: bool = False) -> int:
    """Return the width of a bottleneck, channels / reduction.

    Args:
        channels: Channels of the features.
        reduction: By how much the bottleneck is narrower.
        rounded: Round to the nearest (half up) instead of down.

    Raises:
        OptionError: If less than one channel would be left.

    Warns:
        AttendetWarning: If fewer than four are left.

    Example:
        >>> hidden_width(64, 16)
        4
    """
    numbers = isinstance(channels, int) and isinstance(reduction, int | float)
    if not numbers or channels < 1 or not 0 < reduction < math.inf:
        raise OptionError(
            f"{channels!r} channels and a reduction of {reduction!r} leave no bottleneck",
            remedy="both have to be positive numbers",
        )
    # A little more than nothing, for a reduction that is itself a quotient: 100 / (100 / 3) has to leave 3.
    hidden = int(channels / reduction + (0.5 if rounded else 1e-6))
    remedy = f"use a reduction of {max(channels // 4, 1)} or less"
    if hidden < 1:
        raise OptionError(f"a reduction of {reduction} leaves no hidden channel of {channels}", remedy=remedy)
    if hidden < 4:
        warnings.warn(
            f"a reduction of {reduction} leaves {hidden} hidden of {channels} channels, too few to tell them "
            f"apart; {remedy}",
            AttendetWarning,
            stacklevel=4,
        )
    return hidden


def odd_kernel(kernel_size: int) -> int:
    """Return the size if it is odd and positive, as a convolution that keeps the size of a map needs.

    Raises:
        OptionError: If it is not.
    """
    if not isinstance(kernel_size, int) or kernel_size < 1 or kernel_size % 2 == 0:
        raise OptionError(f"a kernel of {kernel_size} does not keep the map's size", remedy="use an odd one: 3, 5 or 7")
    return kernel_size


def zero_(*parameters: Tensor | None) -> None:
    """Set parameters to zero, in place; None is passed over."""
    for parameter in parameters:
        if parameter is not None:
            nn.init.zeros_(parameter)
