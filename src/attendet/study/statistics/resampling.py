"""One exact method for test and interval of a mean paired difference: sign flips, and their inversion."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

Floats = NDArray[np.float64]
Method = Literal["sign flips", "Student's t"]

ALPHA = 0.05
# From this number of differences on, a sign-flip interval of 95 % exists: 2/2^6 is the first floor below 0.05.
MIN_EXACT = 6
# Up to this number of differences all 2^n sign choices are counted; beyond it, signs are drawn at random.
MAX_EXACT = 30
# Up to this number of differences the means of all subsets are listed; beyond it, the interval is found by bisection.
MAX_LISTED = 14
DRAWN_SIGNS = 2**17
# Relative tolerance: sums of the same numbers in another order differ in their last digits.
TOLERANCE = 1e-9
BISECTIONS = 60


@dataclass(frozen=True)
class Interval:
    """A confidence interval of a mean difference.

    Attributes:
        low: Lower end.
        high: Upper end.
        method: How the interval was computed.
    """

    low: float
    high: float
    method: Method


def sign_flip_p(differences: ArrayLike) -> Floats:
    """Return the two-sided p-value of the sign-flip test of paired differences.

    If the two runs of a pair are equally good, the sign of each difference is arbitrary. p is the fraction of all 2^n
    sign choices whose mean is at least as far from 0 as the observed mean, which is one of them: Fisher's randomization
    test ("The Design of Experiments", 1935, §21). The test assumes that differences are distributed symmetrically, but
    no normal distribution, and its false-positive rate never exceeds the nominal one.

    It is exact up to 30 differences: the sums of both halves are listed and combined (meet in the middle). Beyond,
    signs are drawn at random, with a fixed seed. The order of the differences has no effect.

    Args:
        differences: Paired differences (..., n), n at least 1.

    Returns:
        p-values (...), 0-1.

    Example:
        >>> float(sign_flip_p([1.0, 2.0, 3.0])), float(sign_flip_p([1.0, 2.0, -1.0]))
        (0.25, 0.75)
    """
    values = np.asarray(differences, dtype=np.float64)
    flat = values.reshape(-1, values.shape[-1])
    return np.array([_drawn_p(study)(0.0) if study.size > MAX_EXACT else _exact_p(study) for study in flat]).reshape(
        values.shape[:-1]
    )


def p_floor(count: int) -> float:
    """Return the smallest p-value that `count` pairs can reach, which is 2/2^n: all differences have the same sign.

    Example:
        >>> [round(p_floor(count), 3) for count in (1, 4, 5, 6)]
        [1.0, 0.125, 0.062, 0.031]
    """
    return 2 / 2**count if count <= MAX_EXACT else 1 / (DRAWN_SIGNS + 1)


def mean_interval(differences: ArrayLike, confidence: float = 1 - ALPHA) -> Interval | None:
    """Return the confidence interval of the mean of paired differences, or None for fewer than two differences.

    The interval holds every value θ that the sign-flip test of the differences minus θ does not reject, so it excludes
    0 exactly if the p-value is at most 0.05. Its ends are means of subsets of the differences: with α = 1 - confidence
    and k = ⌊α/2 · 2ⁿ⌋, the k-th smallest and the k-th largest of the means of all 2ⁿ - 1 subsets (Hartigan, "Using
    Subsample Values as Typical Values", 1969). The differences are assumed to be distributed symmetrically. Where too
    few differences leave no k (fewer than six for 95 %), Student's t is used, which assumes a normal distribution.

    Args:
        differences: Paired differences (n,).
        confidence: Coverage, 0-1.

    Example:
        >>> interval = mean_interval([0.010, 0.020, 0.015, 0.030, 0.005, 0.012])
        >>> interval.low, interval.high, interval.method
        (0.005, 0.03, 'sign flips')
        >>> mean_interval([0.01, 0.02, 0.03]).method
        "Student's t"
    """
    values = np.asarray(differences, dtype=np.float64)
    alpha = 1 - confidence
    if values.size < 2:
        return None
    if values.size < MIN_EXACT or p_floor(values.size) > alpha * (1 + TOLERANCE):
        return t_interval(values, confidence)
    if values.size <= MAX_LISTED:
        means = _subset_means(values)
        rank = int(alpha / 2 * 2**values.size + TOLERANCE)
        low, high = np.partition(means, (rank - 1, means.size - rank))[[rank - 1, means.size - rank]].tolist()
        noise = TOLERANCE * float(np.abs(values).mean())
        return Interval(_near_zero(low, noise), _near_zero(high, noise), "sign flips")

    p_at = _drawn_p(values) if values.size > MAX_EXACT else lambda center: _exact_p(values - center)

    def reject(center: float) -> bool:
        return p_at(center) <= alpha * (1 + TOLERANCE)

    mean = float(values.mean())
    low, high = (accepted_end(reject, mean, end) for end in (float(values.min()), float(values.max())))
    return Interval(low, high, "sign flips")


def t_interval(differences: ArrayLike, confidence: float = 1 - ALPHA) -> Interval:
    """Return the interval of Student's t for the mean of at least two differences."""
    values = np.asarray(differences, dtype=np.float64)
    half = float(stats.t.ppf((1 + confidence) / 2, values.size - 1) * stats.sem(values))
    mean = float(values.mean())
    return Interval(mean - half, mean + half, "Student's t")


def accepted_end(reject: Callable[[float], bool], inside: float, outside: float) -> float:
    """Return the end of an interval of accepted values, by bisection.

    Args:
        reject: Whether a value is rejected.
        inside: A value that is accepted.
        outside: A value beyond the end. If it is accepted as well, it is returned.
    """
    if not reject(outside):
        return outside
    for _ in range(BISECTIONS):
        middle = (inside + outside) / 2
        inside, outside = (inside, middle) if reject(middle) else (middle, outside)
    return inside


def _exact_p(study: Floats) -> float:
    threshold = abs(float(study.sum())) - TOLERANCE * float(np.abs(study).sum())
    if threshold <= 0:
        return 1.0
    magnitudes = np.sort(np.abs(study))
    left, right = _signed_sums(magnitudes[::2]), np.sort(_signed_sums(magnitudes[1::2]))
    reached = right.size - np.searchsorted(right, threshold - left)
    # By symmetry, as many sums are at most minus the threshold.
    return float(2 * reached.sum() / 2.0**study.size)


def _drawn_p(study: Floats) -> Callable[[float], float]:
    """Return the p-value of the differences minus a value, as a function of the value, from signs drawn at random."""
    generator = np.random.default_rng(0)
    sums, counts = np.zeros(DRAWN_SIGNS), np.zeros(DRAWN_SIGNS)
    # Sorted, so that the order of the seeds has no effect.
    for difference in np.sort(study):
        signs = 2.0 * generator.integers(0, 2, DRAWN_SIGNS) - 1
        sums, counts = sums + signs * difference, counts + signs

    def p_at(center: float) -> float:
        size = float(np.abs(study - center).sum())
        threshold = abs(float((study - center).sum())) - TOLERANCE * size
        # Signs that are drawn at random may not include the observed ones; without these, p could be 0.
        return float(((np.abs(sums - center * counts) >= threshold).sum() + 1) / (DRAWN_SIGNS + 1))

    return p_at


def _signed_sums(values: Floats) -> Floats:
    """Return the sums (2^n,) of the values with all choices of their signs."""
    sums = np.zeros(1)
    for value in values:
        sums = np.concatenate([sums + value, sums - value])
    return sums


def _subset_means(values: Floats) -> Floats:
    """Return the means (2^n - 1,) of all subsets except the empty one."""
    sums, sizes = np.zeros(1), np.zeros(1)
    for value in values:
        sums, sizes = np.concatenate([sums, sums + value]), np.concatenate([sizes, sizes + 1])
    return sums[1:] / sizes[1:]


def _near_zero(value: float, noise: float) -> float:
    """Return 0 for a rounding error, because the p-value of such a study counts it as a tie."""
    return 0.0 if abs(value) <= noise else value
