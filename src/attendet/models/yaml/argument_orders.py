"""The arguments of attention modules that have no ratio and kernel size in the usual order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

from attendet.errors import OptionError
from attendet.utils.yaml_nodes import Plain

MIN_WIDTH = 32


@dataclass(frozen=True)
class ArgumentOrder:
    """The meaning of the arguments after a declared width.

    Attributes:
        options: Options of the numbers, for each allowed count of numbers; None is a number without effect.
        min_width: Smallest leading number that is a declared width.
        lists: Option of an argument that is a list of numbers; None if lists are refused.
        words: Words that name the published form of the module, alone or in a list.
    """

    options: tuple[tuple[str | None, ...], ...]
    min_width: int = MIN_WIDTH
    lists: str | None = None
    words: tuple[str, ...] = ()

    def read(self, args: tuple[Plain, ...]) -> tuple[int | None, dict[str, Any]]:
        """Return the declared width, None without one, and the options.

        Raises:
            OptionError: If an argument is not a number, or there are too many.
        """
        lists = [arg for arg in args if isinstance(arg, list) and all(map(_is_number, arg))]
        numbers = [arg for arg in args if _is_number(arg)]
        rest = [arg for arg in args if arg not in lists and not _is_number(arg) and not self._is_published_form(arg)]
        if rest or len(lists) > (self.lists is not None):
            raise OptionError(f"the arguments must be numbers and options by name, got {list(args)}")
        widths = [number for number in numbers if isinstance(number, int) and number >= self.min_width]
        # [C, C] declares the width twice: the channels of the input and of the output.
        declared = 2 if widths[1:] and numbers[:2] == [widths[0]] * 2 else 1 if numbers[:1] == widths[:1] != [] else 0
        options: dict[str, Any] = {str(self.lists): tuple(values) for values in lists}
        options |= self._name(numbers[declared:])
        return (widths[0] if declared else None), options

    def _is_published_form(self, arg: Plain) -> bool:
        return all(word in self.words for word in (arg if isinstance(arg, list) else [arg]))

    def _name(self, numbers: list[int | float]) -> dict[str, Any]:
        names = next((names for names in self.options if len(names) == len(numbers)), None)
        if names is None:
            raise OptionError(f"at most {max(map(len, self.options))} numbers may follow the width, got {numbers}")
        named = {name: number for name, number in zip(names, numbers, strict=True) if name}
        # Published code of global context multiplies the channels by a ratio below 1.
        if 0 < named.get("reduction", 1) < 1:
            named["reduction"] = 1 / named["reduction"]
        return named


def argument_order(attention: str) -> ArgumentOrder | None:
    """Return the order of the arguments of an attention module; None for a ratio and a kernel size.

    Args:
        attention: Registry name of the attention module.

    Example:
        >>> argument_order("simam").read((512, 1e-4))
        (512, {'regularizer': 0.0001})
    """
    return _ORDERS.get(attention)


_ORDERS: Mapping[str, ArgumentOrder] = {
    "simam": ArgumentOrder(((), ("regularizer",))),
    # 32 is a common number of groups.
    "ema": ArgumentOrder(((), ("groups",)), min_width=2 * MIN_WIDTH),
    # Published code has a second argument, a reduction, that it does not use.
    "shuffle": ArgumentOrder(((), ("groups",), (None, "groups"))),
    "sk": ArgumentOrder(
        ((), ("reduction",), ("reduction", "groups"), ("reduction", "groups", "min_width")), lists="kernel_sizes"
    ),
    "gc": ArgumentOrder(((), ("reduction",)), words=("att", "channel_add")),
    # Copies that are given a number read it as a switch or not at all.
    "triplet": ArgumentOrder(((), (None,))),
}


def _is_number(value: Plain) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)
