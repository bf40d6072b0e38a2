"""Looks at an unfinished study: levels that keep the false-positive rate over all looks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from attendet.study.statistics.joint_tests import as_matrix, joint_p, max_t_statistics, sign_choices
from attendet.study.statistics.resampling import ALPHA, TOLERANCE, Floats

# Exponent of the spending function: how late the false-positive rate is spent.
SPENDING_EXPONENT = 1.5


def spent_alpha(seeds: int, planned: int, alpha: float = ALPHA) -> float:
    """Return the false-positive rate that may be spent up to a look: α · (n_k / n_max)^ρ.

    Kim and DeMets, "Design and Analysis of Group Sequential Tests Based on the Type I Error Spending Rate Function",
    Biometrika, 1987.

    Args:
        seeds: Number of seeds at the look.
        planned: Number of seeds at the last look.
        alpha: False-positive rate over all looks.

    Example:
        >>> round(spent_alpha(10, 20), 4)
        0.0177
    """
    return alpha * (seeds / planned) ** SPENDING_EXPONENT


def look_levels(differences: ArrayLike, looks: Sequence[int], planned: int, alpha: float = ALPHA) -> list[float]:
    """Return the level of each look: the largest p-value that decides there.

    A group-sequential sign-flip test: the sign choices of all seeds so far are enumerated. Each look rejects
    choices that no earlier look has rejected, as long as the rejected fraction is within `spent_alpha`. The
    levels depend on the sizes of the differences but not on their signs, so the false-positive rate over all looks is
    exactly at most α.

    Args:
        differences: Paired differences (arms, seeds), in the order in which the seeds are run; NaN for seeds that an
            arm lacks.
        looks: Numbers of seeds of the looks so far, ascending; the last one is at most the number of columns.
        planned: Number of seeds of the last planned look.
        alpha: False-positive rate over all looks.

    Returns:
        A level for each look; 0 for a look that cannot decide.

    Example:
        >>> differences = [[0.013, 0.021, -0.011, 0.034, 0.017, 0.012, 0.023, 0.019]]
        >>> look_levels(differences, [6, 8], planned=8)
        [0.03125, 0.0234375]
    """
    values = as_matrix(differences)[:, : looks[-1]]
    signs = sign_choices(looks[-1])
    rejected = np.zeros(len(signs), dtype=bool)
    levels = []
    for look in looks:
        statistic = max_t_statistics(values[:, :look], signs[:, :look]).max(axis=0)
        threshold = _threshold(statistic, rejected, spent_alpha(look, planned, alpha) * len(signs))
        reached = statistic >= threshold
        levels.append(float(reached.mean()))
        rejected |= reached
    return levels


def sequential_decisions(
    differences: ArrayLike, looks: Sequence[int], planned: int, alpha: float = ALPHA
) -> list[int | None]:
    """Return the look at which each arm was decided, as an index into `looks`; None for an undecided arm.

    At each look the arms are tested step-down: the arm with the largest T is compared with the level of all undecided
    arms, then, if it is decided, the next one with the level of the remaining arms. A decision is kept at later looks.

    Args:
        differences: Paired differences (arms, seeds), in the order in which the seeds are run.
        looks: Numbers of seeds of the looks so far.
        planned: Number of seeds of the last planned look.
        alpha: False-positive rate over all looks and arms.

    Example:
        >>> import numpy as np
        >>> clear, noise = np.full(8, 0.02) + np.arange(8) / 1000, np.resize([0.01, -0.01], 8)
        >>> sequential_decisions([clear, noise], [6, 8], planned=8)
        [1, None]
    """
    values = as_matrix(differences)
    decided: list[int | None] = [None] * len(values)
    for number, look in enumerate(looks):
        remaining = [arm for arm, when in enumerate(decided) if when is None]
        while remaining:
            levels = look_levels(values[remaining], looks[: number + 1], planned, alpha)
            statistics = max_t_statistics(values[remaining][:, :look])
            first = int(statistics[:, 0].argmax())
            if joint_p(statistics, statistics[first, 0]) > levels[number] * (1 + TOLERANCE):
                break
            decided[remaining.pop(first)] = number
    return decided


def _threshold(statistic: Floats, rejected: NDArray[np.bool_], allowed: float) -> float:
    """Return the smallest T that rejects at most `allowed` choices, including the rejected ones of earlier looks."""
    free = np.sort(statistic[~rejected])[::-1]
    room = int(allowed + TOLERANCE * statistic.size) - int(rejected.sum())
    if room <= 0 or not free.size:
        return np.inf
    if room >= free.size:
        return float(free[-1]) * (1 - TOLERANCE)
    # Equal values are rejected together or not at all.
    above = free[:room][free[:room] > free[room] * (1 + 2 * TOLERANCE)]
    return float(above[-1]) * (1 - TOLERANCE) if above.size else np.inf
