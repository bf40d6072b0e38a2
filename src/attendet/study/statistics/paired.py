"""Means over seeds, and paired differences between arms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from attendet.study.statistics.resampling import Interval, mean_interval, p_floor, sign_flip_p


@dataclass(frozen=True)
class SeedSummary:
    """Mean and spread of one number per seed.

    Attributes:
        n: Number of seeds.
        mean: Mean over the seeds.
        spread: Standard deviation over the seeds (n - 1 in the denominator); None for one seed.
        low: Smallest value.
        high: Largest value.
    """

    n: int
    mean: float
    spread: float | None
    low: float
    high: float


@dataclass(frozen=True)
class PairedDifference:
    """The difference between two arms, seed by seed.

    Attributes:
        seeds: Seeds that both arms have, in ascending order.
        differences: Score of the arm minus score of the other arm, for each seed.
        difference: Mean of the differences.
        spread: Standard deviation of the differences; None for one seed.
        interval: 95 % confidence interval of the mean difference; None for one seed.
        p: Two-sided p-value of the sign-flip test.
        p_floor: Smallest p-value that this number of seeds can reach.
    """

    seeds: tuple[int, ...]
    differences: tuple[float, ...]
    difference: float
    spread: float | None
    interval: Interval | None
    p: float
    p_floor: float

    @property
    def n(self) -> int:
        """Number of pairs."""
        return len(self.seeds)

    @property
    def standard_error(self) -> float | None:
        """Standard error of the mean difference; None for one seed."""
        return None if self.spread is None else self.spread / self.n**0.5

    @property
    def ends(self) -> tuple[float, float] | None:
        """Lower and upper end of the interval."""
        return (self.interval.low, self.interval.high) if self.interval else None


def summarize_seeds(values: Sequence[float]) -> SeedSummary | None:
    """Return mean and spread of one value per seed, or None without values.

    Example:
        >>> summarize_seeds([0.4, 0.5, 0.6]).mean, summarize_seeds([0.4]).spread, summarize_seeds([])
        (0.5, None, None)
    """
    if not values:
        return None
    array = np.asarray(values, dtype=np.float64)
    spread = float(array.std(ddof=1)) if len(values) > 1 else None
    return SeedSummary(len(values), float(array.mean()), spread, float(array.min()), float(array.max()))


def paired_difference(arm: Mapping[int, float], against: Mapping[int, float]) -> PairedDifference | None:
    """Compare two arms on the seeds that both have, or return None if they share no seed.

    Args:
        arm: Scores of the arm, by seed.
        against: Scores of the arm that it is compared with, by seed.

    Example:
        >>> paired = paired_difference({0: 0.52, 1: 0.55, 2: 0.50}, {0: 0.50, 1: 0.50, 3: 0.49})
        >>> paired.seeds, round(paired.difference, 3), paired.p, paired.p_floor
        ((0, 1), 0.035, 0.5, 0.5)
    """
    seeds = tuple(sorted(arm.keys() & against.keys()))
    if not seeds:
        return None
    differences = np.array([arm[seed] - against[seed] for seed in seeds])
    return PairedDifference(
        seeds=seeds,
        differences=tuple(differences.tolist()),
        difference=float(differences.mean()),
        spread=float(differences.std(ddof=1)) if len(seeds) > 1 else None,
        interval=mean_interval(differences),
        p=float(sign_flip_p(differences)),
        p_floor=p_floor(len(seeds)),
    )


def share_interval(count: int, total: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return the interval of a probability from a count (Clopper and Pearson, Biometrika, 1934).

    Args:
        count: How often it happened.
        total: How often it could have happened, at least 1.
        confidence: Smallest coverage, 0-1.

    Example:
        >>> low, high = share_interval(6, 8)
        >>> round(low, 2), round(high, 2)
        (0.35, 0.97)
    """
    interval = stats.binomtest(count, total).proportion_ci(confidence, method="exact")
    return float(interval.low), float(interval.high)
