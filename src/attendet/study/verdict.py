"""What a comparison says, in plain words: helps, hurts, or not distinguishable."""

from __future__ import annotations

from typing import Literal

from attendet.study.power import MOST_SEEDS, least_alpha, least_seeds, seeds_to_settle
from attendet.study.statistics import ALPHA, PairedDifference
from attendet.wording import plural

Verdict = Literal["helps", "hurts", "not distinguishable"]


def judge(found: PairedDifference | None, p_holm: float) -> Verdict:
    """Return the verdict: a direction where p_holm is at most 0.05, and none otherwise, however large the difference.

    Example:
        >>> from attendet.study.statistics import paired_difference
        >>> six = dict(enumerate([0.52, 0.53, 0.51, 0.52, 0.54, 0.53]))
        >>> found = paired_difference(six, dict.fromkeys(range(6), 0.5))
        >>> judge(found, p_holm=found.p), judge(found, p_holm=5 * found.p)
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
    found: PairedDifference | None, p_holm: float, comparisons: int, needed: int | None, against: str, metric: str
) -> str:
    """Return the verdict as a sentence with its evidence.

    Args:
        found: The comparison; None where no seed has both runs.
        p_holm: Its adjusted p.
        comparisons: Over how many it is adjusted.
        needed: What `seeds_needed` says.
        against: What the arm is compared with.
        metric: What is compared, for people.
    """
    if found is None:
        return f"Not distinguishable from {against}: no seed has both runs yet."
    if found.interval is None:
        return f"Not distinguishable from {against}: one seed says nothing about what chance does."
    interval = f"{signed(found.interval.low)} to {signed(found.interval.high)}"
    evidence = f"95 % interval {interval}, p_holm {p_holm:.2g}, {plural(found.n, 'seed')}"
    verdict = judge(found, p_holm)
    if verdict != "not distinguishable":
        word = "Helps" if verdict == "helps" else "Hurts"
        return f"{word}: {signed(found.difference)} {metric} against {against} ({evidence})."
    told = f"Not distinguishable from {against}: {signed(found.difference)} {metric} ({evidence})."
    if found.difference == 0 and found.spread == 0:
        return f"{told} The runs are the same."
    if least_alpha(found.n, comparisons) > ALPHA:
        least = least_alpha(found.n, comparisons)
        told += (
            f" With {plural(found.n, 'seed')} and {plural(comparisons, 'comparison')} p_holm is at least {least:.2g}"
            f" whatever the difference; it takes {plural(least_seeds(comparisons), 'seed')} to be able to say more."
        )
    if needed is None:
        return f"{told} Were this the true difference, more than {MOST_SEEDS} seeds would be needed to settle it."
    return f"{told} Were this the true difference, about {needed} seeds would settle it."


def signed(value: float) -> str:
    """Return a difference with its sign, in three digits after the point.

    Example:
        >>> signed(0.0123), signed(-0.5), signed(-0.0001)
        ('+0.012', '−0.500', '0.000')
    """
    text = f"{value:+.3f}"
    return "0.000" if float(text) == 0 else text.replace("-", "−")
