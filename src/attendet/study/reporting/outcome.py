"""The content of a study's report: everything that tables, figures, and report.json show."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

from pydantic import TypeAdapter

from attendet.study.design.schema import METRIC_NAMES
from attendet.study.folder import StudyRecords
from attendet.study.ledger import Ledger, current_look
from attendet.study.reporting.arms import ArmReport, arm_report
from attendet.study.reporting.contrasts import Contrast, family_of_contrasts, seeds_looked_at
from attendet.study.reporting.design_history import dropped_arms, history_remarks
from attendet.study.reporting.epoch_sensitivity import Sensitivity, sensitivity_to_epochs
from attendet.study.reporting.explanations import signed, span
from attendet.study.reporting.header import StudyHeader, answer, study_header
from attendet.study.reporting.reservations import report_remarks
from attendet.study.statistics.resampling import ALPHA
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
        answer: The answer in one line.
        header: Data, model, and training.
        matters: Smallest difference that matters, in units of the metric; None if the design does not define it.
        alpha: False-positive rate over all comparisons of a family.
        planned: Number of planned runs.
        finished: Number of finished runs.
        seeds_considered: Number of seeds that the verdicts are based on: up to the last complete look, or all.
        complete: Whether all runs have finished or diverged.
        arms: Reports of the arms, in the order of the design.
        contrasts: Comparisons of each arm with the baseline, then of each arm with its control.
        failures: Failed runs.
        measured_on: Device of the latency and memory measurements; None if they were not measured.
        measured_size: Side of the baseline's images in these measurements, in pixels.
        remarks: Remarks on the validity of the report.
        history: Changes since the first look at the results.
        sensitivity: The differences for other numbers of deciding epochs.
    """

    name: str
    metric: str
    last_epochs: int
    baseline: str
    answer: str
    header: StudyHeader
    matters: float | None
    alpha: float
    planned: int
    finished: int
    seeds_considered: int
    complete: bool
    arms: tuple[ArmReport, ...]
    contrasts: tuple[Contrast, ...]
    failures: tuple[Failure, ...]
    measured_on: str | None
    measured_size: int | None
    remarks: tuple[str, ...]
    history: tuple[str, ...]
    sensitivity: tuple[Sensitivity, ...]

    @property
    def batches(self) -> list[int]:
        """Batch sizes of the latency measurements, in ascending order."""
        return sorted({latency.batch for arm in self.arms if arm.costs for latency in arm.costs.latency})

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return TypeAdapter(StudyReport).dump_python(self, mode="json")

    def _repr_html_(self) -> Markup:
        """Return the verdicts as a table, and the remarks and failed runs below it, for notebooks."""
        header = ("arm", "against", "verdict", "seeds", f"difference in {self.metric}", "interval", "p")
        runs = f"Study {self.name}: {self.finished} of {plural(self.planned, 'run')} finished. {self.answer}"
        failures = [f"{failure.cell} failed: {failure.error}" for failure in self.failures]
        table = html_table(header, map(_contrast_cells, self.contrasts), text_columns=3, label="verdicts")
        return Markup(html_paragraphs([runs]) + table + html_paragraphs([*self.history, *self.remarks, *failures]))


def _contrast_cells(contrast: Contrast) -> tuple[str, ...]:
    return (
        contrast.arm,
        contrast.against,
        contrast.verdict,
        str(contrast.n),
        "-" if contrast.difference is None else signed(contrast.difference),
        "-" if contrast.interval is None else span(contrast.interval),
        f"{contrast.p_adjusted:.3g}",
    )


def make_study_report(records: StudyRecords, ledger: Ledger | None = None) -> StudyReport:
    """Return the report of a study from the records that exist.

    Args:
        records: Records of the study.
        ledger: Earlier looks at its results (default: none).
    """
    ledger = ledger or Ledger()
    design = records.study.design
    finished = [record for record in records.cells.values() if record.status == "finished"]
    against_baseline = [(name, design.baseline) for name in design.arms if name != design.baseline]
    against_control = [(name, arm.control) for name, arm in design.arms.items() if arm.control]
    contrasts = (
        *family_of_contrasts("baseline", against_baseline, records, dropped_arms(records, ledger)),
        *family_of_contrasts("control", against_control, records),
    )
    look = current_look(records, contrast_verdicts(contrasts))
    number = ledger.number_of(look)
    return StudyReport(
        name=design.name,
        metric=METRIC_NAMES[design.metric],
        last_epochs=design.last_epochs,
        baseline=design.baseline,
        answer=answer(contrasts, METRIC_NAMES[design.metric], design.matters),
        header=study_header(records, number),
        matters=design.matters,
        alpha=ALPHA,
        planned=len(records.study.cells),
        finished=len(finished),
        seeds_considered=len(seeds_looked_at(records)),
        complete=sum(each.status != "failed" for each in records.cells.values()) == len(records.study.cells),
        arms=tuple(arm_report(name, records) for name in design.arms),
        contrasts=contrasts,
        failures=tuple(
            Failure(cell.name, records.cells[cell.key].error or "unknown")
            for cell in records.study.cells
            if cell.key in records.cells and records.cells[cell.key].status == "failed"
        ),
        measured_on=records.costs.device if records.costs else None,
        measured_size=records.costs.imgsz if records.costs else None,
        remarks=(*report_remarks(records, contrasts), *ledger.problems),
        history=tuple(history_remarks(records, ledger, look)),
        sensitivity=sensitivity_to_epochs(records, partial(dropped_arms, ledger=ledger)),
    )


def contrast_verdicts(contrasts: Iterable[Contrast]) -> dict[str, str]:
    """Return the verdict of each comparison by its name, for the ledger."""
    return {f"{each.arm} against {each.against}": each.verdict for each in contrasts}
