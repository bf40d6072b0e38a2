"""One arm of a study in numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import fmean

from attendet.study.folder import StudyRecords, of_arm
from attendet.study.records import ArmCosts, CellRecord
from attendet.study.reporting.run_scores import best_epoch, by_seed, gap, loss_gap
from attendet.study.statistics.paired import SeedSummary, paired_difference, summarize_seeds

SIZES = ("small", "medium", "large")


@dataclass(frozen=True)
class ScoreBreakdown:
    """A class or a size of objects, at all images, of the best weights.

    Attributes:
        name: Of the class, or small, medium and large as COCO has them.
        objects: In the validation images; None for sizes.
        map50_95: By seed, summarized.
        difference: Mean difference to the baseline over the seeds that both have; None for the baseline.
    """

    name: str
    objects: int | None
    map50_95: SeedSummary
    difference: float | None


@dataclass(frozen=True)
class AtFraction:
    """An arm trained with a share of the images.

    Attributes:
        fraction: The share, in 0-1.
        images: Training images; None where no run has finished.
        score: By seed, summarized; None where no run has finished.
        difference: Mean difference to the baseline at the same share; None for the baseline, or without pairs.
        interval: Of that difference, 95 %.
    """

    fraction: float
    images: int | None
    score: SeedSummary | None
    difference: float | None
    interval: tuple[float, float] | None


@dataclass(frozen=True)
class ArmReport:
    """An arm; all numbers are of runs with all images unless they say otherwise.

    Attributes:
        name: Its name.
        description: What it is.
        planned: Runs that were planned.
        finished: Those that came to their end.
        failed: Those that did not.
        by_seed: What decides, by seed: the metric's mean over the last epochs.
        score: The same, summarized; None where nothing has finished, as with all that follow.
        best_epoch: The metric of the best epochs, which validation picked and which are too good for it.
        gap: The metric on training images minus on validation images.
        gap_difference: Mean difference of that gap to the baseline's over the seeds that both have; None for the
            baseline.
        loss_gap: Validation loss minus training loss.
        parameters: Learned values.
        gflops: Billions of floating-point operations an image, at the training size.
        seconds: Of training.
        costs: Latency and memory, measured; None where they were not.
        classes: By class.
        sizes: By size of the objects.
        fractions: By share of the training images.
    """

    name: str
    description: str
    planned: int
    finished: int
    failed: int
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
    """Return what an arm's runs say."""
    design = records.study.design
    runs, baseline = of_arm(records, name), of_arm(records, design.baseline)
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
    return summarize_seeds([found for found in map(value, runs) if found is not None])


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
    runs = of_arm(records, name, fraction)
    scores = by_seed(runs, design.metric, design.last_epochs)
    others = by_seed(of_arm(records, design.baseline, fraction), design.metric, design.last_epochs)
    found = paired_difference(scores, others) if name != design.baseline else None
    return AtFraction(
        fraction=fraction,
        images=runs[0].images.get("train") if runs else None,
        score=summarize_seeds(list(scores.values())),
        difference=found.difference if found else None,
        interval=found.ends if found else None,
    )
