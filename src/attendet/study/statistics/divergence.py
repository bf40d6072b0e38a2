"""Divergence of runs as an outcome: whether an arm diverges more often, and whether it trains at all."""

from __future__ import annotations

from typing import Any

from scipy import stats

from attendet.errors import OptionError


def divergence_p(arm_diverged: int, arm_runs: int, other_diverged: int, other_runs: int) -> float:
    """Return the two-sided p-value of Fisher's exact test that two arms diverge equally often.

    The test conditions on the total number of diverged runs (Fisher, 1922): the p-value is the probability of all
    tables with the same totals that are at most as probable as the observed one. It treats runs as independent. Where
    both arms have the same seeds, this ignores the pairs.

    Args:
        arm_diverged: Number of diverged runs of the arm.
        arm_runs: Number of runs of the arm that finished or diverged.
        other_diverged: Number of diverged runs of the other arm.
        other_runs: Number of runs of the other arm that finished or diverged.

    Raises:
        OptionError: If a number of diverged runs is negative or exceeds the number of runs.

    Example:
        >>> round(divergence_p(5, 8, 0, 8), 4), divergence_p(0, 8, 0, 8)
        (0.0256, 1.0)
    """
    for diverged, runs in ((arm_diverged, arm_runs), (other_diverged, other_runs)):
        _require_count(diverged, runs)
    table = [[arm_diverged, arm_runs - arm_diverged], [other_diverged, other_runs - other_diverged]]
    result: Any = stats.fisher_exact(table)
    return float(result.pvalue)


def does_not_train(diverged: int, runs: int) -> bool:
    """Return whether an arm does not train: at least half of its runs, and at least one, diverged.

    Args:
        diverged: Number of diverged runs.
        runs: Number of runs that finished or diverged.

    Raises:
        OptionError: If the number of diverged runs is negative or exceeds the number of runs.

    Example:
        >>> does_not_train(4, 8), does_not_train(3, 8), does_not_train(0, 0)
        (True, False, False)
    """
    _require_count(diverged, runs)
    return diverged > 0 and 2 * diverged >= runs


def _require_count(diverged: int, runs: int) -> None:
    if not 0 <= diverged <= runs:
        raise OptionError(f"`diverged` must be 0 to the number of runs, {runs}, got {diverged}")
