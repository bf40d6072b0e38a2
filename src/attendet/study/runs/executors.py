"""Interfaces for executors and observers of a study, and the executor that runs in this process."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from attendet.errors import DataError
from attendet.study.design.grid import Cell
from attendet.study.records import COLUMNS, CellRecord
from attendet.study.runs.job import Job, RunFailure, try_job
from attendet.training.reporter import NullReporter
from attendet.training.run_folder import read_results

# Number of times that a run is restarted after its process was killed.
MAX_RETRIES = 2
# Seconds between checks of runs in other processes.
POLL_SECONDS = 0.5


class StudyObserver(Protocol):
    """Receives the progress of a study."""

    def log(self, text: str) -> None:
        """Receive a log line."""
        ...

    def on_plan(self, cells: Sequence[Cell], ended: Sequence[CellRecord]) -> None:
        """Receive all runs, and the records of the runs that finished or diverged before."""
        ...

    def on_progress(self, cell: Cell, epoch: int, score: float | None) -> None:
        """Receive the number of completed epochs of a run (0 at its start), and the mAP50-95 of the last one."""
        ...

    def on_run_end(self, cell: Cell, record: CellRecord) -> None:
        """Receive the record of a run that has finished, failed, or diverged."""
        ...


class SilentObserver:
    """Ignores the progress of a study."""

    def log(self, text: str) -> None:
        """Ignore a line."""

    def on_plan(self, cells: Sequence[Cell], ended: Sequence[CellRecord]) -> None:
        """Ignore the plan."""

    def on_progress(self, cell: Cell, epoch: int, score: float | None) -> None:
        """Ignore an epoch."""

    def on_run_end(self, cell: Cell, record: CellRecord) -> None:
        """Ignore the end of a run."""


class Executor(Protocol):
    """Carries out the runs of a study."""

    def run(self, jobs: Sequence[Job], observer: StudyObserver) -> Iterator[tuple[Job, RunFailure | None]]:
        """Yield each job when it has ended, with its failure or None.

        Closing the iterator stops the running jobs.
        """
        ...


class ProgressFollower:
    """Reports the epochs of runs to an observer by reading their results, which any process may write."""

    def __init__(self, observer: StudyObserver) -> None:
        self._observer = observer
        self._reported: dict[str, int] = {}

    def follow(self, job: Job) -> None:
        """Report the current epoch of a run that was started or resumed."""
        self._reported.pop(job.cell.key, None)
        self.poll(job)

    def poll(self, job: Job) -> None:
        """Report new epochs."""
        epoch, score = epochs_done(job)
        if self._reported.get(job.cell.key) != epoch:
            self._reported[job.cell.key] = epoch
            self._observer.on_progress(job.cell, epoch, score)


def epochs_done(job: Job) -> tuple[int, float | None]:
    """Return the number of epochs that a run has written, and the mAP50-95 of the last one."""
    try:
        rows = read_results(job.run.results)
        score = rows[-1][COLUMNS["map50_95"]] if rows else math.nan
    except (DataError, KeyError):
        return 0, None
    return len(rows), None if math.isnan(score) else score


def describe_kill(times: int, why: str) -> str:
    """Return the error message of a run whose process was killed repeatedly."""
    return f"the process was killed {times} times ({why}); memory may be too small: use fewer workers"


class LocalExecutor:
    """Carries out runs one after the other, in this process."""

    def run(self, jobs: Sequence[Job], observer: StudyObserver) -> Iterator[tuple[Job, RunFailure | None]]:
        """Yield each job when it has ended, with its failure or None."""
        follower = ProgressFollower(observer)
        for job in jobs:
            follower.follow(job)
            yield job, try_job(job, EpochListener(job, follower))


class EpochListener(NullReporter):
    """Lets a follower report each epoch of a run in this process."""

    def __init__(self, job: Job, follower: ProgressFollower) -> None:
        self._job, self._follower = job, follower

    def on_epoch_end(self, row: Mapping[str, float], *, is_best: bool) -> None:  # noqa: ARG002
        """Report the epoch, whose row the run has already written."""
        self._follower.poll(self._job)
