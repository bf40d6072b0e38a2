"""The mean difference over several data sets, tested by sign flips within each of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from attendet.study.statistics.resampling import (
    ALPHA,
    MIN_EXACT,
    TOLERANCE,
    Floats,
    Interval,
    accepted_end,
    sign_flip_p,
)


def weighted_differences(strata: Sequence[ArrayLike]) -> tuple[Floats, Floats]:
    """Return all differences and their weights (n,), so that the weighted sum is the mean of the means of the strata.

    Args:
        strata: Paired differences of each data set.

    Example:
        >>> values, weights = weighted_differences([[0.1, 0.3], [0.4]])
        >>> weights.tolist(), round(float(values @ weights), 3)
        ([0.25, 0.25, 0.5], 0.3)
    """
    arrays = [np.asarray(stratum, dtype=np.float64) for stratum in strata]
    weights = [np.full(array.size, 1 / (array.size * len(arrays))) for array in arrays]
    return np.concatenate(arrays), np.concatenate(weights)


def stratified_p(strata: Sequence[ArrayLike]) -> float:
    """Return the two-sided p-value of the mean difference over data sets that count equally.

    The signs of all differences are flipped, as in `sign_flip_p`, and the statistic is the mean of the means.

    Args:
        strata: Paired differences of each data set, each with at least one.

    Example:
        >>> stratified_p([[0.1, 0.2, 0.1], [0.3, 0.2, 0.1]])
        0.03125
    """
    values, weights = weighted_differences(strata)
    return float(sign_flip_p(values * weights))


def stratified_interval(strata: Sequence[ArrayLike], confidence: float = 1 - ALPHA) -> Interval | None:
    """Return the interval of the mean difference over data sets, or None for fewer than six differences in all.

    It holds every value θ that the test of the differences minus θ does not reject.

    Args:
        strata: Paired differences of each data set.
        confidence: Coverage, 0-1.

    Example:
        >>> interval = stratified_interval([[0.1, 0.2, 0.1], [0.3, 0.2, 0.1]])
        >>> round(interval.low, 3), round(interval.high, 3)
        (0.1, 0.3)
    """
    values, weights = weighted_differences(strata)
    if values.size < MIN_EXACT:
        return None
    alpha = (1 - confidence) * (1 + TOLERANCE)

    def reject(center: float) -> bool:
        return float(sign_flip_p((values - center) * weights)) <= alpha

    mean = float(values @ weights)
    low, high = (accepted_end(reject, mean, end) for end in (float(values.min()), float(values.max())))
    return Interval(low, high, "sign flips")
