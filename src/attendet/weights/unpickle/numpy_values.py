"""NumPy scalars and arrays in a pickle, such as the best fitness of a YOLOv5 run."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np

from attendet.weights.unpickle.placeholders import PickledName, PickledObject

# Booleans, integers, and floats. The other codes are strings, dates, and objects.
_NUMERIC = re.compile(r"(b1|[iu][1248]|f[248])")
_MAX_NUMBERS = 10_000
_MAX_AXES = 8
_DTYPE, _ARRAY = PickledName("numpy", "dtype"), PickledName("numpy", "ndarray")


def numpy_dtype(code: Any, *_: Any) -> PickledObject:
    """Return the placeholder of a dtype; the pickle sets its byte order later, as its state."""
    return PickledObject(_DTYPE, (code,))


def numpy_scalar(dtype: Any, content: Any) -> bool | int | float:
    r"""Return the value of a scalar.

    Args:
        dtype: Placeholder of the scalar's dtype.
        content: The bytes of the scalar.

    Raises:
        TypeError: If the dtype is not numeric, or the content is not bytes.
        ValueError: If the number of bytes does not match the dtype.

    Example:
        >>> numpy_scalar(PickledObject(_DTYPE, ("f8",), (3, "<", None, None, None, -1, -1, 0)), b"\0\0\0\0\0\0\xe0?")
        0.5
    """
    return _numbers(dtype, content, 1)[0].item()


def numpy_array(*_: Any) -> PickledObject:
    """Return the placeholder of an array; the pickle sets its content later, as its state."""
    return PickledObject(_ARRAY)


def numpy_array_from_buffer(content: Any, dtype: Any, shape: Any, order: Any) -> PickledObject:
    """Return the placeholder of an array that was written with pickle protocol 5."""
    return PickledObject(_ARRAY, state=(1, shape, dtype, order == "F", content))


def array_values(array: PickledObject) -> Any:
    """Return the numbers of an array as nested lists, or the number itself if the array has one element.

    Raises:
        TypeError: If the object is not an array, or the array is not numeric.
        ValueError: If the array has more than 10,000 numbers, or its content does not match its shape.
    """
    if array.type is not _ARRAY or not isinstance(array.state, tuple) or len(array.state) != 5:
        raise TypeError("the object is not a numpy array")
    _, shape, dtype, column_major, content = array.state
    if not isinstance(shape, tuple) or not all(type(side) is int and 0 <= side <= _MAX_NUMBERS for side in shape):
        raise TypeError("a numpy array has no valid shape")
    if len(shape) > _MAX_AXES or math.prod(shape) > _MAX_NUMBERS:
        raise ValueError(f"a numpy array has more than {_MAX_NUMBERS:,} numbers")
    values = _numbers(dtype, content, math.prod(shape))
    return values.item() if values.size == 1 else values.reshape(shape, order="F" if column_major else "C").tolist()


def _numbers(dtype: Any, content: Any, count: int) -> np.ndarray:
    if not isinstance(dtype, PickledObject) or dtype.type is not _DTYPE or not isinstance(content, bytes | bytearray):
        raise TypeError("a numpy number has no dtype")
    code = dtype.arguments[0]
    if not isinstance(code, str) or not _NUMERIC.fullmatch(code):
        raise TypeError("a numpy value is not numeric")
    state = dtype.state if isinstance(dtype.state, tuple) else ()
    order = ">" if len(state) > 1 and state[1] == ">" else "<"
    numeric = np.dtype(order + code)
    if len(content) != count * numeric.itemsize:
        raise ValueError("the length of a numpy value does not match its dtype")
    return np.frombuffer(content, numeric)
