"""The content of a study's report: everything that tables, figures, and report.json show."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter

from attendet.study.design.schema import METRIC_NAMES
from attendet.study.folder import StudyRecords
from attendet.study.records import CellRecord
from attendet.study.reporting.arms import ArmReport, arm_report
from attendet.study.reporting.contrasts import Contrast, family_of_contrasts
from attendet.study.runs.pairing_checks import find_unpaired
from attendet.study.statistics.paired import ALPHA
from attendet.study.statistics.verdict import cannot_decide, signed
from attendet.utils.html import Markup, html_paragraphs, html_table
from attendet.utils.text import plural


@dataclass(frozen=True)
class Failure:
    """A run that failed.

    Attributes:
        cell: Name of the run.
        error: Error message.
    """

    cell: str
    error: str


@dataclass(frozen=True)
class StudyReport:
    """The outcome of a study.

    Attributes:
        name: Name of the study.
        metric: Display name of the deciding metric.
        last_epochs: Number of last epochs that the metric is averaged over.
        baseline: The arm that the others are compared with.
        alpha: False-positive rate over all comparisons of a family.
        planned: Number of planned runs.
        finished: Number of finished runs.
        complete: Whether all runs are finished.
        arms: Reports of the arms, in the order of the design.
        contrasts: Comparisons of each arm with the baseline, then of each arm with its control.
        failures: Failed runs.
        measured_on: Device of the latency and memory measurements; None if they were not measured.
        measured_size: Side of the baseline's images in these measurements, in pixels.
        remarks: Remarks on the validity of the report.
    """

    name: str
    metric: str
    last_epochs: int
    baseline: str
    alpha: float
    planned: int
    finished: int
    complete: bool
    arms: tuple[ArmReport, ...]
    contrasts: tuple[Contrast, ...]
    failures: tuple[Failure, ...]
    measured_on: str | None
    measured_size: int | None
    remarks: tuple[str, ...]

    @property
    def batches(self) -> list[int]:
        """Batch sizes of the latency measurements, in ascending order."""
        return sorted({latency.batch for arm in self.arms if arm.costs for latency in arm.costs.latency})

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return TypeAdapter(StudyReport).dump_python(self, mode="json")

    def _repr_html_(self) -> Markup:
        """Return the verdicts as a table, and the remarks and failed runs below it, for notebooks."""
        header = ("arm", "against", "verdict", "seeds", f"difference in {self.metric}", "95 % interval", "p_holm")
        runs = f"Study {self.name}: {self.finished} of {plural(self.planned, 'run')} finished."
        failures = [f"{failure.cell} failed: {failure.error}" for failure in self.failures]
        table = html_table(header, map(_contrast_cells, self.contrasts), text_columns=3, label="verdicts")
        return Markup(html_paragraphs([runs]) + table + html_paragraphs([*self.remarks, *failures]))


def _contrast_cells(contrast: Contrast) -> tuple[str, ...]:
    return (
        contrast.arm,
        contrast.against,
        contrast.verdict,
        str(contrast.n),
        "-" if contrast.difference is None else signed(contrast.difference),
        "-" if contrast.interval is None else " to ".join(map(signed, contrast.interval)),
        f"{contrast.p_holm:.3g}",
    )


def make_study_report(records: StudyRecords) -> StudyReport:
    """Return the report of a study from the records that exist."""
    design = records.study.design
    finished = [record for record in records.cells.values() if record.status == "finished"]
    arms = tuple(arm_report(name, records) for name in design.arms)
    against_baseline = [(name, design.baseline) for name in design.arms if name != design.baseline]
    against_control = [(name, arm.control) for name, arm in design.arms.items() if arm.control]
    return StudyReport(
        name=design.name,
        metric=METRIC_NAMES[design.metric],
        last_epochs=design.last_epochs,
        baseline=design.baseline,
        alpha=ALPHA,
        planned=len(records.study.cells),
        finished=len(finished),
        complete=len(finished) == len(records.study.cells),
        arms=arms,
        contrasts=(
            *family_of_contrasts("baseline", against_baseline, records),
            *family_of_contrasts("control", against_control, records),
        ),
        failures=tuple(
            Failure(cell.name, records.cells[cell.key].error or "unknown")
            for cell in records.study.cells
            if cell.key in records.cells and records.cells[cell.key].status == "failed"
        ),
        measured_on=records.costs.device if records.costs else None,
        measured_size=records.costs.imgsz if records.costs else None,
        remarks=tuple(report_remarks(records)),
    )


def report_remarks(records: StudyRecords) -> Iterator[str]:
    """Yield the remarks on a study, one sentence each, without the final period."""
    design = records.study.design
    runs = [record for record in records.cells.values() if record.status == "finished"]
    missing = len(records.study.cells) - len(runs)
    if missing:
        failed = sum(record.status == "failed" for record in records.cells.values())
        among = f", {failed} of them failed" if failed else ""
        planned = plural(len(records.study.cells), "run")
        yield (
            f"{missing} of {planned} {'is' if missing == 1 else 'are'} missing{among}: the verdicts are provisional,"
            " and stopping as soon as one of them looks good makes it wrong more often than stated"
        )
    too_few = cannot_decide(len(design.seeds), design.comparisons)
    if too_few:
        yield too_few
    yield from _unpaired(runs, records)
    yield from _mixed(runs, "devices", lambda run: run.device)
    yield from _mixed(runs, "versions", lambda run: str(sorted(run.versions.items())))
    yield from records.problems


def _unpaired(runs: list[CellRecord], records: StudyRecords) -> Iterator[str]:
    wrong = find_unpaired(runs, records.study.design)
    yield from (f"{run.arm}, seed {run.seed}: {wrong[run.key]}" for run in runs if run.key in wrong)
    unknown = sum(run.order is None or not run.initialization for run in runs)
    if unknown:
        yield f"{plural(unknown, 'run')} did not record initial weights and image order: the pairing is not verified"


def _mixed(runs: list[CellRecord], what: str, value: Callable[[CellRecord], str | None]) -> Iterator[str]:
    values = {each for run in runs if (each := value(run)) is not None}
    if len(values) > 1:
        yield f"runs were made on {len(values)} different {what}"
