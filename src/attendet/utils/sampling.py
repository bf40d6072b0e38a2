"""Evenly spaced selections."""

from __future__ import annotations

import numpy as np


def evenly_spaced(count: int, limit: int) -> list[int]:
    """Return at most `limit` indices out of `count`, evenly spaced from the first to the last.

    Args:
        count: Number of items, 0 or more.
        limit: Maximum number of indices, 0 or more; a limit of 1 selects the first item.

    Example:
        >>> evenly_spaced(9, 3), evenly_spaced(10, 4), evenly_spaced(2, 8)
        ([0, 4, 8], [0, 3, 6, 9], [0, 1])
    """
    return np.linspace(0, count - 1, min(count, limit)).round().astype(int).tolist()
