"""Numbers that numpy wrote into a pickle, such as YOLOv5's best fitness."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np

from attendet.weights.unpickle.inert import PickledName, PickledObject

# Booleans, whole numbers, floats: all others hold text, dates, or objects.
_NUMERIC = re.compile(r"(b1|[iu][1248]|f[248])")
_MOST_NUMBERS = 10_000
_TYPE, _ARRAY = PickledName("numpy", "dtype"), PickledName("numpy", "ndarray")


def number_type(code: Any, *_: Any) -> PickledObject:
    """Return the description of a dtype; its byte order comes as its state."""
    return PickledObject(_TYPE, (code,))


def number(dtype: Any, content: Any) -> bool | int | float:
    r"""Return the one number of a scalar.

    Raises:
        TypeError: If it is no number.
        ValueError: If it has another length than its dtype says.

    Example:
        >>> number(PickledObject(_TYPE, ("f8",), (3, "<", None, None, None, -1, -1, 0)), b"\0\0\0\0\0\0\xe0?")
        0.5
    """
    return _numbers(dtype, content, 1)[0].item()


def array(*_: Any) -> PickledObject:
    """Return the description of an array; its content comes as its state."""
    return PickledObject(_ARRAY)


def array_of_buffer(content: Any, dtype: Any, shape: Any, order: Any) -> PickledObject:
    """Return the description of an array as pickle protocol 5 writes it."""
    return PickledObject(_ARRAY, state=(1, shape, dtype, order == "F", content))


def array_values(record: PickledObject) -> Any:
    """Return the numbers of an array as nested lists; of an array with one number, that number.

    Raises:
        TypeError: If it is no array of numbers.
        ValueError: If it is longer than 10,000 numbers, or its shape does not fit them.
    """
    if record.type is not _ARRAY or not isinstance(record.state, tuple) or len(record.state) != 5:
        raise TypeError("it is no array")
    _, shape, dtype, column_major, content = record.state
    if not isinstance(shape, tuple) or not all(type(side) is int and 0 <= side <= _MOST_NUMBERS for side in shape):
        raise TypeError("an array has no shape")
    if len(shape) > 8 or math.prod(shape) > _MOST_NUMBERS:
        raise ValueError("an array is too large to be told")
    values = _numbers(dtype, content, math.prod(shape))
    return values.item() if values.size == 1 else values.reshape(shape, order="F" if column_major else "C").tolist()


def _numbers(dtype: Any, content: Any, count: int) -> np.ndarray:
    if not isinstance(dtype, PickledObject) or dtype.type is not _TYPE or not isinstance(content, bytes | bytearray):
        raise TypeError("a number has no dtype")
    code = dtype.arguments[0]
    if not isinstance(code, str) or not _NUMERIC.fullmatch(code):
        raise TypeError("what numpy wrote is no number")
    state = dtype.state if isinstance(dtype.state, tuple) else ()
    order = ">" if len(state) > 1 and state[1] == ">" else "<"
    made = np.dtype(order + code)
    if len(content) != count * made.itemsize:
        raise ValueError("a number is longer or shorter than its dtype")
    return np.frombuffer(content, made)
