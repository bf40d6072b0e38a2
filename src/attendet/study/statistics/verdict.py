"""What a comparison says, in plain words: helps, hurts, or not distinguishable."""

from __future__ import annotations

from typing import Literal

from attendet.study.statistics.paired import ALPHA, PairedDifference
from attendet.study.statistics.power import MOST_SEEDS, least_alpha, least_seeds, seeds_to_settle
from attendet.utils.text import plural

Verdict = Literal["helps", "hurts", "not distinguishable"]


def reach_verdict(found: PairedDifference | None, p_holm: float) -> Verdict:
    """Return the verdict: a direction where p_holm is at most 0.05, and none otherwise, however large the difference.

    Example:
        >>> from attendet.study.statistics.paired import paired_difference
        >>> six = dict(enumerate([0.52, 0.53, 0.51, 0.52, 0.54, 0.53]))
        >>> found = paired_difference(six, dict.fromkeys(range(6), 0.5))
        >>> reach_verdict(found, p_holm=found.p), reach_verdict(found, p_holm=5 * found.p)
        ('helps', 'not distinguishable')
    """
    if found is None or p_holm > ALPHA:
        return "not distinguishable"
    return "helps" if found.difference > 0 else "hurts"


def seeds_needed(found: PairedDifference | None, comparisons: int) -> int | None:
    """Return how many seeds would settle an undecided comparison, in four of five studies.

    It is reckoned from the difference and the spread that were seen, as if they were the true ones, and is as uncertain
    as they are; never fewer than one more than there are.

    Returns:
        None for more than 200, or where fewer than two seeds say nothing about the spread.
    """
    if found is None or found.spread is None:
        return None
    if found.spread == 0:
        return None if found.difference == 0 else max(least_seeds(comparisons), found.n + 1)
    needed = seeds_to_settle(abs(found.difference) / found.spread, comparisons)
    return None if needed is None else max(needed, found.n + 1)


def explain(
    pair: tuple[str, str],
    found: PairedDifference | None,
    p_holm: float,
    comparisons: int,
    needed: int | None,
    metric: str,
) -> str:
    """Return the verdict as a sentence with its evidence.

    Args:
        pair: The arm, and what it is compared with.
        found: The comparison; None where no seed has both runs.
        p_holm: Its adjusted p.
        comparisons: Over how many it is adjusted.
        needed: What `seeds_needed` says.
        metric: What is compared, for people.
    """
    arm, against = pair
    undecided = f"{arm} is not distinguishable from {against}: "
    if found is None:
        return f"{undecided}no seed has both runs yet."
    if found.interval is None:
        return f"{undecided}one seed says nothing about what chance does."
    interval = f"{signed(found.interval.low)} to {signed(found.interval.high)}"
    evidence = f"(95 % interval {interval}, p_holm {p_holm:.2g}, {plural(found.n, 'seed')})"
    verdict = reach_verdict(found, p_holm)
    if verdict != "not distinguishable":
        return f"{arm} {verdict}: {signed(found.difference)} {metric} against {against} {evidence}."
    told = f"{undecided}{signed(found.difference)} {metric} {evidence}."
    if found.difference == 0 and found.spread == 0:
        return f"{told} Seed by seed both scored the same."
    least = least_alpha(found.n, comparisons)
    if least > ALPHA:
        among = f"Alone among {comparisons} comparisons, " if comparisons > 1 else ""
        told += (
            f" {among}{plural(found.n, 'seed')} cannot bring p_holm below {least:.2g}, whatever the difference;"
            f" it takes {least_seeds(comparisons)} seeds to reach {ALPHA:g}."
        )
    if needed is None:
        return f"{told} Were this the true difference, more than {MOST_SEEDS} seeds would be needed to settle it."
    return f"{told} Were this the true difference, about {needed} seeds would settle it."


def cannot_decide(seeds: int, comparisons: int) -> str | None:
    """Return why so many seeds can give no verdict at all, or None where they can.

    Example:
        >>> cannot_decide(6, comparisons=5)
        '6 seeds cannot decide 5 comparisons: p_holm is at least 0.16, whatever the differences; 8 can'
    """
    least = least_alpha(seeds, comparisons)
    if least <= ALPHA:
        return None
    what = f"{plural(seeds, 'seed')} cannot decide {plural(comparisons, 'comparison')}"
    return f"{what}: p_holm is at least {least:.2g}, whatever the differences; {least_seeds(comparisons)} can"


def signed(value: float) -> str:
    """Return a difference with its sign, in three digits after the point.

    Example:
        >>> signed(0.0123), signed(-0.5), signed(-0.0001)
        ('+0.012', '−0.500', '0.000')
    """
    text = f"{value:+.3f}"
    return "0.000" if float(text) == 0 else text.replace("-", "−")
