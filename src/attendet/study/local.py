"""Runs one after the other, in this process."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from attendet.engine.reporter import Silence
from attendet.study.executor import Watcher
from attendet.study.grid import Cell
from attendet.study.job import Job, explain, perform
from attendet.study.records import COLUMNS


class LocalExecutor:
    """Carries out runs one after the other, in this process."""

    def run(self, jobs: Sequence[Job], watcher: Watcher) -> Iterator[tuple[Job, str | None]]:
        """Yield each job when it has ended, with what went wrong, or None."""
        for job in jobs:
            watcher.moved(job.cell, 0, None)
            try:
                perform(job, Listener(job.cell, watcher))
            except Exception as error:  # noqa: BLE001 - whatever one run has, the others go on
                yield job, explain(error)
            else:
                yield job, None


class Listener(Silence):
    """Hears a run, and tells the watcher of its study."""

    def __init__(self, cell: Cell, watcher: Watcher) -> None:
        self._cell, self._watcher = cell, watcher

    def ended(self, row: Mapping[str, float], *, is_best: bool) -> None:  # noqa: ARG002
        """Take the row of an epoch."""
        score = row[COLUMNS["map50_95"]]
        self._watcher.moved(self._cell, int(row["epoch"]), None if math.isnan(score) else score)
