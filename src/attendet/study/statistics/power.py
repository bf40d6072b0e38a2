"""Power by simulation: what a number of seeds can show, and whether more of them would decide a comparison."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from attendet.study.statistics.joint_tests import sign_choices
from attendet.study.statistics.resampling import ALPHA, MIN_EXACT, TOLERANCE, Floats, p_floor
from attendet.study.statistics.sequential import look_levels

Question: TypeAlias = Literal["difference", "no difference"]

POWER = 0.8
SIMULATED_STUDIES = 400
# Sign choices of a simulated study; up to this many, all of them are enumerated.
SIMULATED_CHOICES = 1024
MAX_EFFECT = 20.0
MAX_SEEDS = 200
# The differences of two arms share the runs of the baseline.
CORRELATION = 0.5
# Simulated statistics of a block, which bounds the memory.
BLOCK = 4_000_000


def min_seeds(alpha: float = ALPHA) -> int:
    """Return the number of seeds from which p can reach `alpha` at all, for any number of arms.

    Example:
        >>> min_seeds(), min_seeds(alpha=0.01)
        (6, 8)
    """
    return next(count for count in range(1, MAX_SEEDS) if p_floor(count) <= alpha)


def study_power(
    count: int,
    effect: float,
    comparisons: int = 1,
    alpha: float = ALPHA,
    *,
    question: Question = "difference",
    margin: float = 0.0,
) -> float:
    """Return the probability that a study answers a question about one of its arms.

    400 studies are simulated with a fixed seed. Differences are normally distributed, and differences of two arms
    correlate with 0.5, because they share the baseline. The other arms have no effect.

    Args:
        count: Number of seeds.
        effect: True difference of the arm in standard deviations of the paired differences.
        comparisons: Number of arms that are compared.
        alpha: False-positive rate over all arms.
        question: `difference`: the arm is found to help or hurt. `no difference`: its interval of confidence 1 -
            2·alpha is within ± margin.
        margin: Smallest difference that matters, in the same unit as `effect`.

    Returns:
        Power, 0-1, with a standard error of at most 0.025.

    Example:
        >>> study_power(5, effect=10.0)
        0.0
        >>> round(study_power(6, effect=2.0), 1)
        0.9
    """
    studies = _simulated(count, comparisons)
    studies[:, 0] += effect
    return float(_answered(studies, alpha, question, margin).mean())


def smallest_detectable(count: int, comparisons: int = 1, alpha: float = ALPHA) -> float | None:
    """Return the smallest difference that 80 % of studies detect, or None if no difference can be detected.

    Args:
        count: Number of seeds.
        comparisons: Number of arms that are compared.
        alpha: False-positive rate over all arms.

    Returns:
        Difference in standard deviations of the paired differences.

    Example:
        >>> smallest_detectable(5) is None, round(smallest_detectable(6), 1), round(smallest_detectable(10), 1)
        (True, 1.8, 1.0)
    """
    if p_floor(count) > alpha:
        return None

    def enough(effect: float) -> bool:
        return study_power(count, effect, comparisons, alpha) >= POWER

    return _smallest(enough)


def smallest_margin(count: int, comparisons: int = 1, alpha: float = ALPHA) -> float | None:
    """Return the smallest margin within which 80 % of studies find an arm that makes no difference.

    Args:
        count: Number of seeds.
        comparisons: Number of arms that are compared.
        alpha: False-positive rate over all arms.

    Returns:
        Margin in standard deviations of the paired differences, or None if no margin is enough.

    Example:
        >>> smallest_margin(4) is None, round(smallest_margin(8), 1)
        (True, 1.2)
    """
    if count < MIN_EXACT or p_floor(count) > 2 * alpha:
        return None

    def enough(margin: float) -> bool:
        return study_power(count, 0.0, comparisons, alpha, question="no difference", margin=margin) >= POWER

    return _smallest(enough)


def seeds_for(
    effect: float, comparisons: int = 1, alpha: float = ALPHA, question: Question = "difference"
) -> int | None:
    """Return the number of seeds with which 80 % of studies answer a question, or None for more than 200.

    Args:
        effect: In standard deviations of the paired differences, the true difference, or for `no difference` the
            smallest difference that matters.
        comparisons: Number of arms that are compared.
        alpha: False-positive rate over all arms.
        question: As in `study_power`.

    Example:
        >>> seeds_for(1.0), seeds_for(1.0, question="no difference"), seeds_for(0.1)
        (11, 11, None)
    """

    def power(count: int) -> float:
        if question == "difference":
            return study_power(count, effect, comparisons, alpha)
        return study_power(count, 0.0, comparisons, alpha, question=question, margin=effect)

    low, high = MIN_EXACT - 1, MAX_SEEDS
    if power(high) < POWER:
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power(middle) >= POWER else (middle, high)
    return high


def looks_power(looks: Sequence[int], effect: float, comparisons: int = 1, alpha: float = ALPHA) -> tuple[float, float]:
    """Return the power of a study that stops at the first look that detects a difference, and its seeds on average.

    Args:
        looks: Numbers of seeds of the looks, ascending.
        effect: True difference of the arm in standard deviations of the paired differences.
        comparisons: Number of arms that are compared.
        alpha: False-positive rate over all arms and looks.

    Example:
        >>> power, seeds = looks_power([6, 8, 10, 12], effect=2.0)
        >>> power > 0.95, seeds < 10
        (True, True)
    """
    studies = _simulated(looks[-1], comparisons)
    studies[:, 0] += effect
    # Levels of differences without ties; the enumeration of more seeds would take too long for a forecast.
    sample = np.random.default_rng(0).standard_normal((1, looks[-1]))
    levels = look_levels(sample, looks, looks[-1], alpha)
    ends = np.full(len(studies), looks[-1])
    found = np.zeros(len(studies), dtype=bool)
    for look, level in zip(looks, levels, strict=True):
        now = ~found & (_p_of_first(studies[..., :look], 0.0) <= level * (1 + TOLERANCE))
        ends[now] = look
        found |= now
    return float(found.mean()), float(ends.mean())


def settle_probability(
    differences: ArrayLike,
    total: int,
    comparisons: int = 1,
    alpha: float = ALPHA,
    matters: float | None = None,
) -> float:
    """Return the probability that a comparison is decided with more seeds, given the differences so far.

    The predictive probability of Bayesian statistics (Spiegelhalter, Freedman, and Blackburn, "Monitoring Clinical
    Trials: Conditional or Predictive Power?", Controlled Clinical Trials, 1986) with a flat prior: mean and spread are
    drawn from their posterior, new seeds are drawn from them, and all seeds are tested together.

    Args:
        differences: Paired differences so far (n,), n at least 2.
        total: Number of seeds then, larger than n.
        comparisons: Number of arms that are compared; the others are simulated without an effect.
        alpha: False-positive rate over all arms.
        matters: Smallest difference that matters. If it is given, showing that the difference is smaller also decides.

    Returns:
        Probability, 0-1, with a standard error of at most 0.025.

    Example:
        >>> settle_probability([0.010, 0.020, 0.015, 0.030, 0.005], total=10) > 0.9
        True
    """
    observed = np.asarray(differences, dtype=np.float64)
    count, spread = observed.size, float(observed.std(ddof=1))
    if spread == 0:
        return float(bool(observed.any()) and p_floor(total) <= alpha)
    generator = np.random.default_rng(1)
    spreads = spread * np.sqrt((count - 1) / generator.chisquare(count - 1, SIMULATED_STUDIES))
    means = observed.mean() + spreads / np.sqrt(count) * generator.standard_normal(SIMULATED_STUDIES)
    studies = _simulated(total, comparisons)
    new = means[:, None] + spreads[:, None] * studies[:, 0, count:]
    studies[:, 0] = np.hstack([np.tile(observed, (SIMULATED_STUDIES, 1)), new]) / spread
    decided = _answered(studies, alpha, "difference", 0.0)
    if matters is not None:
        decided |= _answered(studies, alpha, "no difference", matters / spread)
    return float(decided.mean())


def _simulated(count: int, comparisons: int) -> Floats:
    """Return differences (studies, comparisons, count) without an effect, with mean 0 and standard deviation 1."""
    generator = np.random.default_rng(0)
    own = generator.standard_normal((SIMULATED_STUDIES, comparisons, count))
    shared = generator.standard_normal((SIMULATED_STUDIES, 1, count))
    return np.sqrt(1 - CORRELATION) * own + np.sqrt(CORRELATION) * shared if comparisons > 1 else own


def _answered(studies: Floats, alpha: float, question: Question, margin: float) -> np.ndarray:
    """Return (studies,) bool: whether the question about the first arm is answered."""
    if question == "difference":
        return _p_of_first(studies, 0.0) <= alpha * (1 + TOLERANCE)
    mean = studies[:, 0].mean(axis=-1)
    ends = [_p_of_first(studies, end) <= 2 * alpha * (1 + TOLERANCE) for end in (-margin, margin)]
    return (np.abs(mean) < margin) & ends[0] & ends[1]


def _p_of_first(studies: Floats, center: float) -> Floats:
    """Return the single-step maxT p-value (studies,) of the first arm minus a value, for many studies at once."""
    shifted = studies.copy()
    shifted[:, 0] -= center
    signs = _choices(studies.shape[-1])
    return np.concatenate([_block_p(block, signs) for block in _blocks(shifted, len(signs))])


def _block_p(block: Floats, signs: Floats) -> Floats:
    norms = np.sqrt((block**2).sum(axis=-1, keepdims=True))
    statistics = np.abs(block @ signs.T) / np.where(norms > 0, norms, 1.0)
    observed = statistics[:, 0, :1] * (1 - TOLERANCE)
    return (statistics.max(axis=1) >= observed).mean(axis=-1)


def _blocks(studies: Floats, choices: int) -> Iterator[Floats]:
    size = max(1, BLOCK // (choices * studies.shape[1]))
    yield from (studies[start : start + size] for start in range(0, len(studies), size))


def _choices(count: int) -> Floats:
    """Return sign choices (choices, count), the observed one first."""
    if 2 ** (count - 1) <= SIMULATED_CHOICES:
        return sign_choices(count)
    minuses = np.random.default_rng(0).integers(0, 2, (SIMULATED_CHOICES, count))
    minuses[0] = 0
    return (1 - 2 * minuses).astype(np.float64)


def _smallest(enough: Callable[[float], bool]) -> float | None:
    if not enough(MAX_EFFECT):
        return None
    low, high = 0.0, MAX_EFFECT
    while high - low > 0.01:
        middle = (low + high) / 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
