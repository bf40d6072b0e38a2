"""What a number of seeds can find, before they are spent: power of the sign-flip test."""

from __future__ import annotations

import numpy as np
from scipy import stats

from attendet.errors import OptionError
from attendet.study.statistics.paired import ALPHA
from attendet.study.statistics.resampling import LARGEST_ENUMERATED, p_floor, sign_flip_p

POWER = 0.8
SIMULATED = 1000
# Beyond it Student's t predicts the sign-flip test within two hundredths.
LARGEST_SIMULATED = 12
LARGEST_EFFECT = 20.0
MOST_SEEDS = 200


def least_alpha(count: int, comparisons: int = 1) -> float:
    """Return the least p_holm that so many seeds can give the best of so many comparisons: m · p_floor, at most 1.

    Example:
        >>> least_alpha(6), least_alpha(6, comparisons=5), least_alpha(8, comparisons=5)
        (0.03125, 0.15625, 0.0390625)
    """
    return min(1.0, comparisons * p_floor(count))


def least_seeds(comparisons: int = 1, alpha: float = ALPHA) -> int:
    """Return how many seeds it takes until p_holm can reach `alpha` at all, whatever the difference.

    Raises:
        OptionError: If no number of them can: signs that are drawn at random have a least p of their own.

    Example:
        >>> least_seeds(), least_seeds(comparisons=5)
        (6, 8)
    """
    # Beyond that the least p stays as it is.
    for count in range(1, LARGEST_ENUMERATED + 2):
        if least_alpha(count, comparisons) <= alpha:
            return count
    raise OptionError(f"no number of seeds can decide {comparisons:,} comparisons", remedy="compare fewer arms")


def sign_flip_power(count: int, effect: float, comparisons: int = 1, alpha: float = ALPHA) -> float:
    """Return the probability that a true difference is found.

    Differences are taken to be normally distributed. Up to 12 seeds 1,000 studies are simulated, the same ones every
    time; beyond, Student's noncentral t is taken, at the level that so many signs can attain.

    Args:
        count: Seeds.
        effect: The true difference, as a multiple of the standard deviation of the paired differences.
        comparisons: How many arms are compared; found is what stays at `alpha` after Holm in the worst case, alone.
        alpha: False-positive rate.

    Returns:
        In 0-1; accurate to about 0.02.

    Example:
        >>> sign_flip_power(5, effect=10.0)
        0.0
        >>> round(sign_flip_power(6, effect=2.0), 1)
        0.9
    """
    level = alpha / comparisons
    if least_alpha(count) > level:
        return 0.0
    if count <= LARGEST_SIMULATED:
        noise = np.random.default_rng(0).standard_normal((SIMULATED, count))
        return float((sign_flip_p(noise + effect) <= level).mean())
    steps = 2.0 ** (min(count, LARGEST_ENUMERATED) - 1)
    attained = np.floor(level * steps) / steps
    critical = stats.t.isf(attained / 2, count - 1)
    # Student's t, squared, is F; scipy's noncentral t itself is NaN in the far tail of large effects.
    return float(stats.ncf.sf(critical**2, 1, count - 1, count * effect**2))


def smallest_detectable(count: int, comparisons: int = 1, alpha: float = ALPHA) -> float | None:
    """Return the smallest difference that is found in 80 % of studies, or None where none can be.

    Args:
        count: Seeds.
        comparisons: How many arms are compared.
        alpha: False-positive rate.

    Returns:
        As a multiple of the standard deviation of the paired differences.

    Example:
        >>> smallest_detectable(5) is None, round(smallest_detectable(6), 1), round(smallest_detectable(10), 1)
        (True, 1.8, 1.0)
    """
    if sign_flip_power(count, LARGEST_EFFECT, comparisons, alpha) < POWER:
        return None
    low, high = 0.0, LARGEST_EFFECT
    while high - low > 0.01:
        middle = (low + high) / 2
        low, high = (low, middle) if sign_flip_power(count, middle, comparisons, alpha) >= POWER else (middle, high)
    return high


def seeds_to_settle(effect: float, comparisons: int = 1, alpha: float = ALPHA) -> int | None:
    """Return how many seeds find a difference in 80 % of studies, or None for more than 200.

    Args:
        effect: The true difference, as a multiple of the standard deviation of the paired differences.
        comparisons: How many arms are compared.
        alpha: False-positive rate.

    Example:
        >>> seeds_to_settle(1.0), seeds_to_settle(1.0, comparisons=5), seeds_to_settle(0.1)
        (10, 16, None)
    """
    counts = range(least_seeds(comparisons, alpha), MOST_SEEDS + 1)
    return next((count for count in counts if sign_flip_power(count, effect, comparisons, alpha) >= POWER), None)
