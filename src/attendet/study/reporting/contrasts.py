"""Comparisons between arms, paired by seed, each with a verdict."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from statistics import fmean
from typing import Literal, TypeAlias

from attendet.study.design.schema import StudyDesign
from attendet.study.folder import StudyRecords, runs_of_arm
from attendet.study.reporting.explanations import ContrastEvidence, explain
from attendet.study.reporting.run_scores import best_epoch, by_seed
from attendet.study.statistics.decisions import Decision, Verdict, decide
from attendet.study.statistics.divergence import divergence_p, does_not_train
from attendet.study.statistics.image_bootstrap import ImageDifference, image_difference
from attendet.study.statistics.paired import PairedDifference, paired_difference, share_interval
from attendet.study.statistics.power import settle_probability, smallest_detectable
from attendet.utils.text import plural

Family: TypeAlias = Literal["baseline", "control"]


@dataclass(frozen=True)
class Divergence:
    """How often the runs of two arms diverged, on all training images.

    Attributes:
        diverged: Number of runs of the arm whose loss or weights became infinite or NaN.
        runs: Number of its runs that finished or diverged.
        other_diverged: The same for the other arm.
        other_runs: The same for the other arm.
        p: Two-sided p-value of Fisher's exact test.
    """

    diverged: int
    runs: int
    other_diverged: int
    other_runs: int
    p: float

    def __str__(self) -> str:
        """Return the numbers as text."""
        return (
            f"{self.diverged} of {plural(self.runs, 'run')} diverged"
            f" (the other arm: {self.other_diverged} of {self.other_runs}, exact p {self.p:.2g})"
        )


@dataclass(frozen=True)
class Contrast:
    """The comparison of an arm with another arm, for runs on all training images.

    Attributes:
        arm: Name of the arm.
        against: Name of the arm that it is compared with: the baseline, or the arm's control.
        family: Which of the two. p-values and intervals are adjusted within a family.
        n: Number of seeds that have both runs.
        seeds: These seeds.
        differences: Score of the arm minus score of the other arm, for each of these seeds.
        difference: Mean difference; None without pairs.
        spread: Standard deviation of the differences.
        interval: Simultaneous interval of the mean difference, which agrees with the verdict: 95 % confidence for all
            comparisons of the family, or more at a look before the last one.
        marginal_interval: 95 % interval of this comparison alone.
        interval_method: How the intervals were computed.
        equivalence_interval: Simultaneous interval that shows that a difference does not matter, of 90 % confidence, or
            more at a look before the last one; None if the design does not define `matters`.
        p: Two-sided p-value of the sign-flip test; 1 without pairs.
        p_floor: Smallest p-value that this number of seeds can reach.
        p_adjusted: p-value adjusted for all comparisons of the family, including arms that were dropped.
        level: Largest p_adjusted that decides.
        decided_at: Number of seeds of the look that found the difference, if the study has looks.
        verdict: What follows.
        explanation: The verdict and its evidence as a sentence.
        settle_seeds: Twice the number of seeds, for an undecided comparison.
        settle_probability: Predictive probability that this many seeds decide it; None if the difference is smaller
            than its standard error and cannot be shown not to matter either.
        detectable: Smallest true difference that 80 % of studies with this number of seeds and this spread detect.
        better: Number of seeds for which the arm is better.
        unequal: Number of seeds for which the arms differ.
        better_probability: 95 % interval of the probability that the next seed for which they differ is better.
        best_epoch_difference: Mean difference of the best epochs, for comparison.
        divergence: Diverged and ended runs of both arms, with the p-value of Fisher's exact test.
        images: The difference of the best weights, with the chance of the validation images; None if the records of the
            runs do not hold the detections of each image.
    """

    arm: str
    against: str
    family: Family
    n: int
    seeds: tuple[int, ...]
    differences: tuple[float, ...]
    difference: float | None
    spread: float | None
    interval: tuple[float, float] | None
    marginal_interval: tuple[float, float] | None
    interval_method: str | None
    equivalence_interval: tuple[float, float] | None
    p: float
    p_floor: float
    p_adjusted: float
    level: float
    decided_at: int | None
    verdict: Verdict
    explanation: str
    settle_seeds: int | None
    settle_probability: float | None
    detectable: float | None
    better: int
    unequal: int
    better_probability: tuple[float, float] | None
    best_epoch_difference: float | None
    divergence: Divergence
    images: ImageDifference | None


def family_of_contrasts(
    family: Family,
    pairs: Sequence[tuple[str, str]],
    records: StudyRecords,
    dropped: Mapping[str, Mapping[int, float]] | None = None,
) -> list[Contrast]:
    """Compare pairs of arms. A pair without a common seed counts as p = 1, so leaving runs out cannot lower a p-value.

    Args:
        family: Which pairs they are.
        pairs: The arm, and the arm that it is compared with.
        records: Records of the study.
        dropped: Scores by seed of arms that were run but are not in the design. They count for the adjustment.
    """
    decided = decide_family(pairs, records, dropped or {})
    comparisons = len(pairs) + len(dropped or {})
    return [
        _contrast(family, pair, paired, decision, comparisons, records)
        for pair, (paired, decision) in zip(pairs, decided, strict=True)
    ]


def decide_family(
    pairs: Sequence[tuple[str, str]], records: StudyRecords, dropped: Mapping[str, Mapping[int, float]]
) -> list[tuple[PairedDifference | None, Decision]]:
    """Return the differences of pairs of arms and the decisions about them, both at the last complete look.

    Args:
        pairs: The arm, and the arm that it is compared with.
        records: Records of the study.
        dropped: Scores by seed of arms that are not in the design; they are compared with the baseline.
    """
    design = records.study.design
    scores = scores_by_arm(records)
    compared = [paired_difference(scores[arm], scores[against]) for arm, against in pairs]
    others = [paired_difference(values, scores[design.baseline]) for values in dropped.values()]
    seeds = seeds_looked_at(records)
    decisions = decide([*compared, *others], seeds, counted=len(compared), matters=design.matters, looks=design.looks)
    shown = [seeds if decision.decided_at is None else seeds[: decision.decided_at] for decision in decisions]
    return [
        (paired and _restricted(paired, kept), decision)
        for paired, kept, decision in zip(compared, shown, decisions, strict=True)
    ]


def seeds_looked_at(records: StudyRecords) -> list[int]:
    """Return the seeds that a report considers, in the order of the design.

    Without looks these are all seeds. With looks they are the seeds of the last complete look, which is complete if the
    runs of all arms with its seeds have finished or diverged; before the first look they are all seeds that have ended.
    """
    design = records.study.design
    if not design.looks:
        return list(design.seeds)
    ended = {
        (record.arm, record.seed)
        for record in records.cells.values()
        if record.fraction == 1 and record.status != "failed"
    }
    whole = list(takewhile(lambda seed: all((arm, seed) in ended for arm in design.arms), design.seeds))
    reached = [look for look in design.looks if look <= len(whole)]
    return whole[: reached[-1]] if reached else whole


def scores_by_arm(records: StudyRecords) -> dict[str, dict[int, float]]:
    """Return the deciding scores of the runs on all images by seed, of every arm of the design."""
    design = records.study.design
    return {name: by_seed(runs_of_arm(records, name), design.metric, design.last_epochs) for name in design.arms}


def _restricted(paired: PairedDifference, kept: Collection[int]) -> PairedDifference | None:
    values = {seed: value for seed, value in zip(paired.seeds, paired.differences, strict=True) if seed in kept}
    return paired_difference(values, dict.fromkeys(values, 0.0))


def _contrast(
    family: Family,
    pair: tuple[str, str],
    paired: PairedDifference | None,
    decision: Decision,
    comparisons: int,
    records: StudyRecords,
) -> Contrast:
    design = records.study.design
    settle = _settle(paired, decision, comparisons, design)
    multiple = smallest_detectable(paired.n, comparisons) if paired and paired.spread else None
    better = sum(difference > 0 for difference in paired.differences) if paired else 0
    unequal = sum(difference != 0 for difference in paired.differences) if paired else 0
    divergence = divergence_of(pair, records)
    planned = design.looks[0] if design.looks else len(design.seeds)
    if divergence.runs >= planned and does_not_train(divergence.diverged, divergence.runs):
        decision = replace(decision, verdict="does not train")
        explanation = f"{pair[0]} does not train: {divergence}."
    elif divergence.other_runs >= planned and does_not_train(divergence.other_diverged, divergence.other_runs):
        of = f"{divergence.other_diverged} of {plural(divergence.other_runs, 'run')} diverged"
        explanation = f"{pair[0]} cannot be compared with {pair[1]}, which does not train: {of}."
    else:
        explanation = explain(ContrastEvidence(pair, paired, decision, settle, design))
    return Contrast(
        arm=pair[0],
        against=pair[1],
        family=family,
        n=paired.n if paired else 0,
        seeds=paired.seeds if paired else (),
        differences=paired.differences if paired else (),
        difference=paired.difference if paired else None,
        spread=paired.spread if paired else None,
        interval=(decision.interval.low, decision.interval.high) if decision.interval else None,
        marginal_interval=paired.ends if paired else None,
        interval_method=decision.interval.method if decision.interval else None,
        equivalence_interval=(decision.equivalence.low, decision.equivalence.high) if decision.equivalence else None,
        p=paired.p if paired else 1.0,
        p_floor=paired.p_floor if paired else 1.0,
        p_adjusted=decision.p,
        level=decision.level,
        decided_at=decision.decided_at,
        verdict=decision.verdict,
        explanation=explanation,
        settle_seeds=settle[0] if settle else None,
        settle_probability=settle[1] if settle else None,
        detectable=multiple * paired.spread if multiple and paired and paired.spread else None,
        better=better,
        unequal=unequal,
        better_probability=share_interval(better, unequal) if unequal else None,
        best_epoch_difference=_best_epoch_difference(pair, records),
        divergence=divergence,
        images=_image_difference(pair, records, paired),
    )


def divergence_of(pair: tuple[str, str], records: StudyRecords) -> Divergence:
    """Return how often the runs of two arms diverged."""
    ended = [record for record in records.cells.values() if record.fraction == 1 and record.status != "failed"]
    (diverged, runs), (other_diverged, other_runs) = (
        (sum(record.status == "diverged" for record in own), len(own))
        for own in ([record for record in ended if record.arm == arm] for arm in pair)
    )
    p = divergence_p(diverged, runs, other_diverged, other_runs)
    return Divergence(diverged, runs, other_diverged, other_runs, p)


def _image_difference(
    pair: tuple[str, str], records: StudyRecords, paired: PairedDifference | None
) -> ImageDifference | None:
    seeds = paired.seeds if paired else ()
    arm, against = (
        {
            run.seed: records.image_matches[run.key]
            for run in runs_of_arm(records, name)
            if run.key in records.image_matches and run.seed in seeds
        }
        for name in pair
    )
    return image_difference(arm, against, records.study.design.metric)


def _settle(
    paired: PairedDifference | None, decision: Decision, comparisons: int, design: StudyDesign
) -> tuple[int, float] | None:
    """Return a number of seeds and the probability that they decide an open comparison, or None if it is unknown."""
    if paired is None or paired.standard_error is None or decision.verdict not in ("not distinguishable", "open"):
        return None
    matters = design.matters
    if design.looks:
        return None
    if matters is None and abs(paired.difference) < paired.standard_error:
        return None
    total = 2 * paired.n
    return total, settle_probability(paired.differences, total, comparisons, matters=matters)


def _best_epoch_difference(pair: tuple[str, str], records: StudyRecords) -> float | None:
    metric = records.study.design.metric
    arm, against = (
        {run.seed: value for run in runs_of_arm(records, name) if (value := best_epoch(run, metric)) is not None}
        for name in pair
    )
    differences = [arm[seed] - against[seed] for seed in arm.keys() & against.keys()]
    return fmean(differences) if differences else None
