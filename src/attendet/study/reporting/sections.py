"""A report as headed sections of text, tables and figures, which both page and Markdown are made of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from attendet.study.reporting.arms import ArmReport, ScoreBreakdown
from attendet.study.reporting.contrasts import Contrast
from attendet.study.reporting.explanations import signed, span, verdict_phrase
from attendet.study.reporting.outcome import StudyReport
from attendet.study.statistics.paired import SeedSummary
from attendet.utils.text import plural

NOTHING = "–"
IMAGES_DESCRIPTION = (
    "Difference of the best weights, with its standard errors over other seeds, over other images, and over both. The"
    " verdicts are about these images; the interval is about images like these, and is not adjusted for the number of"
    " comparisons."
)


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
        after: Paragraphs below table and figure.
    """

    title: str
    paragraphs: tuple[str, ...] = ()
    points: tuple[str, ...] = ()
    table: Table | None = None
    figure: str | None = None
    after: tuple[str, ...] = ()


def report_sections(report: StudyReport) -> Iterator[Section]:
    """Yield the sections of a report: the answer, its evidence, then everything else."""
    yield Section("Answer", (report.answer,), figure="differences", after=(" ".join(three_sentences(report)),))
    yield Section("Setup", table=Table(("", ""), tuple(report.header.rows())))
    yield Section("Verdicts", points=tuple(contrast.explanation for contrast in report.contrasts))
    reservations = (*report.history, *report.remarks)
    if reservations:
        yield Section("Before you believe it", points=tuple(f"{_capitalized(each)}." for each in reservations))
    yield Section("Differences", (_test_description(report),), table=differences_table(report))
    if len(report.sensitivity) > 1:
        yield Section("If other epochs decided", (_sensitivity_description(report),), table=sensitivity_table(report))
    if any(each.images for each in report.contrasts):
        yield Section("Other images", (IMAGES_DESCRIPTION,), table=images_table(report.contrasts))
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


def three_sentences(report: StudyReport) -> Iterator[str]:
    """Yield the compared arms, the precision, and the most important reservation, one sentence each."""
    header, arms = report.header, len(report.arms) - 1
    images = f" on {header.images['train']:,} images" if "train" in header.images else ""
    yield (
        f"{plural(arms, 'arm was', 'arms were')} compared with {report.baseline} ({header.model},"
        f" {plural(header.epochs, 'epoch')} at {header.imgsz} pixels{images}) with {plural(header.seeds, 'seed')} each;"
        f" {report.finished} of {plural(report.planned, 'run')} finished."
    )
    yield _precision(report)
    reservations = (*report.history, *report.remarks)
    if reservations:
        yield f"The first reservation: {reservations[0]}."
    else:
        yield "No reservation was found: the runs are pairs, and they had stopped rising."


def _precision(report: StudyReport) -> str:
    detectable = [each.detectable for each in report.contrasts if each.detectable is not None]
    if not detectable:
        return "The seeds are too few to find any difference."
    low, high = min(detectable), max(detectable)
    size = f"{low:.3f}" if f"{low:.3f}" == f"{high:.3f}" else f"{low:.3f} to {high:.3f}"
    return f"Of studies like this one, 80 % find a true difference of {size} {report.metric}; smaller ones stay open."


def _capitalized(sentence: str) -> str:
    return f"{sentence[:1].upper()}{sentence[1:]}"


def _test_description(report: StudyReport) -> str:
    matters = (
        f" A difference does not matter if the interval of twice the level is within ±{report.matters:g}."
        if report.matters
        else ""
    )
    return (
        f"The score is {report.metric}, averaged over the last {plural(report.last_epochs, 'epoch')} of each run."
        " Differences are arm minus other arm, seed by seed. Test and intervals are one method, exact sign flips, which"
        " assumes that differences are symmetric. The adjusted p counts all comparisons of the same kind (step-down"
        " maxT); a verdict needs an adjusted p of at most the level. The first interval holds for all comparisons"
        " together and agrees with the verdict; the second one is for one comparison alone, and (t) marks Student's"
        f" t.{matters} Better is the number of seeds for which the arm is better, with the 95 % interval of the"
        " probability for the next seed. Best epoch is the difference between best epochs, which is not tested."
        " Detectable is the smallest true difference that 80 % of studies with this number of seeds detect."
    )


def _sensitivity_description(report: StudyReport) -> str:
    chosen = next((each for each in report.sensitivity if each.last_epochs == report.last_epochs), None)
    changed = sorted(
        arm
        for arm, direction in (chosen.directions() if chosen else {}).items()
        if any(each.directions().get(arm, direction) != direction for each in report.sensitivity)
    )
    verdicts = f"The verdict changes for {', '.join(changed)}." if changed else "No verdict changes."
    return (
        f"Difference to {report.baseline} and adjusted p, if another number of last epochs were averaged. The design"
        f" fixed {report.last_epochs} before the first run. {verdicts}"
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
        f"{each.level:.2g}",
        verdict_phrase(each.verdict, matters),
        _better(each),
        _difference(each.best_epoch_difference),
        f"{each.detectable:.3f}" if each.detectable is not None else NOTHING,
    )


def _better(contrast: Contrast) -> str:
    if contrast.better_probability is None:
        return NOTHING
    low, high = contrast.better_probability
    return f"{contrast.better} of {contrast.n} ({low:.2f} to {high:.2f})"


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
