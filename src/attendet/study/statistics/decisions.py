"""Decide the comparisons of a family together: adjusted p-values, intervals, and verdicts that agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from attendet.study.statistics.joint_tests import agree_with, simultaneous_intervals, step_down_p
from attendet.study.statistics.paired import PairedDifference
from attendet.study.statistics.resampling import ALPHA, TOLERANCE, Floats, Interval
from attendet.study.statistics.sequential import look_levels, sequential_decisions

Verdict: TypeAlias = Literal[
    "helps",
    "hurts",
    "helps considerably",
    "hurts considerably",
    "no difference that matters",
    "not distinguishable",
    "open",
    "does not train",
]


@dataclass(frozen=True)
class Decision:
    """The decision about one comparison of a family.

    Attributes:
        p: p-value adjusted for all comparisons of the family.
        level: Largest p-value that decides: 0.05, or less at a look before the last one; 0 before the first look.
        interval: Interval of the mean difference at that level, simultaneous for all comparisons of the family; None
            for fewer than two seeds and before the first look.
        equivalence: The same with twice the level. If it is within ± matters, the difference is shown not to matter.
        decided_at: Number of seeds of the look that found the difference; None if none did, or the study has no looks.
        verdict: What follows.
    """

    p: float
    level: float
    interval: Interval | None
    equivalence: Interval | None
    decided_at: int | None
    verdict: Verdict


def decide(
    family: Sequence[PairedDifference | None],
    seeds: Sequence[int],
    *,
    counted: int | None = None,
    matters: float | None = None,
    looks: Sequence[int] = (),
) -> list[Decision]:
    """Decide all comparisons of a family.

    Args:
        family: The comparisons; None for a comparison without a common seed, which counts with p = 1.
        seeds: All planned seeds in the order in which they are run.
        counted: Number of comparisons at the front that are decided; the others only count for the adjustment (default:
            all are decided).
        matters: Smallest difference that matters.
        looks: Numbers of seeds after which the study may end; empty if only the last seed decides.

    Example:
        >>> from attendet.study.statistics.paired import paired_difference
        >>> six = dict(enumerate([0.52, 0.53, 0.51, 0.52, 0.54, 0.53]))
        >>> paired = paired_difference(six, dict.fromkeys(range(6), 0.5))
        >>> decide([paired], range(6))[0].verdict, decide([paired], range(6), matters=0.005)[0].verdict
        ('helps', 'helps considerably')
    """
    counted = len(family) if counted is None else counted
    matrix = differences_matrix(family, seeds)
    if matrix is None:
        return [Decision(1.0, ALPHA, None, None, None, _undecided(matters))] * counted
    reached = [look for look in looks if look <= matrix.shape[1]]
    if looks and not reached:
        return [Decision(p, 0.0, None, None, None, _undecided(matters)) for p in step_down_p(matrix)[:counted]]
    level, decided_at = ALPHA, [None] * len(family)
    if reached:
        level = look_levels(matrix, reached, looks[-1])[-1]
        places = sequential_decisions(matrix, reached, looks[-1])
        decided_at = [None if place is None else reached[place] for place in places]
    p_values = step_down_p(matrix)
    intervals = simultaneous_intervals(matrix, 1 - level) if level else [None] * len(family)
    narrower = simultaneous_intervals(matrix, 1 - 2 * level) if level and matters is not None else [None] * len(family)
    decisions = []
    for number, paired in enumerate(family[:counted]):
        significant = decided_at[number] is not None if reached else p_values[number] <= level * (1 + TOLERANCE)
        difference = paired.difference if paired else 0.0
        interval = agree_with(intervals[number], significant=significant, difference=difference)
        verdict = _verdict(difference, interval, narrower[number], matters, significant=significant)
        decisions.append(Decision(p_values[number], level, interval, narrower[number], decided_at[number], verdict))
    return decisions


def differences_matrix(family: Sequence[PairedDifference | None], seeds: Sequence[int]) -> Floats | None:
    """Return differences (comparisons, seeds) in the order of `seeds`, NaN for missing ones, or None without any.

    Seeds that no comparison has are left out.
    """
    known = [dict(zip(each.seeds, each.differences, strict=True)) if each else {} for each in family]
    columns = [seed for seed in seeds if any(seed in differences for differences in known)]
    if not columns:
        return None
    return np.array([[differences.get(seed, np.nan) for seed in columns] for differences in known])


def _undecided(matters: float | None) -> Verdict:
    return "not distinguishable" if matters is None else "open"


def _verdict(
    difference: float,
    interval: Interval | None,
    equivalence: Interval | None,
    matters: float | None,
    *,
    significant: bool,
) -> Verdict:
    within = (
        matters is not None and equivalence is not None and -matters < equivalence.low <= equivalence.high < matters
    )
    if within:
        return "no difference that matters"
    if not significant:
        return _undecided(matters)
    if matters is not None and interval is not None and (interval.low >= matters or interval.high <= -matters):
        return "helps considerably" if difference > 0 else "hurts considerably"
    return "helps" if difference > 0 else "hurts"
