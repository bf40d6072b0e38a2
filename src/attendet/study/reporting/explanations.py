"""Verdicts as sentences with their evidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from attendet.study.design.schema import METRIC_NAMES, StudyDesign
from attendet.study.statistics.decisions import Decision, Verdict
from attendet.study.statistics.image_bootstrap import ImageDifference
from attendet.study.statistics.paired import PairedDifference
from attendet.study.statistics.power import min_seeds
from attendet.study.statistics.resampling import ALPHA, Interval
from attendet.utils.text import plural


@dataclass(frozen=True)
class ContrastEvidence:
    """What a verdict is based on.

    Attributes:
        pair: The arm, and the arm that it is compared with.
        paired: Their differences; None if no seed has both runs.
        decision: The decision.
        settle: A larger number of seeds, and the probability that it decides; None if it is unknown.
        design: The design of the study.
    """

    pair: tuple[str, str]
    paired: PairedDifference | None
    decision: Decision
    settle: tuple[int, float] | None
    design: StudyDesign


def explain(evidence: ContrastEvidence) -> str:
    """Return the verdict and its evidence as one or two sentences."""
    (arm, against), paired, decision = evidence.pair, evidence.paired, evidence.decision
    head = f"{arm} {verdict_phrase(decision.verdict, evidence.design.matters)}"
    undecided = decision.verdict in ("not distinguishable", "open")
    if undecided:
        head = f"{arm} {'is not distinguishable' if decision.verdict == 'not distinguishable' else 'is open'}"
        head += f" {'from' if decision.verdict == 'not distinguishable' else 'against'} {against}"
    if paired is None:
        return f"{head}: no seed has both runs yet."
    if paired.spread is None:
        return f"{head}: one seed does not show the variation between seeds."
    metric = METRIC_NAMES[evidence.design.metric]
    of = "" if undecided else f" against {against}"
    sentence = f"{head}: {signed(paired.difference)} {metric}{of} ({_evidence(paired, decision)})."
    return " ".join([sentence, *_outlook(evidence, paired)]) if undecided else sentence


def verdict_phrase(verdict: Verdict, matters: float | None) -> str:
    """Return a verdict as the end of a sentence about an arm.

    Example:
        >>> verdict_phrase("helps considerably", 0.01), verdict_phrase("no difference that matters", 0.01)
        ('helps by at least 0.01', 'makes no difference that matters (0.01)')
    """
    match verdict:
        case "helps considerably" | "hurts considerably":
            return f"{verdict.partition(' ')[0]} by at least {matters:g}"
        case "no difference that matters":
            return f"makes no difference that matters ({matters:g})"
        case _:
            return verdict


def signed(value: float) -> str:
    """Return a difference with its sign and three decimals.

    Example:
        >>> signed(0.0123), signed(-0.5), signed(-0.0001)
        ('+0.012', '−0.500', '0.000')
    """
    text = f"{value:+.3f}"
    return "0.000" if float(text) == 0 else text.replace("-", "−")


def span(interval: Interval | tuple[float, float]) -> str:
    """Return an interval as text.

    Example:
        >>> span((-0.01, 0.025))
        '−0.010 to +0.025'
    """
    low, high = (interval.low, interval.high) if isinstance(interval, Interval) else interval
    return f"{signed(low)} to {signed(high)}"


def describe_image_chance(compared: ImageDifference, metric: str) -> str:
    """Return a comparison with the chance of the validation images in one sentence.

    Args:
        compared: The comparison.
        metric: Display name of the metric.

    Example:
        >>> describe_image_chance(ImageDifference((0, 1), 87, 0.012, 0.006, 0.008, 0.01, -0.009, 0.033), "mAP50-95")
        'for these 87 images the difference in mAP50-95 is +0.012 ± 0.006 (standard error over seeds); for images like
        these, the 95 % interval is −0.009 to +0.033'
    """
    return (
        f"for these {compared.images} images the difference in {metric} is {signed(compared.difference)} ±"
        f" {compared.seed_error:.3f} (standard error over seeds); for images like these, the 95 % interval is"
        f" {span((compared.low, compared.high))}"
    )


def cannot_decide(seeds: int) -> str | None:
    """Return why this number of seeds cannot reach a verdict, or None if it can.

    Example:
        >>> cannot_decide(5), cannot_decide(6)
        ('5 seeds cannot decide anything: p is at least 0.062 for any difference; 6 seeds can', None)
    """
    if seeds >= min_seeds():
        return None
    least = 2 / 2**seeds
    return (
        f"{plural(seeds, 'seed')} cannot decide anything: p is at least {least:.2g} for any difference;"
        f" {min_seeds()} seeds can"
    )


def _evidence(paired: PairedDifference, decision: Decision) -> str:
    parts: list[str] = []
    if decision.verdict == "no difference that matters" and decision.equivalence:
        parts.append(f"{_confidence(2 * decision.interval_level)} interval {span(decision.equivalence)}")
    elif decision.interval:
        parts.append(f"{_confidence(decision.interval_level)} interval {span(decision.interval)}")
    parts.append(f"p {decision.p:.2g}")
    if 0 < decision.level < ALPHA:
        parts.append(f"level {decision.level:.2g} at this look")
    parts.append(plural(paired.n, "seed"))
    if decision.decided_at is not None and decision.decided_at < paired.n:
        parts.append(f"decided at {decision.decided_at}")
    return ", ".join(parts)


def _confidence(alpha: float) -> str:
    return f"{100 * (1 - alpha):.3g} %"


def _outlook(evidence: ContrastEvidence, paired: PairedDifference) -> Sequence[str]:
    """Return the next step for an undecided comparison, as sentences."""
    if paired.difference == 0 and paired.spread == 0:
        return ["Both arms have the same score for every seed."]
    looks = [look for look in evidence.design.looks if look > paired.n]
    if evidence.design.looks and paired.n < evidence.design.looks[0]:
        return [f"The first look is at {evidence.design.looks[0]} seeds."]
    too_few = cannot_decide(paired.n)
    if too_few:
        return [f"{too_few[0].upper()}{too_few[1:]}."]
    if looks:
        return [f"The next look is at {looks[0]} seeds."]
    if evidence.settle is None:
        return []
    total, probability = evidence.settle
    return [f"With {total} seeds, the probability of a decision is about {100 * probability:.0f} %."]
