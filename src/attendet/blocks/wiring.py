"""Rules that turn rows of a model file into modules, one rule per kind of block.

A rule combines a block, usually a class, and the request of a row to a `ModuleSpec`: how to make the module, and with
which arguments. The shape of the module's output is not part of the rule; it is measured.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal, TypeAlias

from torch import nn

from attendet.errors import OptionError

ModuleFactory: TypeAlias = Callable[..., nn.Module]
Value: TypeAlias = "int | float | bool | str | list[Value] | dict[str, Value] | None"


@dataclass(frozen=True)
class BlockRequest:
    """The arguments of a row, and the context that its block needs.

    Attributes:
        channels: Number of channels of each input.
        strides: Stride of each input relative to the image, in pixels.
        repeats: Number of repetitions of the block, after applying the depth multiple.
        args: Arguments of the row.
        width_multiple: Factor for declared widths.
        max_width: Largest declared width; larger ones are reduced to it before they are scaled. None for no limit.
        num_classes: Number of classes.
        anchors: Width and height of the anchors in pixels, for each level.
        start: Start of attention inside of the block, `paper` or `identity`.
    """

    channels: tuple[int, ...]
    strides: tuple[float, ...] = ()
    repeats: int = 1
    args: tuple[Value, ...] = ()
    width_multiple: float = 1.0
    max_width: int | None = None
    num_classes: int = 80
    anchors: tuple[tuple[tuple[float, float], ...], ...] = ()
    start: str = "paper"

    def scale(self, width: int) -> int:
        """Return a declared width times the width multiple, rounded up to a multiple of 8.

        Example:
            >>> BlockRequest(channels=(3,), width_multiple=0.25).scale(65)
            24
        """
        return math.ceil(min(width, self.max_width or width) * self.width_multiple / 8) * 8


@dataclass(frozen=True)
class ModuleSpec:
    """How to make the module of a row.

    Attributes:
        make: Returns the module, on the current default device.
        arguments: Positional arguments of the module, for display.
        joins: Whether the module takes a list of all inputs instead of a single one.
        options: Keyword arguments of the module, for display.
    """

    make: Callable[[], nn.Module]
    arguments: tuple[Any, ...] = ()
    joins: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)


RuleKind = Literal["widen", "widen+repeat", "concat", "sum", "same-channels", "detect", "gate"]
# Kinds of blocks that join maps of equal size.
JOINING: frozenset[RuleKind | None] = frozenset(("concat", "sum"))


@dataclass(frozen=True)
class WiringRule:
    """A rule that turns rows of a model file into modules.

    Attributes:
        kind: Name of the rule.
        specify: Returns the specification of a row's module, given the block and the request.
    """

    kind: RuleKind
    specify: Callable[[ModuleFactory, BlockRequest], ModuleSpec]


def _widen(block: ModuleFactory, request: BlockRequest) -> ModuleSpec:
    """Specify `block(in, out, *rest)`. The row declares the output width, which is scaled; repeats form a sequence."""
    width, *rest = _declared_width(request)
    arguments = (only_input(request), width, *rest)
    first, later = partial(block, *arguments), partial(block, width, width, *rest)
    return ModuleSpec(_repeated(request, first, later), arguments)


def _widen_and_repeat(block: ModuleFactory, request: BlockRequest) -> ModuleSpec:
    """Specify `block(in, out, repeats, *rest)`, like `_widen` for blocks that repeat an inner block themselves."""
    width, *rest = _declared_width(request)
    arguments = (only_input(request), width, request.repeats, *rest)
    return ModuleSpec(partial(block, *arguments), arguments)


def _concat(block: ModuleFactory, request: BlockRequest) -> ModuleSpec:
    """Specify `block(*args)`, which takes the list of its inputs."""
    _require_no_repeats(request)
    return ModuleSpec(partial(block, *request.args), request.args, joins=True)


def _same_channels(block: ModuleFactory, request: BlockRequest) -> ModuleSpec:
    """Specify `block(*args)`, which needs no number of channels."""
    only_input(request)
    make = partial(block, *request.args)
    return ModuleSpec(_repeated(request, make, make), request.args)


def _per_channel(block: ModuleFactory, request: BlockRequest) -> ModuleSpec:
    """Specify `block(in)`, which has the width of its input, regardless of the declared width."""
    arguments = (only_input(request),)
    make = partial(block, *arguments)
    return ModuleSpec(_repeated(request, make, make), arguments)


def _detect(block: ModuleFactory, request: BlockRequest) -> ModuleSpec:
    """Specify `block(num_classes, anchors, channels, strides)`, which takes the list of its levels."""
    _require_no_repeats(request)
    sides = [[side for pair in level for side in pair] for level in request.anchors]
    return ModuleSpec(
        partial(block, request.num_classes, request.anchors, request.channels, request.strides),
        (request.num_classes, sides, list(request.channels)),
        joins=True,
    )


def _detect_points(block: ModuleFactory, request: BlockRequest) -> ModuleSpec:
    """Specify `block(num_classes, channels, strides)`, which takes the list of its levels."""
    _require_no_repeats(request)
    options = split_options(request.args)[1]
    return ModuleSpec(
        partial(block, request.num_classes, request.channels, request.strides, **options),
        (request.num_classes, list(request.channels), *options.values()),
        joins=True,
    )


widen = WiringRule("widen", _widen)
widen_and_repeat = WiringRule("widen+repeat", _widen_and_repeat)
concat = WiringRule("concat", _concat)
same_channels = WiringRule("same-channels", _same_channels)
by_arguments = WiringRule("widen", _same_channels)
per_channel = WiringRule("same-channels", _per_channel)
detect = WiringRule("detect", _detect)
detect_points = WiringRule("detect", _detect_points)


def split_options(args: Sequence[Value]) -> tuple[tuple[Value, ...], dict[str, Any]]:
    """Return the arguments by position, and the options by name that a mapping at the end of a row gives.

    Example:
        >>> split_options((1024, {"reduction": 8}))
        ((1024,), {'reduction': 8})
    """
    if args and isinstance(args[-1], dict):
        return tuple(args[:-1]), dict(args[-1])
    return tuple(args), {}


def chain(n: int, make: ModuleFactory) -> nn.Sequential:
    """Return a sequence of n new modules."""
    return nn.Sequential(*(make() for _ in range(n)))


def only_input(request: BlockRequest) -> int:
    """Return the number of channels of the only input of a row.

    Raises:
        OptionError: If the row has several inputs.
    """
    if len(request.channels) != 1:
        raise OptionError(
            f"the row must have one input, got {len(request.channels)}", remedy="insert a Concat before it"
        )
    return request.channels[0]


def _repeated(request: BlockRequest, first: ModuleFactory, later: ModuleFactory) -> ModuleFactory:
    """Return a function that makes the modules of a row; the first one may have other input channels."""
    return partial(_sequence, first, later, request.repeats) if request.repeats > 1 else first


def _sequence(first: ModuleFactory, later: ModuleFactory, repeats: int) -> nn.Module:
    return nn.Sequential(first(), *chain(repeats - 1, later))


def _require_no_repeats(request: BlockRequest) -> None:
    if request.repeats > 1:
        raise OptionError(f"the repeats of a block with several inputs must be 1, got {request.repeats}")


def _declared_width(request: BlockRequest) -> tuple[Any, ...]:
    if not request.args or type(request.args[0]) is not int or request.args[0] < 1:
        found = repr(request.args[0]) if request.args else "no arguments"
        raise OptionError(
            f"the first argument must be the output width, a positive integer, got {found}",
            remedy="write [64, ...] for 64 channels",
        )
    return (request.scale(request.args[0]), *request.args[1:])
