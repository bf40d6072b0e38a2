"""Registry of the attention modules."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any

from attendet.attention.base import Attention
from attendet.errors import OptionError, nearest_name
from attendet.registry import Registry
from attendet.utils.text import short_repr

attentions = Registry[type[Attention]]("attention", entry_point_group="attendet.attention", base=Attention)


def create(name: str, channels: int, **options: Any) -> Attention:
    """Return a new attention module for features with the given number of channels.

    Args:
        name: One of `names()`. Case, hyphens, and underscores are ignored: `cbam` and `CBAM` are the same name.
        channels: Number of channels of the features.
        options: Keyword arguments of the module's class.

    Raises:
        UnknownNameError: If no module has this name.
        OptionError: If the module does not have an option, or an option has an invalid value.

    Example:
        >>> create("cbam", 64, kernel_size=3).spatial.conv.kernel_size
        (3, 3)
    """
    require_options(name, options)
    return attentions.get(name)(channels, **options)


def require_options(name: str, options: Iterable[str]) -> None:
    """Raise an error if an attention module does not have all of these options.

    A module that forwards options to another one, such as a control, accepts any name here and checks it on creation.

    Args:
        name: Name of the attention module.
        options: Names of options.

    Raises:
        UnknownNameError: If no module has this name.
        OptionError: If the module does not have an option. The remedy suggests a similar name.

    Example:
        >>> require_options("cbam", ["reducton"])
        Traceback (most recent call last):
        ...
        attendet.errors.OptionError: cbam has no option 'reducton'; did you mean 'reduction'?
    """
    attention = attentions.get(name)
    if _forwards_options(attention):
        return
    known = options_of(attention)
    for option in options:
        if option not in known:
            nearest = nearest_name(option, known)
            all_options = f"its options are {', '.join(known)}" if known else "it has no options"
            remedy = f"did you mean {nearest!r}?" if nearest else all_options
            raise OptionError(f"{name} has no option {short_repr(option)}", remedy=remedy)


def names() -> tuple[str, ...]:
    """Return the names of all attention modules, including modules of other packages, sorted.

    Example:
        >>> {"bam", "cbam", "eca", "se", "simam"} <= set(names())
        True
    """
    return attentions.names()


def options_of(attention: type[Attention]) -> tuple[str, ...]:
    """Return the names of the options of an attention class: its keyword arguments, without `channels`.

    Example:
        >>> from attendet.attention import CBAM
        >>> options_of(CBAM)
        ('reduction', 'kernel_size', 'variant', 'start', 'order', 'pool', 'planes', 'dims')
    """
    parameters = inspect.signature(attention).parameters
    return tuple(name for name, parameter in parameters.items() if parameter.kind != parameter.VAR_KEYWORD)[1:]


def _forwards_options(attention: type[Attention]) -> bool:
    parameters = inspect.signature(attention).parameters.values()
    return any(parameter.kind == parameter.VAR_KEYWORD for parameter in parameters)
