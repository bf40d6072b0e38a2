"""Arms against each other, seed by seed, with a verdict each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

from attendet.study.design.schema import METRIC_NAMES
from attendet.study.folder import StudyRecords, of_arm
from attendet.study.reporting.run_scores import best_epoch, by_seed
from attendet.study.statistics.paired import PairedDifference, holm, paired_difference
from attendet.study.statistics.power import least_alpha, smallest_detectable
from attendet.study.statistics.verdict import Verdict, explain, reach_verdict, seeds_needed


@dataclass(frozen=True)
class Contrast:
    """An arm against another, at all images.

    Attributes:
        arm: Which.
        against: The baseline, or the arm's control.
        family: Which of the two; Holm's adjustment is over a family.
        n: Seeds that have both runs.
        seeds: Which.
        differences: Arm minus other, by seed.
        difference: Their mean; None without pairs.
        spread: Their standard deviation.
        interval: Of the mean difference, 95 %.
        interval_method: How it was found.
        p: Of the sign-flip test, two-sided; 1 without pairs.
        p_floor: The least p that so many seeds can have.
        p_holm: p, adjusted for all comparisons of the family.
        p_holm_floor: The least p_holm that so many seeds can have, alone among the comparisons.
        verdict: helps, hurts, or not distinguishable.
        explanation: The same with its evidence, as a sentence.
        seeds_to_settle: How many seeds would settle an undecided comparison; None for a settled one, or above 200.
        detectable: The smallest true difference that so many seeds find in four of five studies, at this spread.
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
    """Compare pairs of arms; those without a seed in common count as p = 1, so that waiting for them gains nothing."""
    design = records.study.design
    scores = {name: by_seed(of_arm(records, name), design.metric, design.last_epochs) for name in design.arms}
    found = [paired_difference(scores[arm], scores[against]) for arm, against in pairs]
    adjusted = holm([each.p if each else 1.0 for each in found])
    return [
        _contrast(family, pair, each, p_holm, len(pairs), records)
        for pair, each, p_holm in zip(pairs, found, adjusted, strict=True)
    ]


def _contrast(
    family: Literal["baseline", "control"],
    pair: tuple[str, str],
    found: PairedDifference | None,
    p_holm: float,
    comparisons: int,
    records: StudyRecords,
) -> Contrast:
    arm, against = pair
    design = records.study.design
    verdict = reach_verdict(found, p_holm)
    needed = seeds_needed(found, comparisons) if verdict == "not distinguishable" else None
    multiple = smallest_detectable(found.n, comparisons) if found and found.spread else None
    best = [
        {run.seed: value for run in of_arm(records, name) if (value := best_epoch(run, design.metric)) is not None}
        for name in pair
    ]
    best_difference = [best[0][seed] - best[1][seed] for seed in best[0].keys() & best[1].keys()]
    return Contrast(
        arm=arm,
        against=against,
        family=family,
        n=found.n if found else 0,
        seeds=found.seeds if found else (),
        differences=found.differences if found else (),
        difference=found.difference if found else None,
        spread=found.spread if found else None,
        interval=found.ends if found else None,
        interval_method=found.interval.method if found and found.interval else None,
        p=found.p if found else 1.0,
        p_floor=found.p_floor if found else 1.0,
        p_holm=p_holm,
        p_holm_floor=least_alpha(found.n if found else 0, comparisons),
        verdict=verdict,
        explanation=explain(pair, found, p_holm, comparisons, needed, METRIC_NAMES[design.metric]),
        seeds_to_settle=needed,
        detectable=multiple * found.spread if multiple and found and found.spread else None,
        best_epoch_difference=fmean(best_difference) if best_difference else None,
    )
