"""Numbers that are options: integers and floats of Python or numpy, but no booleans."""

from __future__ import annotations

import math
from numbers import Integral, Real

from attendet.errors import OptionError
from attendet.utils.text import short_repr


def as_integer(value: object) -> int | None:
    """Return an integer, of Python or of numpy, as an int, and None for anything else, including booleans.

    Example:
        >>> as_integer(3), as_integer(3.0), as_integer(True)
        (3, None, None)
    """
    return int(value) if isinstance(value, Integral) and not isinstance(value, bool) else None


def as_number(value: object) -> float | None:
    """Return a finite number, of Python or of numpy, as an int or a float, and None for anything else.

    Example:
        >>> as_number(3), as_number(0.5), as_number(float("nan")), as_number("3")
        (3, 0.5, None, None)
    """
    if not isinstance(value, Real) or isinstance(value, bool) or not math.isfinite(value):
        return None
    return int(value) if isinstance(value, Integral) else float(value)


def positive_integer(name: str, value: object) -> int:
    """Return the value of an option as an int.

    Raises:
        OptionError: If it is not a positive integer.
    """
    integer = as_integer(value)
    if integer is None or integer < 1:
        raise OptionError(f"`{name}` must be a positive integer, got {short_repr(value)}")
    return integer


def positive_number(name: str, value: object, remedy: str | None = None) -> float:
    """Return the value of an option as an int or a float.

    Raises:
        OptionError: If it is not a positive, finite number.
    """
    number = as_number(value)
    if number is None or number <= 0:
        raise OptionError(f"`{name}` must be a positive number, got {short_repr(value)}", remedy=remedy)
    return number
