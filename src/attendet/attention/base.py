"""Base classes of attention modules and of the tensors that they apply to features.

The published modules combine their result with the features in four ways. Each way has a base class. The output of a
module of that class is the combined tensor itself, so that a forward hook can observe it:

- `AttentionWeights` multiply the features.
- A `Gate` is an `AttentionWeights` module whose weights are a sigmoid of a known range.
- `SoftmaxWeights` are a softmax over branches or positions.
- An `AdditiveTerm` is added to the features.
"""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from functools import partial
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from attendet.attention.fx_tracing import TracedAsOne
from attendet.errors import AttendetWarning, OptionError
from attendet.utils.option_values import as_integer, positive_integer, positive_number
from attendet.utils.text import short_repr

Start = Literal["paper", "identity"]

# The attribute that holds, by name, the published values of a module's own tensors.
_PUBLISHED = "_published_values"


class Attention(TracedAsOne, ABC):
    """Base class of all attention modules: (N, C, H, W) → the same shape, dtype, and memory format.

    A subclass takes `channels` as its first argument. All other arguments are keywords with defaults.

    Attributes:
        paper: Authors, title, venue, and identifier of the paper that the module implements; empty without a paper.
    """

    paper: ClassVar[str] = ""

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """Return the features after attention."""


class AttentionWeights(TracedAsOne, ABC):
    """Base class of modules that compute weights for features: (N, C, H, W) → a tensor that broadcasts over it.

    Modules may be nested. The outermost one returns the tensor that multiplies the features; an inner one, such as the
    gate of one axis, returns an intermediate result.

    Attributes:
        neutral: The value of all weights with which the features remain unchanged.
    """

    neutral: float = 1.0


class Gate(AttentionWeights):
    """Base class of gates, weights of the form `low + (high - low) * sigmoid(logits)`.

    The range is a buffer and therefore part of the state dict: loading a checkpoint restores the trained function,
    regardless of the start of the module that loads it.

    Args:
        start: `paper` for the published range; `identity` for (0, 2), where logits of zero give weights of exactly 1.
        published: The range (low, high) of the published gate.
    """

    range: Tensor

    def __init__(self, start: Start, published: tuple[float, float] = (0.0, 1.0)) -> None:
        super().__init__()
        check_start(start)
        range_ = torch.tensor((0.0, 2.0) if start == "identity" else published)
        register_with_published_value(self, "range", range_, published)

    @abstractmethod
    def logits(self, *inputs: Any, **options: Any) -> Tensor:
        """Return the logits of the sigmoid; they broadcast over the features.

        It takes the arguments of `forward`: the features, or tensors computed from them.
        """

    def forward(self, x: Tensor, *others: Any) -> Tensor:
        """Return the weights in the dtype of x."""
        low, high = self.range.unbind()
        return (low + (high - low) * torch.sigmoid(self.logits(x, *others))).to(x.dtype)


class SoftmaxWeights(TracedAsOne, ABC):
    """Base class of modules that return a softmax over branches or positions: positive weights that sum to 1."""


class AdditiveTerm(TracedAsOne, ABC):
    """Base class of modules that return a term to add: (N, C, H, W) → a tensor that broadcasts over it."""


def check_start(start: Start) -> None:
    """Raise an OptionError if `start` is neither `paper` nor `identity`."""
    if start not in ("paper", "identity"):
        raise OptionError(f"`start` must be 'paper' or 'identity', got {short_repr(start)}")


def register_strength(module: nn.Module, start: Start) -> None:
    """Register a scalar `strength`, for modules without a last layer that an identity start could set to zero.

    With the published start it is the constant 1. With an identity start it is a parameter with initial value 0. It is
    part of the state dict in both cases.
    """
    learned = start == "identity"
    strength = nn.Parameter(torch.zeros(())) if learned else torch.ones(())
    register_with_published_value(module, "strength", strength, 1.0)


def register_with_published_value(module: nn.Module, name: str, value: Tensor, published: object) -> None:
    """Register a tensor of our own that changes what a published module computes.

    It is part of the state dict. A state dict of the published module does not have it and was trained with the
    published value, which is filled in on loading. A state dict that lacks parameters of the module fills in nothing,
    so that a module that is not loaded keeps its start. A published module without parameters has no tensors that could
    show that it was part of a network; then the value is filled in if the module has it already, and any other start is
    reported as missing.

    Args:
        module: Module that receives the tensor, as a parameter if it is one, otherwise as a buffer.
        name: Name of the tensor in the module.
        value: Initial value.
        published: Value that makes the module equal to the published one.
    """
    if isinstance(value, nn.Parameter):
        module.register_parameter(name, value)
    else:
        module.register_buffer(name, value)
    vars(module).setdefault(_PUBLISHED, {})[name] = published
    module.register_load_state_dict_pre_hook(partial(_fill_in, name, published))


def published_values(module: nn.Module) -> dict[str, Tensor]:
    """Return the tensors of our own in a module, with the values that make it equal to the published one.

    Example:
        >>> from attendet.attention import SimAM
        >>> published_values(SimAM(64, start="identity"))
        {'gate.range': tensor([0., 1.]), 'gate.strength': tensor(1.)}
    """
    return {
        f"{path}.{name}" if path else name: torch.tensor(value)
        for path, child in module.named_modules()
        for name, value in vars(child).get(_PUBLISHED, {}).items()
    }


def _fill_in(name: str, published: object, module: nn.Module, state: dict[str, Any], prefix: str, *_: object) -> None:
    if prefix + name in state:
        return
    parameters = [prefix + parameter for parameter, _ in module.named_parameters() if parameter != "strength"]
    value = torch.tensor(published)
    has_value = torch.equal(getattr(module, name).detach().to(value), value)
    if all(parameter in state for parameter in parameters) if parameters else has_value:
        state[prefix + name] = value


def hidden_width(channels: int, reduction: float, *, rounded: bool = False) -> int:
    """Return the width of a bottleneck, channels / reduction.

    Args:
        channels: Number of channels of the features.
        reduction: Ratio of the channels to the width of the bottleneck.
        rounded: Round to the nearest integer (half up) instead of down.

    Raises:
        OptionError: If an argument is not positive, or the width would be 0.

    Warns:
        AttendetWarning: If the width is less than 4.

    Example:
        >>> hidden_width(64, 16)
        4
    """
    # The small summand is for a reduction that is a quotient itself: 100 / (100 / 3) has to give 3.
    hidden = int(_exact_width(channels, reduction) + (0.5 if rounded else 1e-6))
    remedy = f"use a reduction of {max(channels // 4, 1)} or less"
    if hidden < 1:
        raise OptionError(f"`reduction` must leave at least 1 of {channels} channels, got {reduction}", remedy=remedy)
    if hidden < 4:
        warnings.warn(
            f"a reduction of {reduction} leaves {hidden} of {channels} channels in the hidden layer, too few to "
            f"distinguish the channels; {remedy}",
            AttendetWarning,
            stacklevel=4,
        )
    return hidden


def hidden_width_at_least(channels: int, reduction: float, min_width: int) -> int:
    """Return the width of a bottleneck with a lower bound, max(channels / reduction, min_width), rounded down.

    Raises:
        OptionError: If an argument is not positive.

    Example:
        >>> hidden_width_at_least(64, 32, min_width=8), hidden_width_at_least(512, 32, min_width=8)
        (8, 16)
    """
    width = _exact_width(channels, reduction)
    return max(int(width + 1e-6), positive_integer("min_width", min_width))


def _exact_width(channels: int, reduction: float) -> float:
    return check_channels(channels) / positive_number("reduction", reduction)


def group_count(channels: int, groups: int | None, *, max_groups: int, multiple_of: int = 1) -> int:
    """Return the number of groups that channels are divided into.

    Args:
        channels: Number of channels of the features.
        groups: Number of groups; None for the largest possible number up to `max_groups`.
        max_groups: The published number of groups.
        multiple_of: The number of channels in a group must be a multiple of this.

    Raises:
        OptionError: If the channels cannot be divided this way. The remedy names the nearest numbers that work.

    Example:
        >>> [group_count(channels, None, max_groups=32) for channels in (64, 48)]
        [32, 24]
        >>> group_count(64, 12, max_groups=32)
        Traceback (most recent call last):
        ...
        attendet.errors.OptionError: `groups` must divide 64 channels evenly, got 12; use 8 or 16 groups
    """
    channels, count = check_channels(channels), as_integer(groups)
    possible = [count for count in range(1, channels + 1) if channels % (count * multiple_of) == 0]
    if not possible:
        raise OptionError(f"`channels` must be a multiple of {multiple_of}, got {channels}")
    if groups is None:
        return max(count for count in possible if count <= max_groups)
    if count not in possible:
        below = [smaller for smaller in possible if count is not None and smaller < count][-1:]
        above = [larger for larger in possible if larger > max(below, default=0)][:1]
        parts = f"into groups of a multiple of {multiple_of}" if multiple_of > 1 else "evenly"
        raise OptionError(
            f"`groups` must divide {channels} channels {parts}, got {short_repr(groups)}",
            remedy=f"use {' or '.join(str(near) for near in (*below, *above))} groups",
        )
    return count


def check_channels(channels: int) -> int:
    """Return the number of channels as an int; raise an OptionError if it is not a positive integer."""
    return positive_integer("channels", channels)


def odd_kernel(kernel_size: int) -> int:
    """Return the kernel size if it is odd and positive, so that a padded convolution keeps the size of a map.

    Raises:
        OptionError: If it is not.
    """
    size = as_integer(kernel_size)
    if size is None or size < 1 or size % 2 == 0:
        raise OptionError(
            f"`kernel_size` must be odd and positive, got {short_repr(kernel_size)}", remedy="use 3, 5, or 7"
        )
    return size


def zero_(*parameters: Tensor | None) -> None:
    """Set parameters to zero in place; None is skipped."""
    for parameter in parameters:
        if parameter is not None:
            nn.init.zeros_(parameter)
