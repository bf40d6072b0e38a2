"""Who carries out the runs of a study, and who watches."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from attendet.errors import DataError
from attendet.study.design.grid import Cell
from attendet.study.records import COLUMNS, CellRecord
from attendet.study.runs.job import Job, attempt
from attendet.training.reporter import NullReporter
from attendet.training.run_folder import read_results

# How often a run is begun again whose process was killed.
RETRIES = 2
# Seconds between two looks at runs that other processes carry out.
POLL_SECONDS = 0.5


class StudyObserver(Protocol):
    """Who watches a study."""

    def log(self, text: str) -> None:
        """Take one line."""
        ...

    def on_plan(self, cells: Sequence[Cell], finished: Sequence[CellRecord]) -> None:
        """Take all runs, and the records of those that are done."""
        ...

    def on_progress(self, cell: Cell, epoch: int, score: float | None) -> None:
        """Take the epochs that a run has done, 0 when it begins, and the mAP50-95 of the last one."""
        ...

    def on_run_end(self, cell: Cell, record: CellRecord) -> None:
        """Take the record of a run that has ended, well or not."""
        ...


class SilentObserver:
    """Ignores the progress of a study."""

    def log(self, text: str) -> None:
        """Ignore a line."""

    def on_plan(self, cells: Sequence[Cell], finished: Sequence[CellRecord]) -> None:
        """Ignore the plan."""

    def on_progress(self, cell: Cell, epoch: int, score: float | None) -> None:
        """Ignore an epoch."""

    def on_run_end(self, cell: Cell, record: CellRecord) -> None:
        """Ignore the end of a run."""


class Executor(Protocol):
    """Who carries out the runs of a study."""

    def run(self, jobs: Sequence[Job], observer: StudyObserver) -> Iterator[tuple[Job, str | None]]:
        """Yield each job when it has ended, with what went wrong, or None.

        Closing the iterator stops what is under way.
        """
        ...


class ProgressFollower:
    """Tells a observer about the epochs of runs, from their results, whichever process writes them."""

    def __init__(self, observer: StudyObserver) -> None:
        self._observer = observer
        self._told: dict[str, int] = {}

    def follow(self, job: Job) -> None:
        """Tell how far a run is that has been begun, or taken up again."""
        self._told.pop(job.cell.key, None)
        self.poll(job)

    def poll(self, job: Job) -> None:
        """Tell what is new."""
        epoch, score = epochs_done(job)
        if self._told.get(job.cell.key) != epoch:
            self._told[job.cell.key] = epoch
            self._observer.on_progress(job.cell, epoch, score)


def epochs_done(job: Job) -> tuple[int, float | None]:
    """Return how many epochs a run has written, and the mAP50-95 of the last one."""
    try:
        rows = read_results(job.run.results)
        score = rows[-1][COLUMNS["map50_95"]] if rows else math.nan
    except (DataError, KeyError):
        return 0, None
    return len(rows), None if math.isnan(score) else score


def killed(times: int, why: str) -> str:
    """Return what is told of a run whose process was killed time and again."""
    return f"its process was killed {times} times ({why}); there may be too little memory: use fewer workers"


class LocalExecutor:
    """Carries out runs one after the other, in this process."""

    def run(self, jobs: Sequence[Job], observer: StudyObserver) -> Iterator[tuple[Job, str | None]]:
        """Yield each job when it has ended, with what went wrong, or None."""
        follower = ProgressFollower(observer)
        for job in jobs:
            follower.follow(job)
            yield job, attempt(job, EpochListener(job, follower))


class EpochListener(NullReporter):
    """Hears when an epoch of a run has been written, and lets a follower look."""

    def __init__(self, job: Job, follower: ProgressFollower) -> None:
        self._job, self._follower = job, follower

    def ended(self, row: Mapping[str, float], *, is_best: bool) -> None:  # noqa: ARG002
        """Take the row of an epoch, which the run has written."""
        self._follower.poll(self._job)
