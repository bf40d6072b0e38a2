"""What seeds say about arms: means and spreads, paired differences, and p-values of several comparisons at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from attendet.study.statistics.resampling import Interval, mean_interval, p_floor, sign_flip_p

ALPHA = 0.05


@dataclass(frozen=True)
class SeedSummary:
    """A few numbers, one per seed.

    Attributes:
        n: How many.
        mean: Their mean.
        spread: Their standard deviation (n - 1 in the denominator); None for one.
        low: The least.
        high: The greatest.
    """

    n: int
    mean: float
    spread: float | None
    low: float
    high: float


@dataclass(frozen=True)
class PairedDifference:
    """One arm minus another, seed by seed.

    Attributes:
        seeds: Those that both arms have, in order.
        differences: One per seed.
        difference: Their mean.
        spread: Their standard deviation; None for one seed.
        interval: Of the mean difference, 95 %; None for one seed.
        p: Of the sign-flip test, two-sided.
        p_floor: The least p that so many seeds can have.
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
    def ends(self) -> tuple[float, float] | None:
        """The interval's ends."""
        return (self.interval.low, self.interval.high) if self.interval else None


def summarize_seeds(values: Sequence[float]) -> SeedSummary | None:
    """Return mean and spread, or None of no values.

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
    """Return what seeds that both arms have say about their difference, or None where they have none in common.

    Args:
        arm: Scores by seed.
        against: Scores by seed of what it is compared with.

    Example:
        >>> found = paired_difference({0: 0.52, 1: 0.55, 2: 0.50}, {0: 0.50, 1: 0.50, 3: 0.49})
        >>> found.seeds, round(found.difference, 3), found.p, found.p_floor
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


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values adjusted for their number, in the same order.

    Of m p-values in ascending order the k-th is multiplied by m - k + 1, is no less than the ones before it, and at
    most 1 (Holm, "A Simple Sequentially Rejective Multiple Test Procedure", 1979). Then the chance that any of the arms
    that do nothing has an adjusted p of at most 0.05 is at most 0.05, however they depend on each other.

    Example:
        >>> holm([0.01, 0.04, 0.03])
        [0.03, 0.06, 0.06]
    """
    order = np.argsort(p_values, kind="stable")
    factors = np.arange(len(p_values), 0, -1)
    adjusted = np.minimum(np.maximum.accumulate(np.asarray(p_values)[order] * factors), 1.0)
    back = np.empty_like(adjusted)
    back[order] = adjusted
    return back.tolist()
