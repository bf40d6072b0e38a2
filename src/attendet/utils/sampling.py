"""A few of many, evenly chosen."""

from __future__ import annotations

import numpy as np


def evenly_spaced(count: int, most: int) -> list[int]:
    """Return the numbers of at most so many things out of `count`, from the first to the last, as evenly as they go.

    Args:
        count: How many there are; 0 or more.
        most: How many are wanted; of one, the first is taken.

    Example:
        >>> evenly_spaced(9, 3), evenly_spaced(10, 4), evenly_spaced(2, 8)
        ([0, 4, 8], [0, 3, 6, 9], [0, 1])
    """
    return np.linspace(0, count - 1, min(count, most)).round().astype(int).tolist()
