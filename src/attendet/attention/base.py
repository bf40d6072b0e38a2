"""What every attention module is: features in, features of the same shape out, through gates that can be observed.

Papers join what they compute to the features in four ways, and each has a base class, so that a forward hook on a
module of that class sees the tensor itself: `Weights` multiply the features, and a `Gate` does so through a sigmoid of
a known range; `Shares` are a softmax that chooses among branches or positions; an `Addend` is added.
"""

from __future__ import annotations

import math
import warnings
from abc import ABC, abstractmethod
from functools import partial
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from attendet.errors import AttendetWarning, OptionError

Start = Literal["paper", "identity"]


class Attention(nn.Module, ABC):
    """Base of the attention modules: (N, C, H, W) → the same shape, dtype and memory format.

    A subclass takes `channels` first, and everything else as keywords with defaults.

    Attributes:
        paper: Authors, title, venue and identifier of the paper the module is equal to; empty if there is none.
    """

    paper: ClassVar[str] = ""

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """Return the features weighed by the module's gates."""


class Weights(nn.Module, ABC):
    """Base of what features are multiplied by: features (N, C, H, W) → weights that broadcast over them.

    They are modules of their own whose output is the very tensor the features are multiplied by, so that a forward
    hook sees what the attention looks at. Weights may be made of others: those inside, a gate for each axis say, are
    part of the computation, and the outermost ones multiply the features.
    """


class Gate(Weights):
    """Base of the gates, weights that are a sigmoid: `low + (high - low) * sigmoid(logits)`.

    The range is kept in a buffer and so travels with the weights: loading a checkpoint restores the function it was
    trained with, whatever start it had.

    Args:
        start: `paper` for the published range, `identity` for (0, 2): with logits of zero such a gate is exactly 1.
        published: The range (low, high) of the paper's gate.
    """

    range: Tensor

    def __init__(self, start: Start, published: tuple[float, float] = (0.0, 1.0)) -> None:
        super().__init__()
        check_start(start)
        range_ = torch.tensor((0.0, 2.0) if start == "identity" else published)
        keep_with_weights(self, "range", range_, published)

    @abstractmethod
    def logits(self, *inputs: Any, **options: Any) -> Tensor:
        """Return what the sigmoid is applied to; it broadcasts over the features.

        Takes what the gate is called with: the features, or what others have computed from them.
        """

    def forward(self, x: Tensor, *others: Any) -> Tensor:
        """Return the weights, in the dtype of x."""
        low, high = self.range.unbind()
        return (low + (high - low) * torch.sigmoid(self.logits(x, *others))).to(x.dtype)


class Shares(nn.Module, ABC):
    """Base of softmax weights, positive and of sum one over what they choose among: branches, or positions."""


class Addend(nn.Module, ABC):
    """Base of what is added to features instead of multiplied by: features (N, C, H, W) → a term that broadcasts."""


def check_start(start: Start) -> None:
    """Raise an OptionError if there is no such start."""
    if start not in ("paper", "identity"):
        raise OptionError(f"there is no start {start!r}", remedy="give paper or identity")


def add_strength(module: nn.Module, start: Start) -> None:
    """Give a module whose last step has no layer to start at zero a number `strength` that takes the layer's place.

    It is the constant 1 as published, and is learned, from 0, after an identity start. Either way it travels with
    the weights.
    """
    learned = start == "identity"
    keep_with_weights(module, "strength", nn.Parameter(torch.zeros(())) if learned else torch.ones(()), 1.0)


def keep_with_weights(module: nn.Module, name: str, value: Tensor, published: object) -> None:
    """Register a tensor that decides what a module computes, so that its state dict holds it.

    Weights that others saved have no such tensor, and were trained with the published value: it is completed when
    they are loaded. Where a state dict does not hold all parameters of the module, nothing is: a module that is not
    loaded keeps its start.

    Args:
        module: Where it is registered, as a parameter if it is one, else as a buffer.
        name: Its name there.
        value: Its value now.
        published: The value of the paper's module.
    """
    if isinstance(value, nn.Parameter):
        module.register_parameter(name, value)
    else:
        module.register_buffer(name, value)
    module.register_load_state_dict_pre_hook(partial(_complete, name, published))


def _complete(name: str, published: object, module: nn.Module, state: dict[str, Any], prefix: str, *_: object) -> None:
    parameters = [prefix + parameter for parameter, _ in module.named_parameters() if parameter != "strength"]
    if parameters and prefix + name not in state and all(parameter in state for parameter in parameters):
        state[prefix + name] = torch.tensor(published)


def positive_width(channels: int, reduction: float) -> float:
    """Return channels / reduction.

    Raises:
        OptionError: If one of them is no positive number.
    """
    numbers = isinstance(channels, int) and isinstance(reduction, int | float)
    if not numbers or channels < 1 or not 0 < reduction < math.inf:
        raise OptionError(
            f"{channels!r} channels and a reduction of {reduction!r} leave no bottleneck",
            remedy="both have to be positive numbers",
        )
    return channels / reduction


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
    # A little more than nothing, for a reduction that is itself a quotient: 100 / (100 / 3) has to leave 3.
    hidden = int(positive_width(channels, reduction) + (0.5 if rounded else 1e-6))
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


def wide_hidden_width(channels: int, reduction: float, least: int) -> int:
    """Return the width of a bottleneck that has a least one, max(channels / reduction, least), rounded down.

    Raises:
        OptionError: If one of the numbers is not positive.

    Example:
        >>> wide_hidden_width(64, 32, least=8), wide_hidden_width(512, 32, least=8)
        (8, 16)
    """
    width = positive_width(channels, reduction)
    if not isinstance(least, int) or least < 1:
        raise OptionError(f"a least width of {least!r} is none", remedy="give 1 or more")
    return max(int(width + 1e-6), least)


def group_count(channels: int, groups: int | None, *, most: int, each: int = 1) -> int:
    """Return into how many groups channels are divided.

    Args:
        channels: Channels of the features.
        groups: How many, or None for as many as possible up to `most`.
        most: The published number, which None stands for where the channels allow it.
        each: The channels of a group have to be a multiple of this.

    Raises:
        OptionError: If the channels cannot be divided so; the remedy is the nearest number that works.

    Example:
        >>> group_count(64, None, most=32), group_count(48, None, most=32), group_count(64, 8, most=32)
        (32, 24, 8)
        >>> group_count(64, 12, most=32)
        Traceback (most recent call last):
        ...
        attendet.errors.OptionError: 64 channels do not fall into 12 groups of equal size; use 8 or 16 groups
    """
    check_channels(channels)
    possible = [count for count in range(1, channels + 1) if channels % (count * each) == 0]
    if not possible:
        raise OptionError(
            f"{channels} channels do not fall into groups of a multiple of {each}",
            remedy=f"use features whose channels are a multiple of {each}",
        )
    if groups is None:
        return max(count for count in possible if count <= most)
    if groups not in possible:
        below = [count for count in possible if isinstance(groups, int) and count < groups][-1:]
        above = [count for count in possible if count not in below and count > max(below, default=0)][:1]
        parts = f" of a multiple of {each}" if each > 1 else " of equal size"
        raise OptionError(
            f"{channels} channels do not fall into {groups!r} groups{parts}",
            remedy=f"use {' or '.join(str(count) for count in (*below, *above))} groups",
        )
    return groups


def check_channels(channels: int) -> None:
    """Raise an OptionError if there are no such channels."""
    if not isinstance(channels, int) or channels < 1:
        raise OptionError(f"{channels!r} channels are none", remedy="give 1 or more")


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
