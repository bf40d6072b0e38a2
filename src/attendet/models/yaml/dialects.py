"""Dialects: the meaning of the arguments of an attention row.

Forks of YOLOv5 disagree about `[-1, 1, CBAM, [1024, 7]]`: the numbers are a width and a kernel size, or a width and a
reduction ratio, and the width is scaled by the width multiple or not. The dialect `auto` decides by the numbers
themselves; each named dialect reads them like one family of forks. In every dialect the module gets as many channels as
its input has, and `attendet check` shows how each row is read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from attendet.blocks.wiring import split_options
from attendet.errors import OptionError, unknown_name
from attendet.models.yaml.argument_orders import MIN_WIDTH, argument_order
from attendet.utils.yaml_nodes import Plain

# Option of an attention row: whether the module is repeated as often as the row requests.
REPEATED = "repeated"

Meaning = Literal["width", "ratio", "kernel"]
Scale: TypeAlias = Callable[[int], int]

_KERNELS = (3, 5, 7)
_RATIOS = (2, 4, 8, 16, 32)


@dataclass(frozen=True)
class Dialect:
    """How one family of forks reads attention rows.

    Attributes:
        meanings: Meaning of each number, for each allowed count of numbers.
        scaled: Whether the width multiple scales a declared width.
        repeats: Whether an attention module is repeated as often as its row requests.
    """

    meanings: tuple[tuple[Meaning, ...], ...]
    scaled: bool = True
    repeats: bool = False


DIALECTS: Mapping[str, Dialect] = {
    "width-list": Dialect(((), ("width",), ("width", "ratio"), ("width", "ratio", "kernel")), repeats=True),
    "kernel-second": Dialect(((), ("width",), ("width", "kernel"))),
    "ratio-only": Dialect(((), ("ratio",), ("ratio", "kernel"))),
    "unscaled": Dialect(((), ("width",), ("width", "kernel")), scaled=False),
    "kernel-first": Dialect(((), ("kernel",), ("ratio", "kernel"))),
}
DIALECT_NAMES = ("auto", *DIALECTS)


@dataclass(frozen=True)
class Reading:
    """The arguments of an attention row, as a dialect reads them.

    Attributes:
        options: Keyword arguments of the module.
        width: Declared number of channels, scaled if the dialect scales it; None if the row declares none.
        doubts: Reasons to believe that the author of the row meant something else.
    """

    options: Mapping[str, Any] = field(default_factory=dict)
    width: int | None = None
    doubts: tuple[str, ...] = ()


def find_dialect(name: str) -> Dialect | None:
    """Return the dialect of a name; None for `auto`.

    Raises:
        UnknownNameError: If the name is not in `DIALECT_NAMES`.
    """
    if name not in DIALECT_NAMES:
        raise unknown_name("dialect", name, DIALECT_NAMES)
    return DIALECTS.get(name)


def read_attention_args(
    args: tuple[Plain, ...], dialect: Dialect | None, scale: Scale, attention: str = "cbam"
) -> Reading:
    """Read the arguments of an attention row.

    A boolean turns the spatial part of CBAM on or off. A mapping as the last argument gives options by name.

    Args:
        args: The arguments.
        dialect: The dialect. None (`auto`) reads each number by its value: a leading number of at least 32 is a
            declared width; of the others, 3, 5, and 7 are kernel sizes, and 2, 4, 8, 16, and 32 are ratios; any other
            two numbers are a ratio and a kernel size. Modules with other arguments than a ratio and a kernel size, such
            as SimAM and EMA, have their own order.
        scale: Scales a declared width by the width multiple.
        attention: Registry name of the attention module.

    Raises:
        OptionError: If the arguments do not fit the dialect.

    Example:
        >>> read_attention_args((1024, 7), None, lambda width: width // 2)
        Reading(options={'kernel_size': 7}, width=512, doubts=())
        >>> read_attention_args((16, 7), None, lambda width: width // 2).options
        {'reduction': 16, 'kernel_size': 7}
        >>> read_attention_args((1024, 8), None, lambda width: width // 2, "ema").options
        {'groups': 8}
    """
    plain, named = split_options(args)
    order = argument_order(attention)
    if dialect is None and order is not None:
        width, options = order.read(plain)
        return Reading(options | named, None if width is None else scale(width))
    numbers, switches = _numbers_and_switches(plain)
    # Next to options by name, a single large number is a width in every dialect.
    is_width = bool(named) and len(numbers) == 1 and numbers[0] >= MIN_WIDTH
    meanings = _meanings_by_value(numbers) if dialect is None or is_width else _meanings_by_count(numbers, dialect)
    values = dict(zip(meanings, numbers, strict=True))
    options = {}
    if "ratio" in values:
        options["reduction"] = values["ratio"]
    if "kernel" in values:
        options["kernel_size"] = values["kernel"]
    if switches and not switches[0]:
        options["order"] = "channel-only"
    width = values.get("width")
    if width is not None and (dialect is None or dialect.scaled):
        width = scale(width)
    # Only forks with CBAM are known to read the second number of [C, C] as the ratio.
    doubts = _doubts(numbers, values, widths_may_be_a_ratio=attention == "cbam")
    return Reading(options | named, width, doubts)


def _numbers_and_switches(plain: tuple[Plain, ...]) -> tuple[list[int], list[bool]]:
    """Return the integers and the booleans."""
    switches = [arg for arg in plain if isinstance(arg, bool)]
    numbers = [arg for arg in plain if type(arg) is int]
    if len(numbers) + len(switches) != len(plain) or len(switches) > 1:
        raise OptionError(
            f"attention arguments must be integers, at most one boolean, and options by name, got {list(plain)}",
            remedy="write a width, a ratio, and a kernel size like [1024, 16, 7], or options like [{reduction: 16}]",
        )
    return numbers, switches


def _meanings_by_value(numbers: list[int]) -> tuple[Meaning, ...]:
    widths = 1 if numbers and numbers[0] >= MIN_WIDTH else 0
    if widths and numbers[1:2] == numbers[:1]:
        # [C, C, 3]: some forks write the number of input channels and the number of output channels.
        widths = 2
    declared: tuple[Meaning, ...] = ("width", "width")[:widths]
    match numbers[widths:]:
        case []:
            return declared
        case [number]:
            return (*declared, "kernel" if _is_kernel(number) else "ratio")
        case [first, second] if first in _KERNELS and second in _RATIOS:
            return (*declared, "kernel", "ratio")
        case [_, _]:
            return (*declared, "ratio", "kernel")
        case rest:
            raise OptionError(
                f"at most two numbers may follow the width, got {rest}", remedy="write a ratio and a kernel size"
            )


def _is_kernel(number: int) -> bool:
    return number in _KERNELS or (number not in _RATIOS and number % 2 == 1 and number > 1)


def _meanings_by_count(numbers: list[int], dialect: Dialect) -> tuple[Meaning, ...]:
    for meanings in dialect.meanings:
        if len(meanings) == len(numbers):
            return meanings
    allowed = " or ".join(f"[{', '.join(meanings)}]" for meanings in dialect.meanings)
    raise OptionError(f"the arguments must be {allowed} in this dialect, got {numbers}")


def _doubts(numbers: list[int], values: Mapping[Meaning, int], *, widths_may_be_a_ratio: bool) -> tuple[str, ...]:
    doubts = []
    ratio = values.get("ratio", _RATIOS[0])
    if ratio == 1:
        doubts.append("a ratio of 1 does not reduce the channels and is probably a number of repeats")
    if ratio > _RATIOS[-1]:
        doubts.append(f"a ratio of {ratio} is probably a number of channels")
    if widths_may_be_a_ratio and len(numbers) == 2 and numbers[0] == numbers[1]:
        doubts.append(f"some forks read the second {numbers[1]} as the ratio, which leaves one or two hidden channels")
    return tuple(doubts)
