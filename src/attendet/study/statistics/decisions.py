"""Decide the comparisons of a family together: adjusted p-values, intervals, and verdicts that agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np

from attendet.study.statistics.joint_tests import agree_with, simultaneous_intervals, step_down_p
from attendet.study.statistics.paired import PairedDifference
from attendet.study.statistics.resampling import ALPHA, MIN_EXACT, TOLERANCE, Floats, Interval
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
        interval_level: Level of the intervals. Ties between differences may lower `level` but not this one.
        interval: Interval of the mean difference at `interval_level`, simultaneous for all comparisons of the family;
            None for fewer than two seeds and before the first look.
        equivalence: The same with twice the level. If it is within ± matters, the difference is shown not to matter.
        decided_at: Number of seeds of the look that found the difference; None if none did, or the study has no looks.
        verdict: What follows.
    """

    p: float
    level: float
    interval_level: float
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

    A comparison that was decided at an earlier look keeps that decision with its p-value and interval.

    Args:
        family: The comparisons; None for a comparison without a common seed, which counts with p = 1.
        seeds: The seeds whose runs have ended, in the order in which they are run.
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
    reached = [look for look in looks if look <= len(seeds)]
    if reached:
        seeds = list(seeds)[: reached[-1]]
    matrix = differences_matrix(family, seeds)
    if not np.isfinite(matrix).any() or (looks and not reached):
        p_values = step_down_p(matrix) if matrix.size else [1.0] * len(family)
        level = 0.0 if looks else ALPHA
        return [Decision(p, level, level, None, None, None, _undecided(matters)) for p in p_values[:counted]]
    if not reached:
        significant = [p <= ALPHA * (1 + TOLERANCE) for p in step_down_p(matrix)]
        return _decisions(family, matrix, Levels(ALPHA, ALPHA), matters, significant)[:counted]
    levels = Levels(
        look_levels(matrix, reached, looks[-1])[-1], look_levels(_reference(reached[-1]), reached, looks[-1])[-1]
    )
    places = sequential_decisions(matrix, reached, looks[-1])
    decided_at = [None if place is None else reached[place] for place in places]
    decisions = _decisions(family, matrix, levels, matters, [when is not None for when in decided_at])[:counted]
    for number, when in enumerate(decided_at[:counted]):
        if when is not None and when < reached[-1]:
            decisions[number] = decide(family, seeds[:when], counted=counted, matters=matters, looks=looks)[number]
        elif when is not None:
            decisions[number] = replace(decisions[number], decided_at=when)
    return decisions


@dataclass(frozen=True)
class Levels:
    """Levels of a look.

    Attributes:
        test: Largest p-value that decides. It depends on ties between the differences.
        interval: Level of the intervals, for differences without ties.
    """

    test: float
    interval: float


def differences_matrix(family: Sequence[PairedDifference | None], seeds: Sequence[int]) -> Floats:
    """Return differences (comparisons, seeds) in the order of `seeds`, NaN for missing ones."""
    known = [dict(zip(each.seeds, each.differences, strict=True)) if each else {} for each in family]
    rows = [[differences.get(seed, np.nan) for seed in seeds] for differences in known]
    return np.array(rows, dtype=np.float64).reshape(len(family), len(seeds))


def _decisions(
    family: Sequence[PairedDifference | None],
    matrix: Floats,
    levels: Levels,
    matters: float | None,
    significant: Sequence[bool],
) -> list[Decision]:
    p_values = step_down_p(matrix)
    intervals: Sequence[Interval | None] = [None] * len(family)
    narrower = intervals
    if levels.interval:
        intervals = simultaneous_intervals(matrix, 1 - levels.interval)
        narrower = simultaneous_intervals(matrix, 1 - 2 * levels.interval) if matters is not None else narrower
    decisions = []
    for number, paired in enumerate(family):
        known = matrix[number][np.isfinite(matrix[number])]
        difference = float(known.mean()) if known.size else 0.0
        interval = agree_with(intervals[number], significant=significant[number], difference=difference)
        enough = paired is not None and known.size >= MIN_EXACT
        equivalence = narrower[number] if enough else None
        verdict = _verdict(difference, interval, equivalence, matters, significant=significant[number])
        decisions.append(Decision(p_values[number], levels.test, levels.interval, interval, equivalence, None, verdict))
    return decisions


def _reference(seeds: int) -> Floats:
    """Return differences without ties (1, seeds), for the level of the intervals."""
    return np.random.default_rng(0).standard_normal((1, seeds))


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
