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
LOOK = 0.5


class Watcher(Protocol):
    """Who watches a study."""

    def say(self, text: str) -> None:
        """Take one line."""
        ...

    def planned(self, cells: Sequence[Cell], finished: Sequence[CellRecord]) -> None:
        """Take all runs, and the records of those that are done."""
        ...

    def moved(self, cell: Cell, epoch: int, score: float | None) -> None:
        """Take the epochs that a run has done, 0 when it begins, and the mAP50-95 of the last one."""
        ...

    def ended(self, cell: Cell, record: CellRecord) -> None:
        """Take the record of a run that has ended, well or not."""
        ...


class Executor(Protocol):
    """Who carries out the runs of a study."""

    def run(self, jobs: Sequence[Job], watcher: Watcher) -> Iterator[tuple[Job, str | None]]:
        """Yield each job when it has ended, with what went wrong, or None.

        Closing the iterator stops what is under way.
        """
        ...


class Follower:
    """Tells a watcher about the epochs of runs, from their results, whichever process writes them."""

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher
        self._told: dict[str, int] = {}

    def began(self, job: Job) -> None:
        """Tell how far a run is that has been begun, or taken up again."""
        self._told.pop(job.cell.key, None)
        self.look(job)

    def look(self, job: Job) -> None:
        """Tell what is new."""
        epoch, score = epochs_done(job)
        if self._told.get(job.cell.key) != epoch:
            self._told[job.cell.key] = epoch
            self._watcher.moved(job.cell, epoch, score)


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

    def run(self, jobs: Sequence[Job], watcher: Watcher) -> Iterator[tuple[Job, str | None]]:
        """Yield each job when it has ended, with what went wrong, or None."""
        follower = Follower(watcher)
        for job in jobs:
            follower.began(job)
            yield job, attempt(job, EpochListener(job, follower))


class EpochListener(NullReporter):
    """Hears when an epoch of a run has been written, and lets a follower look."""

    def __init__(self, job: Job, follower: Follower) -> None:
        self._job, self._follower = job, follower

    def ended(self, row: Mapping[str, float], *, is_best: bool) -> None:  # noqa: ARG002
        """Take the row of an epoch, which the run has written."""
        self._follower.look(self._job)
