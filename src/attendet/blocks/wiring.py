"""How a row of a model file becomes a block: one rule per kind of block.

A rule makes of a block, usually a class, and of what the row asks for a recipe: how to make the module, and with which
arguments. What the module gives out, channels and size, is not the rule's to say: it is measured.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal, TypeAlias

from torch import nn

from attendet.errors import OptionError

Maker: TypeAlias = Callable[..., nn.Module]
Value: TypeAlias = "int | float | bool | str | list[Value] | dict[str, Value] | None"


@dataclass(frozen=True)
class BlockRequest:
    """What a row asks for, and what it is given.

    Attributes:
        channels: Channels of each source.
        strides: Stride of each source against the image, in pixels.
        repeats: How often the block stands in a row, depth multiple applied.
        args: The row's arguments.
        width_multiple: What declared widths are scaled by.
        num_classes: Number of classes.
        anchors: Anchor sides in pixels, (width, height) pairs per level.
        start: How attention inside the block starts.
    """

    channels: tuple[int, ...]
    strides: tuple[float, ...] = ()
    repeats: int = 1
    args: tuple[Value, ...] = ()
    width_multiple: float = 1.0
    num_classes: int = 80
    anchors: tuple[tuple[tuple[float, float], ...], ...] = ()
    start: str = "paper"

    def scale(self, width: int) -> int:
        """Return a declared width scaled, rounded up to a multiple of 8.

        Example:
            >>> BlockRequest(channels=(3,), width_multiple=0.25).scale(65)
            24
        """
        return math.ceil(width * self.width_multiple / 8) * 8


@dataclass(frozen=True)
class ModuleSpec:
    """How to make a row's module.

    Attributes:
        make: Makes the module, on whatever device is current.
        arguments: What it is made with, for the table that people read.
        joins: Whether the module takes the list of all sources, instead of the one.
        options: What it is made with by name.
    """

    make: Callable[[], nn.Module]
    arguments: tuple[Any, ...] = ()
    joins: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)


RuleKind = Literal["widen", "widen+repeat", "concat", "keep", "detect", "gate"]


@dataclass(frozen=True)
class WiringRule:
    """A wiring rule.

    Attributes:
        kind: Its name.
        recipe: Makes the recipe of a row from the block and the request.
    """

    kind: RuleKind
    recipe: Callable[[Maker, BlockRequest], ModuleSpec]


def _widen(block: Maker, request: BlockRequest) -> ModuleSpec:
    """Make `block(in, out, *rest)`; the first argument is the output width, to be scaled. Repeats stand in a row."""
    width, *rest = _declared_width(request)
    arguments = (only_source(request), width, *rest)
    first, later = partial(block, *arguments), partial(block, width, width, *rest)
    return ModuleSpec(_repeated(request, first, later), arguments)


def _widen_and_repeat(block: Maker, request: BlockRequest) -> ModuleSpec:
    """Make `block(in, out, repeats, *rest)`: like `_widen`, for blocks that take their repeats inside."""
    width, *rest = _declared_width(request)
    arguments = (only_source(request), width, request.repeats, *rest)
    return ModuleSpec(partial(block, *arguments), arguments)


def _concat(block: Maker, request: BlockRequest) -> ModuleSpec:
    """Make `block(*args)`, which takes the list of its sources."""
    _require_once(request)
    return ModuleSpec(partial(block, *request.args), request.args, joins=True)


def _keep(block: Maker, request: BlockRequest) -> ModuleSpec:
    """Make `block(*args)`, which leaves the channels as they are."""
    only_source(request)
    make = partial(block, *request.args)
    return ModuleSpec(_repeated(request, make, make), request.args)


def _per_channel(block: Maker, request: BlockRequest) -> ModuleSpec:
    """Make `block(in)`: as wide as what comes in, whatever width the row declares."""
    arguments = (only_source(request),)
    make = partial(block, *arguments)
    return ModuleSpec(_repeated(request, make, make), arguments)


def _detect(block: Maker, request: BlockRequest) -> ModuleSpec:
    """Make `block(classes, anchors, channels, strides)`, which takes the list of its levels."""
    _require_once(request)
    sides = [[side for pair in level for side in pair] for level in request.anchors]
    return ModuleSpec(
        partial(block, request.num_classes, request.anchors, request.channels, request.strides),
        (request.num_classes, sides, list(request.channels)),
        joins=True,
    )


widen = WiringRule("widen", _widen)
widen_and_repeat = WiringRule("widen+repeat", _widen_and_repeat)
concat = WiringRule("concat", _concat)
keep = WiringRule("keep", _keep)
per_channel = WiringRule("keep", _per_channel)
detect = WiringRule("detect", _detect)


def chain(n: int, make: Maker) -> nn.Sequential:
    """Return n new modules in a row."""
    return nn.Sequential(*(make() for _ in range(n)))


def only_source(request: BlockRequest) -> int:
    """Return the channels of the one map that a row reads.

    Raises:
        OptionError: If it reads several.
    """
    if len(request.channels) != 1:
        raise OptionError(f"it reads {len(request.channels)} rows and takes one", remedy="put a Concat before it")
    return request.channels[0]


def _repeated(request: BlockRequest, first: Maker, later: Maker) -> Maker:
    """Return what makes a row's modules; the first may have other incoming channels than those after it."""
    return partial(_led, first, later, request.repeats) if request.repeats > 1 else first


def _led(first: Maker, later: Maker, repeats: int) -> nn.Module:
    return nn.Sequential(first(), *chain(repeats - 1, later))


def _require_once(request: BlockRequest) -> None:
    if request.repeats > 1:
        raise OptionError(f"it stands {request.repeats} times in a row, and takes several maps", remedy="write 1")


def _declared_width(request: BlockRequest) -> tuple[Any, ...]:
    if not request.args or type(request.args[0]) is not int or request.args[0] < 1:
        raise OptionError("the first argument has to be the output width", remedy="write [64, ...] for 64 channels")
    return (request.scale(request.args[0]), *request.args[1:])
