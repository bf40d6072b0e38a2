"""Scores, costs, and gaps of one arm of a study, over its seeds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import fmean

from attendet.study.folder import StudyRecords, runs_of_arm
from attendet.study.records import ArmCosts, CellRecord
from attendet.study.reporting.run_scores import best_epoch, by_seed, gap, loss_gap
from attendet.study.statistics.paired import SeedSummary, paired_difference, summarize_seeds

SIZES = ("small", "medium", "large")


@dataclass(frozen=True)
class ScoreBreakdown:
    """mAP50-95 of one class or one object size, for runs on all images and their best weights.

    Attributes:
        name: Name of the class, or small, medium, or large as COCO defines them.
        objects: Number of objects in the validation images; None for sizes.
        map50_95: mAP50-95 over the seeds.
        difference: Mean difference to the baseline over the seeds that both have; None for the baseline.
    """

    name: str
    objects: int | None
    map50_95: SeedSummary
    difference: float | None


@dataclass(frozen=True)
class AtFraction:
    """An arm that was trained on a fraction of the images.

    Attributes:
        fraction: Fraction of the training images, 0-1.
        images: Number of training images; None if no run has finished.
        score: Score over the seeds; None if no run has finished.
        difference: Mean difference to the baseline at the same fraction; None for the baseline or without pairs.
        interval: 95 % confidence interval of the difference.
    """

    fraction: float
    images: int | None
    score: SeedSummary | None
    difference: float | None
    interval: tuple[float, float] | None


@dataclass(frozen=True)
class ArmReport:
    """Results of one arm. Numbers are for runs on all training images, except `fractions`.

    Attributes:
        name: Name of the arm.
        description: What distinguishes the arm: its attention, model, weights, and settings.
        planned: Number of planned runs.
        finished: Number of finished runs.
        failed: Number of failed runs.
        diverged: Number of runs whose loss or weights became infinite or NaN.
        by_seed: Deciding score of each seed: the mean of the metric over the last epochs.
        score: Deciding score over the seeds; None if no run has finished, like every field below.
        best_epoch: Metric of the best epoch of each run. It is biased upward, because validation selected the epoch.
        gap: Metric on training images minus metric on validation images.
        gap_difference: Mean difference of the gap to the baseline's gap over the seeds that both have; None for the
            baseline.
        loss_gap: Validation loss minus training loss.
        parameters: Number of learned parameters.
        gflops: Billions of floating-point operations per image, at the training size.
        seconds: Training time.
        costs: Measured latency and memory; None if they were not measured.
        classes: Scores by class.
        sizes: Scores by object size.
        fractions: Scores by fraction of the training images.
    """

    name: str
    description: str
    planned: int
    finished: int
    failed: int
    diverged: int
    by_seed: Mapping[int, float]
    score: SeedSummary | None
    best_epoch: SeedSummary | None
    gap: SeedSummary | None
    gap_difference: float | None
    loss_gap: SeedSummary | None
    parameters: int | None
    gflops: float | None
    seconds: SeedSummary | None
    costs: ArmCosts | None
    classes: tuple[ScoreBreakdown, ...]
    sizes: tuple[ScoreBreakdown, ...]
    fractions: tuple[AtFraction, ...]


def arm_report(name: str, records: StudyRecords) -> ArmReport:
    """Return the report of one arm from the records of its runs."""
    design = records.study.design
    runs, baseline = runs_of_arm(records, name), runs_of_arm(records, design.baseline)
    scores = by_seed(runs, design.metric, design.last_epochs)
    planned = [cell for cell in records.study.cells if cell.arm == name]
    ended = [records.cells[cell.key].status for cell in planned if cell.key in records.cells]
    compared = baseline if name != design.baseline else []
    return ArmReport(
        name=name,
        description=design.arms[name].describe(),
        planned=len(planned),
        finished=ended.count("finished"),
        failed=ended.count("failed"),
        diverged=ended.count("diverged"),
        by_seed=dict(sorted(scores.items())),
        score=summarize_seeds(list(scores.values())),
        best_epoch=_over(runs, lambda run: best_epoch(run, design.metric)),
        gap=_over(runs, lambda run: gap(run, design.metric)),
        gap_difference=_paired(runs, compared, lambda run: gap(run, design.metric)),
        loss_gap=_over(runs, lambda run: loss_gap(run, design.last_epochs)),
        parameters=runs[0].parameters if runs else None,
        gflops=runs[0].gflops if runs else None,
        seconds=_over(runs, lambda run: run.seconds.get("training", run.seconds.get("total"))),
        costs=records.costs.arms.get(name) if records.costs else None,
        classes=_classes(runs, compared),
        sizes=_sizes(runs, compared),
        fractions=tuple(_at(fraction, name, records) for fraction in sorted(design.fractions)),
    )


def _over(runs: Sequence[CellRecord], value: Callable[[CellRecord], float | None]) -> SeedSummary | None:
    return summarize_seeds([number for number in map(value, runs) if number is not None])


def _classes(runs: Sequence[CellRecord], baseline: Sequence[CellRecord]) -> tuple[ScoreBreakdown, ...]:
    if not runs or runs[0].best is None:
        return ()
    parts = [
        _part(each.name, each.objects, runs, baseline, partial(_of_class, number=number, name=each.name))
        for number, each in enumerate(runs[0].best.per_class)
    ]
    return tuple(part for part in parts if part)


def _of_class(run: CellRecord, *, number: int, name: str) -> float | None:
    classes = run.best.per_class if run.best else ()
    return classes[number].ap50_95 if number < len(classes) and classes[number].name == name else None


def _sizes(runs: Sequence[CellRecord], baseline: Sequence[CellRecord]) -> tuple[ScoreBreakdown, ...]:
    parts = [_part(size, None, runs, baseline, partial(_of_size, size=size)) for size in SIZES]
    return tuple(part for part in parts if part)


def _of_size(run: CellRecord, *, size: str) -> float | None:
    return getattr(run.best, f"map_{size}", None)


def _part(
    name: str,
    objects: int | None,
    runs: Sequence[CellRecord],
    baseline: Sequence[CellRecord],
    value: Callable[[CellRecord], float | None],
) -> ScoreBreakdown | None:
    summary = _over(runs, value)
    return None if summary is None else ScoreBreakdown(name, objects, summary, _paired(runs, baseline, value))


def _paired(
    runs: Sequence[CellRecord], baseline: Sequence[CellRecord], value: Callable[[CellRecord], float | None]
) -> float | None:
    """Return the mean difference over the seeds that both have, or None without such seeds."""
    others = {run.seed: value(run) for run in baseline}
    pairs = [(value(run), others.get(run.seed)) for run in runs]
    differences = [mine - other for mine, other in pairs if mine is not None and other is not None]
    return fmean(differences) if differences else None


def _at(fraction: float, name: str, records: StudyRecords) -> AtFraction:
    design = records.study.design
    runs = runs_of_arm(records, name, fraction)
    scores = by_seed(runs, design.metric, design.last_epochs)
    others = by_seed(runs_of_arm(records, design.baseline, fraction), design.metric, design.last_epochs)
    paired = paired_difference(scores, others) if name != design.baseline else None
    return AtFraction(
        fraction=fraction,
        images=runs[0].images.get("train") if runs else None,
        score=summarize_seeds(list(scores.values())),
        difference=paired.difference if paired else None,
        interval=paired.ends if paired else None,
    )
