"""The attention modules by name."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any

from attendet.attention.base import Attention
from attendet.errors import OptionError, nearest_name
from attendet.registry import Registry

VAR_KEYWORD = inspect.Parameter.VAR_KEYWORD
attentions = Registry[type[Attention]]("attention", entry_point_group="attendet.attention", base=Attention)


def create(name: str, channels: int, **options: Any) -> Attention:
    """Return a new attention module for features of so many channels.

    Args:
        name: One of `names()`, in any case, with or without hyphens: `cbam` and `CBAM` are one.
        channels: Channels of the features it will weigh.
        options: Keyword arguments of the module's class.

    Raises:
        UnknownNameError: If there is no such module.
        OptionError: If the module has no such option, or the option no such value.

    Example:
        >>> create("cbam", 64, kernel_size=3).spatial.conv.kernel_size
        (3, 3)
    """
    require_options(name, options)
    return attentions.get(name)(channels, **options)


def require_options(name: str, options: Iterable[str]) -> None:
    """Raise an error if a module has no option of such a name.

    A module that passes options on to another, as controls do, says so itself when it is made.

    Raises:
        UnknownNameError: If there is no such module.
        OptionError: If it has no such option; with the one that may be meant.

    Example:
        >>> require_options("cbam", ["reducton"])
        Traceback (most recent call last):
        ...
        attendet.errors.OptionError: cbam has no option 'reducton'; did you mean 'reduction'?
    """
    attention = attentions.get(name)
    if _passes_on(attention):
        return
    known = options_of(attention)
    for option in options:
        if option not in known:
            nearest = nearest_name(option, known)
            remedy = f"did you mean {nearest!r}?" if nearest else f"it has {', '.join(known) or 'none'}"
            raise OptionError(f"{name} has no option {option!r}", remedy=remedy)


def names() -> tuple[str, ...]:
    """Return the names of all attention modules, those of other packages included.

    Example:
        >>> {"bam", "cbam", "eca", "se", "simam"} <= set(names())
        True
    """
    return attentions.names()


def options_of(attention: type[Attention]) -> tuple[str, ...]:
    """Return the names of the options a module's class takes besides the channels.

    Example:
        >>> from attendet.attention import CBAM
        >>> options_of(CBAM)
        ('reduction', 'kernel_size', 'variant', 'start', 'order', 'pool', 'planes', 'dims')
    """
    named = [name for name, option in inspect.signature(attention).parameters.items() if option.kind != VAR_KEYWORD]
    return tuple(named[1:])


def _passes_on(attention: type[Attention]) -> bool:
    return any(option.kind == VAR_KEYWORD for option in inspect.signature(attention).parameters.values())
