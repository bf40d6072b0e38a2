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
    """Rows of words; the first column names the row.

    Attributes:
        header: Of the columns.
        rows: As wide as the header.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Section:
    """Something to read.

    Attributes:
        title: Its heading.
        paragraphs: Text.
        points: A list.
        table: Numbers.
        figure: Name of a figure, shown where it was drawn.
    """

    title: str
    paragraphs: tuple[str, ...] = ()
    points: tuple[str, ...] = ()
    table: Table | None = None
    figure: str | None = None


def report_sections(report: StudyReport) -> Iterator[Section]:
    """Yield what a report has to say, the verdicts first."""
    yield Section(
        "Verdicts",
        (_asked(report),),
        tuple(contrast.explanation for contrast in report.contrasts),
        figure="differences",
    )
    if report.remarks:
        yield Section("Before you believe it", points=tuple(f"{remark}." for remark in report.remarks))
    yield Section(
        "Differences",
        (_tested(report),),
        table=_contrasts(report.contrasts),
    )
    yield Section(
        "Arms",
        (_measured(report),),
        table=_arms(report),
        figure="curves",
    )
    yield Section(
        "Cost",
        tuple(_priced(report)),
        table=_costs(report),
        figure="costs",
    )
    if any(len(arm.fractions) > 1 for arm in report.arms):
        told = "Trained with a share of the images. Only all images decide; the rest is for reading, without a verdict."
        yield Section("Data", (told,), table=_fractions(report), figure="data")
    yield Section(
        "Generalization",
        (_gap_told(report),),
        table=_gaps(report),
        figure="gap",
    )
    for title, parts in (("Classes", "classes"), ("Sizes of objects", "sizes")):
        table = _parts(report, parts)
        if table:
            told = "mAP50-95 of the best weights; in brackets the mean difference to the baseline, without a verdict."
            yield Section(title, (told,), table=table)
    if report.failures:
        rows = tuple((failure.cell, failure.error) for failure in report.failures)
        yield Section("Failed runs", table=Table(("run", "why"), rows))


def _asked(report: StudyReport) -> str:
    return (
        f"{report.finished} of {plural(report.planned, 'run')} finished. What decides is {report.metric}, averaged"
        f" over the last {plural(report.last_epochs, 'epoch')} of each run, against {report.baseline}, paired by seed."
    )


def _tested(report: StudyReport) -> str:
    return (
        "Arm minus other, seed by seed. The interval is at 95 %, (t) where it is Student's; p is that of the exact"
        " sign-flip test, and cannot be"
        " below its floor with so few seeds; p_holm is adjusted for the number of comparisons and decides at"
        f" {report.alpha:g}. Best epoch is the same difference between best epochs, which decides nothing; detectable"
        " is the smallest true difference that so many seeds find in four of five studies."
    )


def _measured(report: StudyReport) -> str:
    return (
        f"Mean and standard deviation over seeds of {report.metric}, the mean of each run's last"
        f" {plural(report.last_epochs, 'epoch')}. Best epochs are picked by the images that measure them, and too good"
        " by what luck adds. Bands around learning curves are one standard deviation over seeds."
    )


def _gap_told(report: StudyReport) -> str:
    return (
        f"{report.metric} of the best weights on training images, not augmented, minus on validation images; and"
        " validation loss minus training loss. Training losses are of augmented images, so that only differences"
        " between arms mean something. In brackets the mean difference to the baseline, without a verdict."
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
    header = ("arm", "what it is", "seeds", report.metric, "least, most", "best epoch")
    return Table(header, tuple(_arm(arm) for arm in report.arms))


def _arm(arm: ArmReport) -> tuple[str, ...]:
    ends = f"{arm.score.low:.3f}, {arm.score.high:.3f}" if arm.score else NOTHING
    # Those with all images, which the numbers beside are of.
    seeds = f"{arm.score.n if arm.score else 0} of {arm.planned // len(arm.fractions)}"
    return arm.name, arm.description, seeds, _summary(arm.score), ends, _summary(arm.best_epoch)


def _costs(report: StudyReport) -> Table:
    header = (
        "arm",
        "parameters",
        "GFLOPs",
        *(f"ms, batch {batch} (quartiles)" for batch in report.batches),
        "MB kept an image",
        "peak MB",
        "training, s",
    )
    return Table(header, tuple(_cost(arm, report.batches) for arm in report.arms))


def _cost(arm: ArmReport, batches: Sequence[int]) -> tuple[str, ...]:
    latencies = {found.batch: found for found in arm.costs.latency} if arm.costs else {}
    written, peak = (arm.costs.activation_bytes, arm.costs.peak_bytes) if arm.costs else (None, None)
    return (
        arm.name,
        f"{arm.parameters:,}" if arm.parameters is not None else NOTHING,
        f"{arm.gflops:.3f}" if arm.gflops is not None else NOTHING,
        *(
            f"{found.median_ms:.1f} ({found.low_ms:.1f} to {found.high_ms:.1f})"
            if (found := latencies.get(batch))
            else NOTHING
            for batch in batches
        ),
        _megabytes(written),
        _megabytes(peak),
        _summary(arm.seconds, digits=0),
    )


def _priced(report: StudyReport) -> Iterator[str]:
    if report.measured_on is None:
        yield "Latency and memory were not measured."
    else:
        yield (
            f"Latency is from images to detections on {report.measured_on}, each arm at its own training size,"
            f" {report.measured_size} pixels for {report.baseline}; batch norms folded, all arms in turns: median and"
            " quartiles. Peak memory is that of the largest batch; MB kept is what training keeps of one image for the"
            " backward pass."
        )
    if any(arm.score for arm in report.arms):
        yield "The dashed line is the Pareto front: arms that no other arm beats in both accuracy and cost."


def _fractions(report: StudyReport) -> Table:
    shares = [each.fraction for each in report.arms[0].fractions]
    header = ("arm", *(f"{share * 100:g} %" for share in shares))
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
