"""What the arguments of an attention row mean.

Forks of YOLOv5 disagree about `[-1, 1, CBAM, [1024, 7]]`: a width and a kernel, a width and a ratio, a width that is
scaled or not. `auto` reads all that is in use by the numbers themselves; a named dialect reads like one family of
forks. Either way the module is as wide as what comes in, and the reading is told.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from attendet.blocks.wiring import Value
from attendet.errors import OptionError, unknown_name

Meaning = Literal["width", "ratio", "kernel"]
Scale: TypeAlias = Callable[[int], int]

KERNELS = (3, 5, 7)
RATIOS = (2, 4, 8, 16, 32)
LEAST_WIDTH = 32


@dataclass(frozen=True)
class Dialect:
    """How one family of forks reads attention rows.

    Attributes:
        meanings: What the numbers mean, for each count of them.
        scaled: Whether a declared width is scaled by the width multiple.
        repeats: Whether a plain attention row is repeated as often as the row says.
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
    """How an attention row was understood.

    Attributes:
        options: Keyword arguments of the module.
        width: The width the row declares, scaled as the dialect says; None where it declares none.
        doubts: What is likely not meant, in words.
    """

    options: Mapping[str, Any] = field(default_factory=dict)
    width: int | None = None
    doubts: tuple[str, ...] = ()


def dialect_named(name: str) -> Dialect | None:
    """Return the dialect of this name, None for `auto`.

    Raises:
        UnknownNameError: If there is none.
    """
    if name not in DIALECT_NAMES:
        raise unknown_name("dialect", name, DIALECT_NAMES)
    return DIALECTS.get(name)


def read_attention_args(args: tuple[Value, ...], dialect: Dialect | None, scale: Scale) -> Reading:
    """Read the arguments of an attention row.

    A boolean switches the spatial part of CBAM on or off; a mapping, as the last argument, gives options by name.

    Args:
        args: The arguments.
        dialect: Whose way to read them; None reads each number by its value: a leading one of at least 32 is a
            declared width, of the rest 3, 5 and 7 are kernels, 2, 4, 8, 16 and 32 are ratios, and two are a ratio and
            a kernel.
        scale: Scales a declared width by the width multiple.

    Raises:
        OptionError: If they cannot be read this way.

    Example:
        >>> read_attention_args((1024, 7), None, lambda width: width // 2)
        Reading(options={'kernel_size': 7}, width=512, doubts=())
        >>> read_attention_args((16, 7), None, lambda width: width // 2).options
        {'reduction': 16, 'kernel_size': 7}
    """
    numbers, switches, named = _sort(args)
    meanings = _by_value(numbers) if dialect is None else _by_count(numbers, dialect)
    given = dict(zip(meanings, numbers, strict=True))
    options: dict[str, Any] = {}
    if "ratio" in given:
        options["reduction"] = given["ratio"]
    if "kernel" in given:
        options["kernel_size"] = given["kernel"]
    if switches and not switches[0]:
        options["order"] = "channel-only"
    width = given.get("width")
    if width is not None and (dialect is None or dialect.scaled):
        width = scale(width)
    return Reading(options | named, width, _doubts(numbers, given))


def _sort(args: tuple[Value, ...]) -> tuple[list[int], list[bool], dict[str, Any]]:
    named = args[-1] if args and isinstance(args[-1], dict) else {}
    plain = args[: len(args) - bool(named)]
    switches = [arg for arg in plain if isinstance(arg, bool)]
    numbers = [arg for arg in plain if type(arg) is int]
    if len(numbers) + len(switches) != len(plain) or len(switches) > 1:
        raise OptionError(
            f"the arguments {list(args)} are not those of attention",
            remedy="give a width, a ratio and a kernel as numbers, or options by name: {reduction: 16}",
        )
    return numbers, switches, named


def _by_value(numbers: list[int]) -> tuple[Meaning, ...]:
    widths = 1 if numbers and numbers[0] >= LEAST_WIDTH else 0
    if widths and numbers[1:2] == numbers[:1]:
        # [C, C, 3]: some forks write the incoming and the outgoing width.
        widths = 2
    declared: tuple[Meaning, ...] = ("width", "width")[:widths]
    match numbers[widths:]:
        case []:
            return declared
        case [number]:
            return (*declared, "kernel" if _is_kernel(number) else "ratio")
        case [first, second] if first in KERNELS and second in RATIOS:
            return (*declared, "kernel", "ratio")
        case [_, _]:
            return (*declared, "ratio", "kernel")
        case rest:
            raise OptionError(f"there are {len(rest)} numbers besides the width", remedy="give a ratio and a kernel")


def _is_kernel(number: int) -> bool:
    return number in KERNELS or (number not in RATIOS and number % 2 == 1 and number > 1)


def _by_count(numbers: list[int], dialect: Dialect) -> tuple[Meaning, ...]:
    for meanings in dialect.meanings:
        if len(meanings) == len(numbers):
            return meanings
    readable = " or ".join(str(list(meanings)) for meanings in dialect.meanings)
    raise OptionError(f"{numbers} cannot be read in this dialect", remedy=f"it takes {readable}")


def _doubts(numbers: list[int], given: Mapping[Meaning, int]) -> tuple[str, ...]:
    doubts = []
    ratio = given.get("ratio", RATIOS[0])
    if ratio == 1:
        doubts.append("a ratio of 1 squeezes nothing: a repeat count in the ratio's place?")
    if ratio > RATIOS[-1]:
        doubts.append(f"a ratio of {ratio} is rather a channel count")
    if len(numbers) == 2 and numbers[0] == numbers[1]:
        doubts.append(f"forks that take the second {numbers[1]} for the ratio are left with a channel or two")
    return tuple(doubts)
