"""Runs one after the other, in this process."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from attendet.engine.reporter import Silence
from attendet.study.executor import Follower, Watcher
from attendet.study.job import Job, attempt


class LocalExecutor:
    """Carries out runs one after the other, in this process."""

    def run(self, jobs: Sequence[Job], watcher: Watcher) -> Iterator[tuple[Job, str | None]]:
        """Yield each job when it has ended, with what went wrong, or None."""
        follower = Follower(watcher)
        for job in jobs:
            follower.began(job)
            yield job, attempt(job, Listener(job, follower))


class Listener(Silence):
    """Hears when an epoch of a run has been written, and lets a follower look."""

    def __init__(self, job: Job, follower: Follower) -> None:
        self._job, self._follower = job, follower

    def ended(self, row: Mapping[str, float], *, is_best: bool) -> None:  # noqa: ARG002
        """Take the row of an epoch, which the run has written."""
        self._follower.look(self._job)
