"""The verdict of a comparison: helps, hurts, or not distinguishable."""

from __future__ import annotations

from typing import Literal

from attendet.study.statistics.paired import ALPHA, PairedDifference
from attendet.study.statistics.power import MAX_SEEDS, min_p_holm, min_seeds, seeds_to_settle
from attendet.utils.text import plural

Verdict = Literal["helps", "hurts", "not distinguishable"]


def reach_verdict(paired: PairedDifference | None, p_holm: float) -> Verdict:
    """Return the verdict: helps or hurts if p_holm is at most 0.05, otherwise not distinguishable.

    Args:
        paired: The paired difference; None if no seed has both runs.
        p_holm: Its p-value after Holm's correction.

    Example:
        >>> from attendet.study.statistics.paired import paired_difference
        >>> six = dict(enumerate([0.52, 0.53, 0.51, 0.52, 0.54, 0.53]))
        >>> paired = paired_difference(six, dict.fromkeys(range(6), 0.5))
        >>> reach_verdict(paired, p_holm=paired.p), reach_verdict(paired, p_holm=5 * paired.p)
        ('helps', 'not distinguishable')
    """
    if paired is None or p_holm > ALPHA:
        return "not distinguishable"
    return "helps" if paired.difference > 0 else "hurts"


def seeds_needed(paired: PairedDifference | None, comparisons: int) -> int | None:
    """Return the number of seeds with which 80 % of studies would decide an undecided comparison.

    The estimate assumes that the observed difference and spread are the true ones, and is as uncertain as they are. It
    is at least one more than the current number of seeds.

    Args:
        paired: The paired difference; None if no seed has both runs.
        comparisons: Number of arms that are compared.

    Returns:
        The number of seeds, or None for more than 200 or if there are fewer than two seeds.
    """
    if paired is None or paired.spread is None:
        return None
    if paired.spread == 0:
        return None if paired.difference == 0 else max(min_seeds(comparisons), paired.n + 1)
    needed = seeds_to_settle(abs(paired.difference) / paired.spread, comparisons)
    return None if needed is None else max(needed, paired.n + 1)


def verdict_sentence(
    pair: tuple[str, str],
    paired: PairedDifference | None,
    p_holm: float,
    comparisons: int,
    needed: int | None,
    metric: str,
) -> str:
    """Return the verdict as a sentence with its evidence.

    Args:
        pair: The arm, and the arm that it is compared with.
        paired: The paired difference; None if no seed has both runs.
        p_holm: Its p-value after Holm's correction.
        comparisons: Number of comparisons of the correction.
        needed: The result of `seeds_needed`.
        metric: Display name of the metric.
    """
    arm, against = pair
    undecided = f"{arm} is not distinguishable from {against}: "
    if paired is None:
        return f"{undecided}no seed has both runs yet."
    if paired.interval is None:
        return f"{undecided}one seed does not show the variation between seeds."
    interval = f"{signed(paired.interval.low)} to {signed(paired.interval.high)}"
    evidence = f"(95 % interval {interval}, p_holm {p_holm:.2g}, {plural(paired.n, 'seed')})"
    verdict = reach_verdict(paired, p_holm)
    if verdict != "not distinguishable":
        return f"{arm} {verdict}: {signed(paired.difference)} {metric} against {against} {evidence}."
    sentence = f"{undecided}{signed(paired.difference)} {metric} {evidence}."
    if paired.difference == 0 and paired.spread == 0:
        return f"{sentence} Both arms have the same score for every seed."
    least = min_p_holm(paired.n, comparisons)
    if least > ALPHA:
        among = f"As the only significant one of {comparisons} comparisons, " if comparisons > 1 else ""
        sentence += (
            f" {among}{plural(paired.n, 'seed')} cannot bring p_holm below {least:.2g} for any difference;"
            f" at least {min_seeds(comparisons)} seeds are needed to reach {ALPHA:g}."
        )
    if needed is None:
        return f"{sentence} If this is the true difference, deciding it takes more than {MAX_SEEDS} seeds."
    return f"{sentence} If this is the true difference, deciding it takes about {needed} seeds."


def cannot_decide(seeds: int, comparisons: int) -> str | None:
    """Return why this number of seeds cannot reach a verdict, or None if it can.

    Example:
        >>> cannot_decide(6, comparisons=5)
        '6 seeds cannot decide 5 comparisons: p_holm is at least 0.16 for any difference; 8 seeds can'
    """
    least = min_p_holm(seeds, comparisons)
    if least <= ALPHA:
        return None
    what = f"{plural(seeds, 'seed')} cannot decide {plural(comparisons, 'comparison')}"
    return f"{what}: p_holm is at least {least:.2g} for any difference; {min_seeds(comparisons)} seeds can"


def signed(value: float) -> str:
    """Return a difference with its sign and three decimals.

    Example:
        >>> signed(0.0123), signed(-0.5), signed(-0.0001)
        ('+0.012', '−0.500', '0.000')
    """
    text = f"{value:+.3f}"
    return "0.000" if float(text) == 0 else text.replace("-", "−")
