"""Resampling of a few paired differences: the exact sign-flip test and the studentized bootstrap interval."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from scipy.special import gammaln

Floats = NDArray[np.float64]
Method = Literal["studentized bootstrap", "Student's t"]

CONFIDENCE = 0.95
# Up to this number of differences all 2^n sign choices are enumerated; beyond it, the same number is drawn at random.
MAX_ENUMERATED = 14
# Up to this number of differences all resamples are enumerated (24,310 for nine); beyond it, they are drawn at random.
MAX_ENUMERATED_RESAMPLES = 9
DRAWN_RESAMPLES = 20_000
# Relative tolerance: sums of the same numbers in another order differ in their last digits.
TOLERANCE = 1e-9


def sign_flip_p(differences: ArrayLike) -> Floats:
    """Return the two-sided p-value of the sign-flip test of paired differences.

    If the two runs of a pair are equally good, the sign of each difference is arbitrary. p is the fraction of all 2^n
    sign choices whose mean is at least as far from 0 as the observed mean, which is one of them: Fisher's randomization
    test ("The Design of Experiments", 1935, §21). The test assumes no normal distribution, and its false-positive rate
    never exceeds the nominal one. It is exact up to 14 differences.

    Args:
        differences: Paired differences (..., n), n at least 1.

    Returns:
        p-values (...), 0-1.

    Example:
        >>> float(sign_flip_p([1.0, 2.0, 3.0])), float(sign_flip_p([1.0, 2.0, -1.0]))
        (0.25, 0.75)
    """
    values = np.asarray(differences, dtype=np.float64)
    count = values.shape[-1]
    drawn = count > MAX_ENUMERATED
    signs = _random_signs(count) if drawn else _all_signs(count)
    flat = values.reshape(-1, count)
    # One study at a time, because 2,000 studies of 14 pairs at once would take another 131 MB.
    p_values = np.array([_fraction_as_extreme(study, signs, add_observed=drawn) for study in flat])
    return p_values.reshape(values.shape[:-1])


def p_floor(count: int) -> float:
    """Return the smallest p-value that `count` pairs can reach, which is 2/2^n: all differences have the same sign.

    Example:
        >>> [round(p_floor(count), 3) for count in (1, 4, 5, 6)]
        [1.0, 0.125, 0.062, 0.031]
    """
    return 2 / 2**count if count <= MAX_ENUMERATED else 1 / (2 ** (MAX_ENUMERATED - 1) + 1)


@dataclass(frozen=True)
class Interval:
    """A 95 % confidence interval of a mean difference.

    Attributes:
        low: Lower end.
        high: Upper end.
        method: How the interval was computed.
    """

    low: float
    high: float
    method: Method


def mean_interval(differences: ArrayLike) -> Interval | None:
    """Return the 95 % confidence interval of the mean of paired differences, or None for fewer than two differences.

    The method is `studentized_interval`, which is finite for most sets of at least four differences. If it is infinite
    (fewer than four differences, or too many ties), Student's t is used, which assumes normally distributed
    differences.

    Args:
        differences: Paired differences (n,).

    Example:
        >>> interval = mean_interval([0.010, 0.020, 0.015, 0.030, 0.005, 0.012])
        >>> round(interval.low, 4), round(interval.high, 4), interval.method
        (0.0082, 0.0288, 'studentized bootstrap')
        >>> mean_interval([0.01, 0.02, 0.03]).method
        "Student's t"
    """
    values = np.asarray(differences, dtype=np.float64)
    if values.size < 2:
        return None
    low, high = studentized_interval(values)
    if np.isfinite(low) and np.isfinite(high):
        return Interval(float(low), float(high), "studentized bootstrap")
    half = stats.t.ppf((1 + CONFIDENCE) / 2, values.size - 1) * stats.sem(values)
    return Interval(float(values.mean() - half), float(values.mean() + half), "Student's t")


def studentized_interval(differences: ArrayLike) -> tuple[Floats, Floats]:
    """Return the 95 % interval of the mean by the studentized bootstrap, also called bootstrap-t.

    The mean of each resample is divided by the standard error of that resample (Efron and Tibshirani, "An Introduction
    to the Bootstrap", 1993, §12.5). This keeps the coverage with few differences: for six normally distributed
    differences, percentile intervals cover the true mean in 85 % of studies instead of 95 %, BCa intervals in 87 %, and
    studentized intervals in 94.5 %. Up to nine differences, all resamples are enumerated with their probabilities, so
    the interval is deterministic.

    Args:
        differences: Paired differences (..., n), n at least 2.

    Returns:
        Lower and upper ends, (...) each. An end is infinite if resamples without any spread are too likely.
    """
    values = np.asarray(differences, dtype=np.float64)
    count = values.shape[-1]
    counts, weights = _resamples(count)
    mean, error = values.mean(-1), values.std(-1, ddof=1) / np.sqrt(count)
    # Center and scale first, so that differences far from 0 keep their digits.
    scale = np.where(error > 0, error, 1.0)
    centered = (values - mean[..., None]) / scale[..., None]
    means = centered @ counts.T / count
    errors = np.sqrt(np.maximum(centered**2 @ counts.T / count - means**2, 0) / (count - 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        studentized = np.where(errors > TOLERANCE, means / errors, np.sign(means) * np.inf)
    studentized = np.where(np.abs(means) <= TOLERANCE, 0.0, studentized)
    tail = (1 - CONFIDENCE) / 2
    with np.errstate(invalid="ignore"):
        low = np.where(error > 0, mean - error * _quantile(studentized, weights, 1 - tail), mean)
        high = np.where(error > 0, mean + error * _quantile(-studentized, weights, 1 - tail), mean)
    return low, high


def _all_signs(count: int) -> Floats:
    """Return all sign choices (2^(n-1), n) with the first sign fixed: flipping all signs keeps the distance from 0."""
    rest = np.array(list(itertools.product((1.0, -1.0), repeat=count - 1))).reshape(2 ** (count - 1), count - 1)
    return np.hstack([np.ones((len(rest), 1)), rest])


def _random_signs(count: int) -> Floats:
    return np.random.default_rng(0).choice((1.0, -1.0), size=(2 ** (MAX_ENUMERATED - 1), count))


def _fraction_as_extreme(study: Floats, signs: Floats, *, add_observed: bool) -> float:
    observed = abs(study.sum())
    as_extreme = np.abs(signs @ study) >= observed - TOLERANCE * np.abs(study).sum()
    # Signs that are drawn at random may not include the observed ones; without these, p could be 0.
    return float((as_extreme.sum() + add_observed) / (len(signs) + add_observed))


def _resamples(count: int) -> tuple[Floats, Floats]:
    """Return the counts of each difference in each resample (m, n), and the probability of each resample (m,)."""
    if count > MAX_ENUMERATED_RESAMPLES:
        drawn = np.random.default_rng(0).multinomial(count, np.full(count, 1 / count), size=DRAWN_RESAMPLES)
        return drawn.astype(np.float64), np.full(DRAWN_RESAMPLES, 1 / DRAWN_RESAMPLES)
    chosen = np.array(list(itertools.combinations_with_replacement(range(count), count)))
    counts = (chosen[:, :, None] == np.arange(count)).sum(1).astype(np.float64)
    logs = gammaln(count + 1) - gammaln(counts + 1).sum(1) - count * np.log(count)
    return counts, np.exp(logs)


def _quantile(values: Floats, weights: Floats, probability: float) -> Floats:
    """Return the weighted quantile along the last axis: the smallest value with at least this cumulative weight."""
    order = values.argsort(-1)
    reached = weights[order].cumsum(-1) >= probability - TOLERANCE
    first = reached.argmax(-1)[..., None]
    return np.take_along_axis(np.take_along_axis(values, order, -1), first, -1)[..., 0]
