"""A report as headed sections of text, tables and figures, which both page and Markdown are made of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from attendet.study.reporting.explanations import describe_image_chance
from attendet.study.reporting.outcome import StudyReport
from attendet.study.reporting.report_tables import (
    Table,
    arms_table,
    breakdown_table,
    costs_table,
    differences_table,
    fractions_table,
    gaps_table,
    images_table,
    sensitivity_table,
)
from attendet.utils.text import plural

IMAGES_DESCRIPTION = (
    "Verdicts are about these images. These are differences of the best weights, which are not the score of the"
    " verdicts, with standard errors over other seeds, over other images, and over both. The intervals for images like"
    " these are not adjusted for the number of comparisons."
)


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
        sentences = tuple(
            f"{each.arm} against {each.against}: {describe_image_chance(each.images, report.metric)}."
            for each in report.contrasts
            if each.images
        )
        yield Section("Other images", (IMAGES_DESCRIPTION,), sentences, images_table(report.contrasts))
    yield Section(
        "Arms",
        (_score_description(report),),
        table=arms_table(report),
        figure="curves",
    )
    yield Section(
        "Cost",
        tuple(_cost_description(report)),
        table=costs_table(report),
        figure="costs",
    )
    if any(len(arm.fractions) > 1 for arm in report.arms):
        text = "Trained on a fraction of the images. Only runs on all images are tested and have a verdict."
        yield Section("Data", (text,), table=fractions_table(report), figure="data")
    yield Section(
        "Generalization",
        (_gap_description(report),),
        table=gaps_table(report),
        figure="gap",
    )
    for title, parts in (("Classes", "classes"), ("Object sizes", "sizes")):
        table = breakdown_table(report, parts)
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
    considered = plural(report.seeds_considered, "seed")
    seeds = considered if report.seeds_considered == header.seeds else f"{considered} of {header.seeds}"
    yield (
        f"{plural(arms, 'arm was', 'arms were')} compared with {report.baseline} ({header.model},"
        f" {plural(header.epochs, 'epoch')} at {header.imgsz} pixels{images}) with {seeds} each;"
        f" {report.finished} of {plural(report.planned, 'planned run')} finished."
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
    return (
        f"Of studies like this one, 80 % find a true difference of {max(detectable):.2g} {report.metric}; smaller"
        " differences are often missed."
    )


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
        for arm, verdict in (chosen.verdicts if chosen else {}).items()
        if any(each.verdicts.get(arm, verdict) != verdict for each in report.sensitivity)
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
