"""Comparisons between arms, paired by seed, each with a verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

from attendet.study.design.schema import METRIC_NAMES
from attendet.study.folder import StudyRecords, runs_of_arm
from attendet.study.reporting.run_scores import best_epoch, by_seed
from attendet.study.statistics.paired import PairedDifference, holm, paired_difference
from attendet.study.statistics.power import min_p_holm, smallest_detectable
from attendet.study.statistics.verdict import Verdict, reach_verdict, seeds_needed, verdict_sentence


@dataclass(frozen=True)
class Contrast:
    """The comparison of an arm with another arm, for runs on all training images.

    Attributes:
        arm: Name of the arm.
        against: Name of the arm that it is compared with: the baseline, or the arm's control.
        family: Which of the two. Holm's correction is applied within a family.
        n: Number of seeds that have both runs.
        seeds: These seeds.
        differences: Score of the arm minus score of the other arm, for each of these seeds.
        difference: Mean difference; None without pairs.
        spread: Standard deviation of the differences.
        interval: 95 % confidence interval of the mean difference.
        interval_method: How the interval was computed.
        p: Two-sided p-value of the sign-flip test; 1 without pairs.
        p_floor: Smallest p-value that this number of seeds can reach.
        p_holm: p-value adjusted for all comparisons of the family.
        p_holm_floor: Smallest p_holm that this number of seeds can reach, as the only significant comparison.
        verdict: helps, hurts, or not distinguishable.
        explanation: The verdict and its evidence as a sentence.
        seeds_to_settle: Number of seeds that would decide an undecided comparison; None if it is decided, or above 200.
        detectable: Smallest true difference that 80 % of studies with this number of seeds and this spread detect.
        best_epoch_difference: Mean difference of the best epochs, for comparison.
    """

    arm: str
    against: str
    family: Literal["baseline", "control"]
    n: int
    seeds: tuple[int, ...]
    differences: tuple[float, ...]
    difference: float | None
    spread: float | None
    interval: tuple[float, float] | None
    interval_method: str | None
    p: float
    p_floor: float
    p_holm: float
    p_holm_floor: float
    verdict: Verdict
    explanation: str
    seeds_to_settle: int | None
    detectable: float | None
    best_epoch_difference: float | None


def family_of_contrasts(
    family: Literal["baseline", "control"], pairs: Sequence[tuple[str, str]], records: StudyRecords
) -> list[Contrast]:
    """Compare pairs of arms. A pair without a common seed counts as p = 1, so leaving runs out cannot lower p_holm."""
    design = records.study.design
    scores = {name: by_seed(runs_of_arm(records, name), design.metric, design.last_epochs) for name in design.arms}
    differences = [paired_difference(scores[arm], scores[against]) for arm, against in pairs]
    adjusted = holm([each.p if each else 1.0 for each in differences])
    return [
        _contrast(family, pair, each, p_holm, len(pairs), records)
        for pair, each, p_holm in zip(pairs, differences, adjusted, strict=True)
    ]


def _contrast(
    family: Literal["baseline", "control"],
    pair: tuple[str, str],
    paired: PairedDifference | None,
    p_holm: float,
    comparisons: int,
    records: StudyRecords,
) -> Contrast:
    arm, against = pair
    design = records.study.design
    verdict = reach_verdict(paired, p_holm)
    needed = seeds_needed(paired, comparisons) if verdict == "not distinguishable" else None
    multiple = smallest_detectable(paired.n, comparisons) if paired and paired.spread else None
    best = [
        {run.seed: value for run in runs_of_arm(records, name) if (value := best_epoch(run, design.metric)) is not None}
        for name in pair
    ]
    best_difference = [best[0][seed] - best[1][seed] for seed in best[0].keys() & best[1].keys()]
    return Contrast(
        arm=arm,
        against=against,
        family=family,
        n=paired.n if paired else 0,
        seeds=paired.seeds if paired else (),
        differences=paired.differences if paired else (),
        difference=paired.difference if paired else None,
        spread=paired.spread if paired else None,
        interval=paired.ends if paired else None,
        interval_method=paired.interval.method if paired and paired.interval else None,
        p=paired.p if paired else 1.0,
        p_floor=paired.p_floor if paired else 1.0,
        p_holm=p_holm,
        p_holm_floor=min_p_holm(paired.n if paired else 0, comparisons),
        verdict=verdict,
        explanation=verdict_sentence(pair, paired, p_holm, comparisons, needed, METRIC_NAMES[design.metric]),
        seeds_to_settle=needed,
        detectable=multiple * paired.spread if multiple and paired and paired.spread else None,
        best_epoch_difference=fmean(best_difference) if best_difference else None,
    )
