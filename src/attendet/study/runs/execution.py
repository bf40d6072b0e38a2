"""Run a study: every run without a record is carried out once, and its record is written."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from attendet.errors import AttendetError, DataError
from attendet.study.design.grid import Cell, run_grid
from attendet.study.design.schema import StudyDesign
from attendet.study.folder import StudyFolder, read_cell
from attendet.study.image_records import read_image_matches, write_image_matches
from attendet.study.records import CellRecord, StudyRecord
from attendet.study.runs.cell_records import cell_record, failed_record
from attendet.study.runs.costs import measure_costs
from attendet.study.runs.executors import Executor, StudyObserver
from attendet.study.runs.job import Job, RunFailure, make_job
from attendet.study.runs.pairing_checks import find_unpaired
from attendet.training.config import build_config
from attendet.training.preparation import read_run_split
from attendet.training.reporter import NullReporter
from attendet.utils.html import Markup, html_table
from attendet.utils.io import read_json
from attendet.utils.limits import MAX_JSON_BYTES
from attendet.utils.processes.folder_lock import exclusive_lock
from attendet.utils.processes.temporary_files import remove_leftovers
from attendet.utils.records import write_record


@dataclass(frozen=True)
class StudyRunResult:
    """The result of a call of `run_study`.

    Attributes:
        folder: Files of the study.
        finished: Number of finished runs, including runs of earlier calls.
        failed: Names and error messages of the runs that failed in this call.
        left: Number of runs that were not started.
        diverged: Number of runs whose loss or weights became infinite or NaN, including runs of earlier calls.
        started: Number of runs of this call.
    """

    folder: StudyFolder
    finished: int
    failed: tuple[tuple[str, str], ...]
    left: int
    diverged: int = 0
    started: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return the folder, the numbers, and the error of each failed run by name, ready for JSON."""
        return {
            "folder": str(self.folder.path),
            "finished": self.finished,
            "failed": dict(self.failed),
            "left": self.left,
            "diverged": self.diverged,
            "started": self.started,
        }

    def _repr_html_(self) -> Markup:
        """Return the numbers of runs and the failed runs as tables, for notebooks."""
        numbers = [
            ("folder", self.folder.path),
            ("finished", self.finished),
            ("diverged", self.diverged),
            ("left", self.left),
        ]
        tables = html_table(("quantity", "value"), numbers, label="runs of the study")
        if self.failed:
            tables = Markup(tables + html_table(("failed run", "error"), self.failed, label="failed runs"))
        return tables


@dataclass(frozen=True)
class Study:
    """An opened study.

    Attributes:
        design: The design.
        base: The folder of study.yaml, which relative paths start from.
        folder: Files of the study's records and runs.
    """

    design: StudyDesign
    base: Path
    folder: StudyFolder

    def cells(self) -> tuple[str, list[Cell]]:
        """Return the fingerprint of the images, and the grid of all runs.

        Raises:
            AttendetError: If data or models are missing.
        """
        data = self._fingerprint()
        return data, run_grid(self.design, data, self.base)

    def job(self, cell: Cell) -> Job:
        """Return the job that carries out a run."""
        return make_job(cell, self.design, self.base, self.folder.path / "cells")

    def _fingerprint(self) -> str:
        settings = self.job(Cell(self.design.baseline, self.design.seeds[0], 1.0, "")).settings
        # Of all images, even if the baseline sees only a part of them.
        config = build_config({**settings, "data.fraction": 1.0})
        return "-".join(read_run_split(config, name, NullReporter()).fingerprint() for name in ("train", "val"))

    def finished(self, cells: Sequence[Cell]) -> dict[str, CellRecord]:
        """Return the records of the finished runs by key, with the current names of their arms."""
        return {key: record for key, record in self.ended(cells).items() if record.status == "finished"}

    def ended(self, cells: Sequence[Cell]) -> dict[str, CellRecord]:
        """Return the records of the runs that have an outcome, so that they are not repeated, by key.

        They finished or diverged. Records have the current names of their arms.
        """
        records = {cell.key: (cell, read_cell(self.folder, cell.key)) for cell in cells}
        return {
            key: record.model_copy(update={"arm": cell.arm})
            for key, (cell, record) in records.items()
            if record is not None and record.status != "failed"
        }


def run_study(
    study: Study, executor: Executor, observer: StudyObserver, limit: int | None = None, *, seeds: int | None = None
) -> StudyRunResult:
    """Carry out the runs that have no record yet, and measure the costs of the arms.

    A study can be interrupted at any time: finished runs are not repeated, and interrupted runs continue from their
    last complete epoch. A failed run is recorded, does not stop the others, and is tried again by the next call. A run
    whose loss or weights became infinite or NaN has diverged: it is recorded and not tried again, because it would
    diverge again.

    Args:
        study: The study.
        executor: Carries out the runs.
        observer: Receives progress and log lines.
        limit: Largest number of runs of this call.
        seeds: Number of seeds, the first ones of the design, whose runs are carried out (default: all).

    Raises:
        AttendetError: If data or models are missing, or another process is working on the study.
    """
    data, cells = study.cells()
    wanted = set(study.design.seeds[:seeds])
    with exclusive_lock(study.folder.path, "study"):
        remove_leftovers(study.folder.path)
        plan = StudyRecord(design=study.design, data=data, cells=tuple(cells))
        write_record(study.folder.study, plan)
        before = study.ended(cells)
        observer.on_plan(cells, list(before.values()))
        todo = [cell for cell in cells if cell.key not in before and cell.seed in wanted]
        chosen = todo if limit is None else todo[:limit]
        # Closed by Ctrl-C too, so that no process continues in the background.
        with closing(_ended(executor, [study.job(cell) for cell in chosen], observer)) as ended:
            for job, failure in ended:
                _record(study, plan, job, failure, observer)
        after = study.ended(cells)
        finished = {key: record for key, record in after.items() if record.status == "finished"}
        if len(chosen) == len(todo) and (chosen or not study.folder.costs.exists()):
            _measure(study, cells, finished, observer)
        # A run that finished before this call may turn out not to be a pair of a run that ended in it.
        lost = ({cell.key for cell in chosen} | before.keys()) - after.keys()
        failed = [(cell.name, _error(study, cell)) for cell in cells if cell.key in lost]
        return StudyRunResult(
            folder=study.folder,
            finished=len(finished),
            failed=tuple(failed),
            left=len(todo) - len(chosen),
            diverged=len(after) - len(finished),
            started=len(chosen),
        )


def _ended(
    executor: Executor, jobs: Sequence[Job], observer: StudyObserver
) -> Generator[tuple[Job, RunFailure | None], None, None]:
    yield from executor.run(jobs, observer)


def _record(study: Study, plan: StudyRecord, job: Job, failure: RunFailure | None, observer: StudyObserver) -> None:
    """Write the record of a run that has ended, and mark runs of its seed that are not pairs as failed."""
    try:
        record = (
            cell_record(job.cell, job.run, train=_train(job), data=plan.data)
            if failure is None
            else failed_record(job.cell, failure.message, diverged=failure.diverged, data=plan.data)
        )
    except DataError as damaged:
        record = failed_record(job.cell, str(damaged), data=plan.data)
    if record.status == "finished":
        _keep_image_matches(study, job, observer)
    write_record(study.folder.cell(job.cell.key), record)
    observer.on_run_end(job.cell, record)
    # The run may be the reference that the other runs of its seed are compared with.
    mates = [cell for cell in plan.cells if (cell.seed, cell.fraction) == (job.cell.seed, job.cell.fraction)]
    wrong = find_unpaired(study.finished(mates).values(), study.design)
    for cell in mates:
        if cell.key in wrong:
            unpaired = failed_record(cell, wrong[cell.key], data=plan.data)
            write_record(study.folder.cell(cell.key), unpaired)
            observer.on_run_end(cell, unpaired)


def _keep_image_matches(study: Study, job: Job, observer: StudyObserver) -> None:
    """Write the detections of a run on each validation image next to its record."""
    try:
        write_image_matches(study.folder.image_matches(job.cell.key), read_image_matches(job.image_matches))
    except DataError as error:
        observer.log(f"{job.cell.name}: the detections on each validation image were not kept: {error}")


def _train(job: Job) -> dict[str, object]:
    return read_json(job.training_images, MAX_JSON_BYTES)


def _error(study: Study, cell: Cell) -> str:
    record = read_cell(study.folder, cell.key)
    return record.error or "" if record is not None else ""


def _measure(study: Study, cells: Sequence[Cell], finished: dict[str, CellRecord], observer: StudyObserver) -> None:
    """Measure the costs of the arms, with the first finished run of each."""
    runs = {}
    for cell in cells:
        job = study.job(cell)
        if cell.key in finished and job.run.record.is_file():
            runs.setdefault(cell.arm, job.run)
    if not runs:
        return
    observer.log("measuring latency and memory of the arms in turns")
    try:
        write_record(study.folder.costs, measure_costs(runs, study.design.baseline))
    except AttendetError as error:
        # The remedy is about training, which is finished, so it is left out.
        place = f"{error.where}: " if error.where else ""
        observer.log(f"the costs of the arms were not measured: {place}{error.message}")
