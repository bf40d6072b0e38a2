"""Records → report: everything that tables, figures and `report.json` show, and nothing that they do not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter

from attendet.study.design.schema import METRIC_NAMES
from attendet.study.folder import StudyRecords
from attendet.study.reporting.arms import ArmReport, arm_report
from attendet.study.reporting.contrasts import Contrast, family_of_contrasts
from attendet.study.reporting.remarks import report_remarks
from attendet.study.statistics.paired import ALPHA


@dataclass(frozen=True)
class Failure:
    """A run that failed.

    Attributes:
        cell: Its name.
        error: Why.
    """

    cell: str
    error: str


@dataclass(frozen=True)
class StudyReport:
    """A study's outcome.

    Attributes:
        name: The study's.
        metric: What decides, for people.
        last_epochs: Over how many last epochs it is averaged.
        baseline: The arm that the others are compared with.
        alpha: The false-positive rate, over all comparisons of a family.
        planned: Runs.
        finished: Those that came to their end.
        complete: Whether all did.
        arms: In the order of the design.
        contrasts: Each arm against the baseline, then each against its control.
        failures: Runs that failed.
        measured_on: The device that latency and memory were measured on; None where they were not.
        measured_size: Side in pixels of the images that the baseline took there.
        remarks: What a reader should know before believing it.
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
        """Numbers of images at once that latency was measured of, in order."""
        return sorted({found.batch for arm in self.arms if arm.costs for found in arm.costs.latency})

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return TypeAdapter(StudyReport).dump_python(self, mode="json")


def make_study_report(records: StudyRecords) -> StudyReport:
    """Return what the records of a study say, those that are there."""
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
