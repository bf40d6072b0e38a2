"""A report as headed sections of text, tables and figures, which both page and Markdown are made of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from attendet.study.reporting.arms import ArmReport, ScoreBreakdown
from attendet.study.reporting.contrasts import Contrast
from attendet.study.reporting.outcome import StudyReport
from attendet.study.statistics.paired import SeedSummary
from attendet.study.statistics.verdict import signed
from attendet.utils.text import plural

NOTHING = "–"


@dataclass(frozen=True)
class Table:
    """A table of text cells; the first column names the row.

    Attributes:
        header: Headings of the columns.
        rows: Cells of each row, as many as there are columns.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Section:
    """A section of a report.

    Attributes:
        title: Heading.
        paragraphs: Paragraphs of text.
        points: Items of a list.
        table: Table of numbers.
        figure: Name of a figure; it is shown if it was drawn.
    """

    title: str
    paragraphs: tuple[str, ...] = ()
    points: tuple[str, ...] = ()
    table: Table | None = None
    figure: str | None = None


def report_sections(report: StudyReport) -> Iterator[Section]:
    """Yield the sections of a report, the verdicts first."""
    yield Section(
        "Verdicts",
        (_question(report),),
        tuple(contrast.explanation for contrast in report.contrasts),
        figure="differences",
    )
    if report.remarks:
        yield Section("Before you believe it", points=tuple(f"{remark}." for remark in report.remarks))
    yield Section(
        "Differences",
        (_test_description(report),),
        table=_contrasts(report.contrasts),
    )
    yield Section(
        "Arms",
        (_score_description(report),),
        table=_arms(report),
        figure="curves",
    )
    yield Section(
        "Cost",
        tuple(_cost_description(report)),
        table=_costs(report),
        figure="costs",
    )
    if any(len(arm.fractions) > 1 for arm in report.arms):
        text = "Trained on a fraction of the images. Only runs on all images are tested and have a verdict."
        yield Section("Data", (text,), table=_fractions(report), figure="data")
    yield Section(
        "Generalization",
        (_gap_description(report),),
        table=_gaps(report),
        figure="gap",
    )
    for title, parts in (("Classes", "classes"), ("Object sizes", "sizes")):
        table = _parts(report, parts)
        if table:
            text = "mAP50-95 of the best weights; in parentheses the mean difference to the baseline, not tested."
            yield Section(title, (text,), table=table)
    if report.failures:
        rows = tuple((failure.cell, failure.error) for failure in report.failures)
        yield Section("Failed runs", table=Table(("run", "error"), rows))


def _question(report: StudyReport) -> str:
    return (
        f"{report.finished} of {plural(report.planned, 'run')} finished. The score is {report.metric}, averaged"
        f" over the last {plural(report.last_epochs, 'epoch')} of each run. Arms are compared with {report.baseline},"
        " paired by seed."
    )


def _test_description(report: StudyReport) -> str:
    return (
        "Differences are arm minus other arm, seed by seed. Intervals have 95 % confidence; (t) marks Student's t. p is"
        " the p-value of the exact sign-flip test, and floor is the smallest value that this number of seeds can reach."
        f" p_holm is adjusted for the number of comparisons; a verdict needs p_holm of at most {report.alpha:g}. Best"
        " epoch is the difference between best epochs, which is not tested. Detectable is the smallest true difference"
        " that 80 % of studies with this number of seeds detect."
    )


def _score_description(report: StudyReport) -> str:
    return (
        f"Mean and standard deviation over the seeds of {report.metric}, averaged over the last"
        f" {plural(report.last_epochs, 'epoch')} of each run. Best epochs are selected on the images that measure them,"
        " so their scores are biased upward. Bands around learning curves are one standard deviation over the seeds."
    )


def _gap_description(report: StudyReport) -> str:
    return (
        f"{report.metric} of the best weights on unaugmented training images minus that on validation images;"
        " and validation loss minus training loss. Training losses are for augmented images, so only differences"
        " between arms are meaningful. In parentheses the mean difference to the baseline, not tested."
    )


def _contrasts(contrasts: Sequence[Contrast]) -> Table:
    header = (
        "arm",
        "against",
        "n",
        "difference",
        "95 % interval",
        "p",
        "floor",
        "p_holm",
        "verdict",
        "best epoch",
        "detectable",
    )
    rows = tuple(
        (
            each.arm,
            each.against,
            str(each.n),
            _difference(each.difference),
            _interval(each),
            f"{each.p:.3g}",
            f"{each.p_floor:.3g}",
            f"{each.p_holm:.3g}",
            each.verdict,
            _difference(each.best_epoch_difference),
            f"{each.detectable:.3f}" if each.detectable is not None else NOTHING,
        )
        for each in contrasts
    )
    return Table(header, rows)


def _interval(contrast: Contrast) -> str:
    if contrast.interval is None:
        return NOTHING
    low, high = contrast.interval
    mark = " (t)" if contrast.interval_method == "Student's t" else ""
    return f"{signed(low)} to {signed(high)}{mark}"


def _arms(report: StudyReport) -> Table:
    header = ("arm", "description", "seeds", report.metric, "lowest, highest", "best epoch")
    return Table(header, tuple(_arm(arm) for arm in report.arms))


def _arm(arm: ArmReport) -> tuple[str, ...]:
    ends = f"{arm.score.low:.3f}, {arm.score.high:.3f}" if arm.score else NOTHING
    # Runs on all images, like the other numbers of the row.
    seeds = f"{arm.score.n if arm.score else 0} of {arm.planned // len(arm.fractions)}"
    return arm.name, arm.description, seeds, _summary(arm.score), ends, _summary(arm.best_epoch)


def _costs(report: StudyReport) -> Table:
    header = (
        "arm",
        "parameters",
        "GFLOPs",
        *(f"ms, batch {batch} (quartiles)" for batch in report.batches),
        "MB stored per image",
        "peak MB",
        "training, s",
    )
    return Table(header, tuple(_cost(arm, report.batches) for arm in report.arms))


def _cost(arm: ArmReport, batches: Sequence[int]) -> tuple[str, ...]:
    latencies = {latency.batch: latency for latency in arm.costs.latency} if arm.costs else {}
    written, peak = (arm.costs.activation_bytes, arm.costs.peak_bytes) if arm.costs else (None, None)
    return (
        arm.name,
        f"{arm.parameters:,}" if arm.parameters is not None else NOTHING,
        f"{arm.gflops:.3f}" if arm.gflops is not None else NOTHING,
        *(
            f"{latency.median_ms:.1f} ({latency.low_ms:.1f} to {latency.high_ms:.1f})"
            if (latency := latencies.get(batch))
            else NOTHING
            for batch in batches
        ),
        _megabytes(written),
        _megabytes(peak),
        _summary(arm.seconds, digits=0),
    )


def _cost_description(report: StudyReport) -> Iterator[str]:
    if report.measured_on is None:
        yield "Latency and memory were not measured."
    else:
        yield (
            f"Latency is the time from images to detections on {report.measured_on}, with each arm at its training size"
            f" ({report.measured_size} pixels for {report.baseline}) and folded batch norms, measured in turns:"
            " median and quartiles. Peak memory is that of the largest batch. MB stored per image is the memory"
            " that training needs for the backward pass of one image."
        )
    if any(arm.score for arm in report.arms):
        yield "The dashed line is the Pareto front: the arms that no other arm beats in both accuracy and cost."


def _fractions(report: StudyReport) -> Table:
    fractions = [each.fraction for each in report.arms[0].fractions]
    header = ("arm", *(f"{fraction * 100:g} %" for fraction in fractions))
    rows = tuple(
        (
            arm.name,
            *(_compared(each.score, each.difference) for each in arm.fractions),
        )
        for arm in report.arms
    )
    return Table(header, rows)


def _gaps(report: StudyReport) -> Table:
    header = ("arm", f"{report.metric}, training − validation", "loss, validation − training")
    rows = tuple((arm.name, _compared(arm.gap, arm.gap_difference), _summary(arm.loss_gap)) for arm in report.arms)
    return Table(header, rows)


def _parts(report: StudyReport, kind: str) -> Table | None:
    by_arm = {arm.name: {part.name: part for part in getattr(arm, kind)} for arm in report.arms}
    names: dict[str, ScoreBreakdown] = {name: part for parts in by_arm.values() for name, part in parts.items()}
    if not names:
        return None
    rows = tuple(
        (
            name if part.objects is None else f"{name} ({plural(part.objects, 'object')})",
            *(_part(by_arm[arm.name].get(name)) for arm in report.arms),
        )
        for name, part in names.items()
    )
    return Table(("", *(arm.name for arm in report.arms)), rows)


def _part(part: ScoreBreakdown | None) -> str:
    if part is None:
        return NOTHING
    return _compared(part.map50_95, part.difference)


def _compared(summary: SeedSummary | None, difference: float | None) -> str:
    return _summary(summary) + (f" ({signed(difference)})" if difference is not None else "")


def _summary(summary: SeedSummary | None, digits: int = 3) -> str:
    if summary is None:
        return NOTHING
    mean = f"{summary.mean:.{digits}f}".replace("-", "−")
    return mean if summary.spread is None else f"{mean} ± {summary.spread:.{digits}f}"


def _difference(value: float | None) -> str:
    return NOTHING if value is None else signed(value)


def _megabytes(count: int | None) -> str:
    return NOTHING if count is None else f"{count / 1e6:.1f}"
