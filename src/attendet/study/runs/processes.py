"""Runs side by side, in processes of this machine."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Sequence
from typing import IO

from attendet.study.records import LONGEST_ERROR
from attendet.study.runs.executors import POLL_SECONDS, RETRIES, ProgressFollower, StudyObserver, killed
from attendet.study.runs.job import Job


class ProcessExecutor:
    """Carries out runs in several processes, each with its share of the processors.

    A run whose process is killed goes on in another one, a few times.

    Args:
        workers: How many processes there are at once.
    """

    def __init__(self, workers: int) -> None:
        self.workers = workers

    def run(self, jobs: Sequence[Job], observer: StudyObserver) -> Iterator[tuple[Job, str | None]]:
        """Yield each job when it has ended, with what went wrong, or None."""
        waiting = deque((job, 1) for job in jobs)
        working: list[Worker] = []
        follower = ProgressFollower(observer)
        try:
            while waiting or working:
                while waiting and len(working) < self.workers:
                    working.append(Worker(*waiting.popleft(), threads=self._threads()))
                    follower.follow(working[-1].job)
                time.sleep(POLL_SECONDS)
                for worker in list(working):
                    follower.poll(worker.job)
                    code = worker.process.poll()
                    if code is None:
                        continue
                    working.remove(worker)
                    error = worker.error(code)
                    if code < 0 and worker.attempt <= RETRIES:
                        observer.log(f"{worker.job.cell.name}: its process was killed, and it goes on in another one")
                        waiting.appendleft((worker.job, worker.attempt + 1))
                    else:
                        yield worker.job, error
        finally:
            for worker in working:
                worker.stop()

    def _threads(self) -> int:
        return max(1, len(os.sched_getaffinity(0)) // self.workers)


class Worker:
    """A process at work.

    Args:
        job: What it does.
        attempt: How often this job has been begun.
        threads: On how many processors it computes.
    """

    def __init__(self, job: Job, attempt: int, threads: int) -> None:
        self.job, self.attempt = job, attempt
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed in `_end`
        self.process = subprocess.Popen(
            [sys.executable, "-m", "attendet.study.runs.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env={**os.environ, "OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)},
            # Ctrl-C is for this process, which ends the others in its own way.
            start_new_session=True,
        )
        if self.process.stdin is not None:
            # One that has ended already tells so by its exit code.
            with contextlib.suppress(BrokenPipeError):
                self.process.stdin.write(f"{job.to_json()}\n".encode())
                self.process.stdin.flush()

    def error(self, code: int) -> str | None:
        """Return what went wrong, after the end."""
        told = self.process.stdout.read().decode(errors="replace") if self.process.stdout else ""
        self._errors.seek(0)
        printed = self._errors.read().decode(errors="replace").strip()
        self._end()
        if code == 0:
            return None
        if code < 0:
            return killed(self.attempt, signal.Signals(-code).name)
        return (told or printed or f"its process ended with {code}")[-LONGEST_ERROR:]

    def stop(self) -> None:
        """End the process; its run goes on from the last whole epoch another time."""
        with contextlib.suppress(ProcessLookupError):
            # With the processes that load its images.
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._end()

    def _end(self) -> None:
        for stream in (self.process.stdin, self.process.stdout, self._errors):
            if stream is not None:
                stream.close()
