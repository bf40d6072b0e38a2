"""Power of the sign-flip test: what a number of seeds can detect."""

from __future__ import annotations

import numpy as np
from scipy import stats

from attendet.errors import OptionError
from attendet.study.statistics.paired import ALPHA
from attendet.study.statistics.resampling import MAX_ENUMERATED, p_floor, sign_flip_p

POWER = 0.8
SIMULATED_STUDIES = 1000
# With more seeds, Student's t predicts the power of the sign-flip test to within 0.02.
MAX_SIMULATED_SEEDS = 12
MAX_EFFECT = 20.0
MAX_SEEDS = 200


def min_p_holm(count: int, comparisons: int = 1) -> float:
    """Return the smallest p_holm that `count` seeds can reach among `comparisons` comparisons: m · p_floor, at most 1.

    Example:
        >>> min_p_holm(6), min_p_holm(6, comparisons=5), min_p_holm(8, comparisons=5)
        (0.03125, 0.15625, 0.0390625)
    """
    return min(1.0, comparisons * p_floor(count))


def min_seeds(comparisons: int = 1, alpha: float = ALPHA) -> int:
    """Return the number of seeds from which p_holm can reach `alpha` at all.

    Args:
        comparisons: Number of arms that are compared with the baseline.
        alpha: False-positive rate.

    Raises:
        OptionError: If no number of seeds is enough. Beyond 14 seeds, signs are drawn at random, and the smallest
            p-value stays the same.

    Example:
        >>> min_seeds(), min_seeds(comparisons=5)
        (6, 8)
    """
    for count in range(1, MAX_ENUMERATED + 2):
        if min_p_holm(count, comparisons) <= alpha:
            return count
    raise OptionError(f"no number of seeds can decide {comparisons:,} comparisons", remedy="compare fewer arms")


def sign_flip_power(count: int, effect: float, comparisons: int = 1, alpha: float = ALPHA) -> float:
    """Return the probability that a study detects a true difference.

    Differences are assumed to be normally distributed. Up to 12 seeds, 1,000 studies are simulated with a fixed seed;
    beyond, Student's noncentral t is used at the significance level that the signs can attain.

    Args:
        count: Number of seeds.
        effect: True difference in standard deviations of the paired differences.
        comparisons: Number of arms that are compared. The difference counts as detected if it is significant after
            Holm's correction in the worst case, as the only one.
        alpha: False-positive rate.

    Returns:
        Power, 0-1, accurate to about 0.02.

    Example:
        >>> sign_flip_power(5, effect=10.0)
        0.0
        >>> round(sign_flip_power(6, effect=2.0), 1)
        0.9
    """
    level = alpha / comparisons
    if min_p_holm(count) > level:
        return 0.0
    if count <= MAX_SIMULATED_SEEDS:
        noise = np.random.default_rng(0).standard_normal((SIMULATED_STUDIES, count))
        return float((sign_flip_p(noise + effect) <= level).mean())
    steps = 2.0 ** (min(count, MAX_ENUMERATED) - 1)
    attained = np.floor(level * steps) / steps
    critical = stats.t.isf(attained / 2, count - 1)
    # The square of Student's t is F. scipy's noncentral t is NaN in the far tail of large effects.
    return float(stats.ncf.sf(critical**2, 1, count - 1, count * effect**2))


def smallest_detectable(count: int, comparisons: int = 1, alpha: float = ALPHA) -> float | None:
    """Return the smallest difference that 80 % of studies detect, or None if no difference can be detected.

    Args:
        count: Number of seeds.
        comparisons: Number of arms that are compared.
        alpha: False-positive rate.

    Returns:
        Difference in standard deviations of the paired differences.

    Example:
        >>> smallest_detectable(5) is None, round(smallest_detectable(6), 1), round(smallest_detectable(10), 1)
        (True, 1.8, 1.0)
    """
    if sign_flip_power(count, MAX_EFFECT, comparisons, alpha) < POWER:
        return None
    low, high = 0.0, MAX_EFFECT
    while high - low > 0.01:
        middle = (low + high) / 2
        low, high = (low, middle) if sign_flip_power(count, middle, comparisons, alpha) >= POWER else (middle, high)
    return high


def seeds_to_settle(effect: float, comparisons: int = 1, alpha: float = ALPHA) -> int | None:
    """Return the number of seeds with which 80 % of studies detect a difference, or None for more than 200.

    Args:
        effect: True difference in standard deviations of the paired differences.
        comparisons: Number of arms that are compared.
        alpha: False-positive rate.

    Example:
        >>> seeds_to_settle(1.0), seeds_to_settle(1.0, comparisons=5), seeds_to_settle(0.1)
        (10, 16, None)
    """
    counts = range(min_seeds(comparisons, alpha), MAX_SEEDS + 1)
    return next((count for count in counts if sign_flip_power(count, effect, comparisons, alpha) >= POWER), None)
