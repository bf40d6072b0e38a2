"""Tests and intervals of several arms together: step-down maxT with joint sign flips."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache, partial

import numpy as np
from numpy.typing import ArrayLike

from attendet.study.statistics.resampling import (
    ALPHA,
    MIN_EXACT,
    TOLERANCE,
    Floats,
    Interval,
    accepted_end,
    mean_interval,
    p_floor,
    sign_flip_p,
    t_interval,
)

# Up to this number of seeds all sign choices are enumerated; beyond it, DRAWN_CHOICES are drawn at random.
MAX_ENUMERATED = 20
DRAWN_CHOICES = 2**16
# The difference of two metrics in 0-1 is between -1 and 1.
BOUND = 1.0


def step_down_p(differences: ArrayLike) -> list[float]:
    """Return the p-value of each arm, adjusted for the number of arms.

    Westfall and Young's step-down maxT ("Resampling-Based Multiple Testing", 1993, §2.6) with sign flips: the statistic
    of an arm is T = |Σ d| / √(Σ d²), and all arms share the signs of a seed, so their correlation is kept. The largest
    T is compared with the largest T of all arms under each of the 2^n sign choices, the next one with the largest of
    the remaining arms, and p-values never decrease. The probability that any arm without an effect gets a p of at most
    0.05 is then at most 0.05, and the smallest p is 2/2^n for any number of arms.

    Args:
        differences: Paired differences (arms, seeds), NaN for seeds that an arm lacks.

    Returns:
        p-values, one for each arm, 0-1; 1 for an arm without differences.

    Example:
        >>> step_down_p([[0.01, 0.02, 0.01, 0.03, 0.02, 0.01], [0.01, -0.01, 0.02, 0.00, -0.02, 0.01]])
        [0.03125, 1.0]
    """
    values = as_matrix(differences)
    if len(values) == 1:
        return [_p_of_one(values[0])]
    statistics = max_t_statistics(values)
    adjusted = [1.0] * len(values)
    remaining, largest = list(np.argsort(-statistics[:, 0], kind="stable")), 0.0
    while remaining:
        first = remaining[0]
        largest = max(largest, joint_p(statistics[remaining], statistics[first, 0]))
        adjusted[first] = largest
        remaining = remaining[1:]
    return adjusted


def simultaneous_intervals(differences: ArrayLike, confidence: float = 1 - ALPHA) -> list[Interval | None]:
    """Return intervals that cover the mean differences of all arms together.

    The single-step maxT test is inverted: the interval of an arm holds every value θ for which T of its differences
    minus θ is not significant among all arms, whose differences are taken minus their own means, so that effects of
    other arms do not matter. Step-down p-values take the other arms as they are; `agree_with` makes both agree. With
    fewer than six seeds, Student's t with Bonferroni's correction is used.

    Args:
        differences: Paired differences (arms, seeds), NaN for seeds that an arm lacks.
        confidence: Coverage of all intervals together, 0-1.

    Returns:
        One interval for each arm; None for an arm with fewer than two differences.

    Example:
        >>> intervals = simultaneous_intervals([[0.01, 0.02, 0.01, 0.03, 0.02, 0.01], [0.01, 0, 0.02, 0, -0.02, 0.01]])
        >>> round(intervals[0].low, 3), round(intervals[0].high, 3)
        (0.007, 0.03)
    """
    values = as_matrix(differences)
    if len(values) == 1:
        return [mean_interval(values[0][np.isfinite(values[0])], confidence)]
    means = np.array([[row[np.isfinite(row)].mean() if np.isfinite(row).any() else 0.0] for row in values])
    centered = max_t_statistics(values - means)
    return [_simultaneous(values, centered, arm, confidence) for arm in range(len(values))]


def agree_with(interval: Interval | None, *, significant: bool, difference: float) -> Interval | None:
    """Let an interval agree with the step-down test near 0.

    An interval that contains 0 is cut at 0 if the test decided the sign of the difference, and an interval that
    excludes 0 is extended to 0 if the test did not.

    Args:
        interval: The interval.
        significant: Whether the test decided.
        difference: Mean difference.

    Example:
        >>> agree_with(Interval(-0.001, 0.02, "sign flips"), significant=True, difference=0.01).low
        0.0
        >>> agree_with(Interval(0.001, 0.02, "sign flips"), significant=False, difference=0.01).low
        0.0
    """
    if interval is None:
        return None
    if not significant:
        return Interval(min(interval.low, 0.0), max(interval.high, 0.0), interval.method)
    low, high = (max(interval.low, 0.0), interval.high) if difference > 0 else (interval.low, min(interval.high, 0.0))
    return Interval(low, high, interval.method)


def max_t_statistics(values: Floats, signs: Floats | None = None) -> Floats:
    """Return T of each arm under each sign choice, (arms, choices); the first choice is the observed one.

    Args:
        values: Paired differences (arms, seeds), NaN for seeds that an arm lacks.
        signs: Sign choices (choices, seeds) (default: `sign_choices`).
    """
    filled = np.nan_to_num(values)
    sums = filled @ (sign_choices(values.shape[1]) if signs is None else signs).T
    norms = np.sqrt((filled**2).sum(axis=1, keepdims=True))
    return np.divide(np.abs(sums), norms, out=np.zeros_like(sums), where=norms > 0)


def joint_p(statistics: Floats, observed: float) -> float:
    """Return the fraction of sign choices under which some arm has a T of at least `observed`.

    Args:
        statistics: T of each arm under each sign choice, (arms, choices).
        observed: The observed T.
    """
    if observed <= TOLERANCE:
        return 1.0
    return float((statistics.max(axis=0) >= observed * (1 - TOLERANCE)).mean())


@lru_cache(maxsize=4)
def sign_choices(count: int) -> Floats:
    """Return sign choices (choices, count) with the observed one, all plus, first.

    The first sign is fixed, because flipping all signs keeps T. Up to 20 seeds these are all 2^(count - 1) choices.
    """
    if count <= MAX_ENUMERATED:
        minuses = np.arange(2 ** max(0, count - 1))[:, None] >> np.arange(count)[::-1] & 1
    else:
        minuses = np.random.default_rng(0).integers(0, 2, (DRAWN_CHOICES, count))
        minuses[0] = 0
    signs = (1 - 2 * minuses).astype(np.float64)
    signs.setflags(write=False)
    return signs


def as_matrix(differences: ArrayLike | Sequence[Sequence[float]]) -> Floats:
    """Return differences as a matrix (arms, seeds)."""
    return np.atleast_2d(np.asarray(differences, dtype=np.float64))


def _p_of_one(values: Floats) -> float:
    known = values[np.isfinite(values)]
    return float(sign_flip_p(known)) if known.size else 1.0


def _simultaneous(values: Floats, centered: Floats, arm: int, confidence: float) -> Interval | None:
    known = np.isfinite(values[arm])
    own = values[arm][known]
    alpha = 1 - confidence
    if own.size < 2:
        return None
    if own.size < MIN_EXACT or p_floor(own.size) > alpha * (1 + TOLERANCE):
        return t_interval(own, 1 - alpha / len(values))
    others = np.delete(centered, arm, axis=0).max(axis=0)
    signs = sign_choices(values.shape[1])
    sums, counts = signs @ np.where(known, values[arm], 0.0), signs @ known.astype(np.float64)
    reject = partial(_is_rejected, own=own, sums=sums, counts=counts, others=others, alpha=alpha)
    mean = float(own.mean())
    low, high = (_end(reject, mean, direction * float(np.ptp(own) or abs(mean))) for direction in (-1, 1))
    return Interval(low, high, "sign flips")


def _is_rejected(center: float, own: Floats, sums: Floats, counts: Floats, others: Floats, alpha: float) -> bool:
    norm = float(np.sqrt(((own - center) ** 2).sum()))
    if norm == 0:
        return False
    shifted = np.abs(sums - center * counts) / norm
    observed = shifted[0] * (1 - TOLERANCE)
    return bool((np.maximum(shifted, others) >= observed).mean() <= alpha * (1 + TOLERANCE))


def _end(reject: Callable[[float], bool], mean: float, step: float) -> float:
    """Return the end of the accepted values in the direction of `step`, at most at the bound of a difference."""
    outside = mean + step
    while abs(outside) < BOUND and step and not reject(outside):
        step *= 2
        outside = mean + step
    bounded = float(np.clip(outside, -BOUND, BOUND))
    return accepted_end(reject, mean, bounded if abs(bounded - mean) > 0 else outside)
