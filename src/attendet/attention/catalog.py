"""The attention modules by name."""

from __future__ import annotations

import inspect
from typing import Any

from attendet.attention.base import Attention
from attendet.errors import OptionError, nearest_name
from attendet.registry import Registry

attentions = Registry[type[Attention]]("attention", entry_point_group="attendet.attention")


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
    attention = attentions.get(name)
    known = options_of(attention)
    for option in options:
        if option not in known:
            nearest = nearest_name(option, known)
            remedy = f"did you mean {nearest!r}?" if nearest else f"it has {', '.join(known)}"
            raise OptionError(f"{name} has no option {option!r}", remedy=remedy)
    return attention(channels, **options)


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
    return tuple(inspect.signature(attention).parameters)[1:]
