"""The executor that carries out runs side by side in processes of this machine."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Sequence
from typing import IO

from attendet.study.records import MAX_ERROR_LENGTH
from attendet.study.runs.executors import MAX_RETRIES, POLL_SECONDS, ProgressFollower, StudyObserver, describe_kill
from attendet.study.runs.job import Job, RunFailure
from attendet.utils.processes.child_processes import module_command, module_environment


class ProcessExecutor:
    """Carries out runs in several processes, which divide the CPU cores among them.

    If a process is killed, another one continues its run, up to `MAX_RETRIES` times.

    Args:
        workers: Number of simultaneous processes.
    """

    def __init__(self, workers: int) -> None:
        self.workers = workers

    def run(self, jobs: Sequence[Job], observer: StudyObserver) -> Iterator[tuple[Job, RunFailure | None]]:
        """Yield each job when it has ended, with its failure or None."""
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
                    failure = worker.failure(code)
                    if code < 0 and worker.attempt <= MAX_RETRIES:
                        observer.log(f"{worker.job.cell.name}: the process was killed; another one continues the run")
                        waiting.appendleft((worker.job, worker.attempt + 1))
                    else:
                        yield worker.job, failure
        finally:
            for worker in working:
                worker.stop()

    def _threads(self) -> int:
        return max(1, len(os.sched_getaffinity(0)) // self.workers)


class Worker:
    """A process that carries out one job.

    Args:
        job: The job.
        attempt: Number of times that the job was started, from 1.
        threads: Number of CPU threads that the process uses.
    """

    def __init__(self, job: Job, attempt: int, threads: int) -> None:
        self.job, self.attempt = job, attempt
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed in `_end`
        self.process = subprocess.Popen(  # noqa: S603 - our own module, run by this interpreter
            module_command("attendet.study.runs.worker", str(os.getpid())),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=module_environment(OMP_NUM_THREADS=str(threads), MKL_NUM_THREADS=str(threads)),
            # Ctrl-C goes only to this process, which stops the others itself.
            start_new_session=True,
        )
        if self.process.stdin is not None:
            # A process that has ended already reports it by its exit code.
            with contextlib.suppress(BrokenPipeError):
                self.process.stdin.write(f"{job.to_json()}\n".encode())
                self.process.stdin.flush()

    def failure(self, code: int) -> RunFailure | None:
        """Return the failure of a process that has ended, or None."""
        answer = self.process.stdout.read().decode(errors="replace") if self.process.stdout else ""
        self._errors.seek(0)
        printed = self._errors.read().decode(errors="replace").strip()
        self._end()
        if code == 0:
            return None
        if code < 0:
            return RunFailure(describe_kill(self.attempt, signal.Signals(-code).name))
        # A process that ends before the run starts, such as without memory for torch, writes no failure.
        with contextlib.suppress(ValueError):
            return RunFailure.from_json(answer)
        return RunFailure((answer or printed or f"the process ended with exit code {code}")[-MAX_ERROR_LENGTH:])

    def stop(self) -> None:
        """Stop the process. Its run can be resumed from the last complete epoch."""
        with contextlib.suppress(ProcessLookupError):
            # The whole group, including the processes that load images.
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._end()

    def _end(self) -> None:
        for stream in (self.process.stdin, self.process.stdout, self._errors):
            if stream is not None:
                stream.close()
