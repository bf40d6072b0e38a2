"""The tables of a report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from attendet.study.reporting.arms import ArmReport, ScoreBreakdown
from attendet.study.reporting.contrasts import Contrast
from attendet.study.reporting.explanations import signed, span, verdict_phrase
from attendet.study.reporting.outcome import StudyReport
from attendet.study.statistics.paired import SeedSummary
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


def differences_table(report: StudyReport) -> Table:
    """Return the comparisons as a table."""
    header = (
        "arm",
        "against",
        "n",
        "difference",
        "interval, all together",
        "95 %, alone",
        "p",
        "adjusted p",
        "level",
        "verdict",
        "better",
        "best epoch",
        "detectable",
    )
    return Table(header, tuple(_contrast(each, report.matters) for each in report.contrasts))


def _contrast(each: Contrast, matters: float | None) -> tuple[str, ...]:
    alone = span(each.marginal_interval) if each.marginal_interval else NOTHING
    return (
        each.arm,
        each.against,
        str(each.n),
        _difference(each.difference),
        span(each.interval) if each.interval else NOTHING,
        f"{alone} (t)" if each.interval_method == "Student's t" else alone,
        f"{each.p:.3g}",
        f"{each.p_adjusted:.3g}",
        f"{each.level:.2g}" if each.level else "not yet",
        verdict_phrase(each.verdict, matters),
        _better(each),
        _difference(each.best_epoch_difference),
        f"{each.detectable:.3f}" if each.detectable is not None else NOTHING,
    )


def _better(contrast: Contrast) -> str:
    if contrast.better_probability is None:
        return NOTHING
    low, high = contrast.better_probability
    return f"{contrast.better} of {contrast.unequal} ({low:.2f} to {high:.2f})"


def images_table(contrasts: Sequence[Contrast]) -> Table:
    """Return the differences of the best weights with the chance of seeds and images as a table."""
    header = ("arm", "against", "difference", "± seeds", "± images", "± both", "95 %, images like these")
    rows = tuple(
        (
            each.arm,
            each.against,
            signed(found.difference),
            f"{found.seed_error:.3f}",
            f"{found.image_error:.3f}",
            f"{found.error:.3f}",
            span((found.low, found.high)),
        )
        for each in contrasts
        if (found := each.images)
    )
    return Table(header, rows)


def sensitivity_table(report: StudyReport) -> Table:
    """Return the differences for other numbers of deciding epochs as a table."""
    arms = [arm.name for arm in report.arms if arm.name != report.baseline]
    header = ("last epochs", *arms)
    rows = tuple(
        (
            f"{each.last_epochs}{' (design)' if each.last_epochs == report.last_epochs else ''}",
            *(
                f"{signed(each.differences[arm])} (p {each.p[arm]:.2g})" if arm in each.differences else NOTHING
                for arm in arms
            ),
        )
        for each in report.sensitivity
    )
    return Table(header, rows)


def arms_table(report: StudyReport) -> Table:
    """Return the scores of the arms as a table."""
    header = ("arm", "description", "seeds", report.metric, "lowest, highest", "best epoch")
    return Table(header, tuple(_arm(arm) for arm in report.arms))


def _arm(arm: ArmReport) -> tuple[str, ...]:
    ends = f"{arm.score.low:.3f}, {arm.score.high:.3f}" if arm.score else NOTHING
    # Runs on all images, like the other numbers of the row.
    seeds = f"{arm.score.n if arm.score else 0} of {arm.planned // len(arm.fractions)}"
    return arm.name, arm.description, seeds, _summary(arm.score), ends, _summary(arm.best_epoch)


def costs_table(report: StudyReport) -> Table:
    """Return the costs of the arms as a table."""
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


def fractions_table(report: StudyReport) -> Table:
    """Return the scores by fraction of the training images as a table."""
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


def gaps_table(report: StudyReport) -> Table:
    """Return the gaps between training and validation as a table."""
    header = ("arm", f"{report.metric}, training − validation", "loss, validation − training")
    rows = tuple((arm.name, _compared(arm.gap, arm.gap_difference), _summary(arm.loss_gap)) for arm in report.arms)
    return Table(header, rows)


def breakdown_table(report: StudyReport, kind: str) -> Table | None:
    """Return the scores by class or by object size as a table, or None without any.

    Args:
        report: The report.
        kind: `classes` or `sizes`, the attribute of an arm.
    """
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
