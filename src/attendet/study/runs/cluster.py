"""Runs on a Ray cluster."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from typing import Any

from attendet.errors import OptionError
from attendet.study.runs.executors import MAX_RETRIES, POLL_SECONDS, ProgressFollower, StudyObserver, describe_kill
from attendet.study.runs.job import Job, RunFailure, try_job
from attendet.training.reporter import NullReporter


class RayExecutor:
    """Carries out runs as tasks of an existing Ray cluster. If a worker is killed, another one continues its run.

    The data set and the folder of the study must have the same paths on all machines.

    Args:
        address: Address of the cluster, such as `ray://head:10001` (default: the cluster of this machine).
        workers: Number of simultaneous runs (default: one per CPU of the cluster).

    Raises:
        OptionError: If Ray is not installed.
    """

    def __init__(self, address: str | None = None, workers: int | None = None) -> None:
        if not find_spec("ray"):
            raise OptionError("Ray is not installed", remedy="pip install 'attendet[ray]'")
        self.address, self.workers = address, workers

    def run(self, jobs: Sequence[Job], observer: StudyObserver) -> Iterator[tuple[Job, RunFailure | None]]:
        """Yield each job when it has ended, with its failure or None.

        Raises:
            OptionError: If the cluster cannot be reached.
        """
        import ray  # noqa: PLC0415 - optional and slow to import

        self._connect(ray)
        resources = ray.cluster_resources()
        workers = self.workers or max(1, int(resources.get("CPU", 1)))
        task = ray.remote(
            num_cpus=max(1, int(resources.get("CPU", 1)) // workers),
            num_gpus=1 if resources.get("GPU") else 0,
            max_retries=MAX_RETRIES,
        )(run_remotely)
        waiting = list(reversed(jobs))
        working: dict[Any, Job] = {}
        follower = ProgressFollower(observer)
        try:
            while waiting or working:
                while waiting and len(working) < workers:
                    job = waiting.pop()
                    working[task.remote(job.to_json())] = job
                    follower.follow(job)
                done, _ = ray.wait(list(working), timeout=POLL_SECONDS)
                for job in working.values():
                    follower.poll(job)
                for reference in done:
                    job = working.pop(reference)
                    yield job, _outcome(ray, reference, job)
        finally:
            for reference in working:
                ray.cancel(reference, force=True)

    def _connect(self, ray: Any) -> None:
        if ray.is_initialized():
            return
        try:
            # Ray's workers would import modules of the working folder; an empty folder takes its place.
            with tempfile.TemporaryDirectory() as empty:
                ray.init(
                    address=self.address or "auto",
                    log_to_driver=False,
                    logging_level="ERROR",
                    runtime_env={"working_dir": empty},
                )
        except (ConnectionError, ValueError, RuntimeError) as error:
            where = f"at {self.address}" if self.address else "on this machine"
            raise OptionError(
                f"no Ray cluster found {where}", remedy="start one with `ray start --head`, or give its address"
            ) from error


def run_remotely(job: str) -> RunFailure | None:
    """Carry out a job on a worker of the cluster, and return its failure or None.

    Failures are returned, because Ray would wrap a raised exception in its own.
    """
    return try_job(Job.from_json(job), NullReporter())


def _outcome(ray: Any, reference: Any, job: Job) -> RunFailure | None:
    try:
        failure = ray.get(reference)
    except (ray.exceptions.WorkerCrashedError, ray.exceptions.OutOfMemoryError) as crash:
        return RunFailure(describe_kill(MAX_RETRIES + 1, type(crash).__name__))
    except ray.exceptions.RayError as lost:
        return RunFailure(f"Ray lost the run: {str(lost).strip().splitlines()[0]}")
    if failure is None and not job.run.record.is_file():
        return RunFailure(
            f"{job.folder} is not on a file system that all machines share; give --out on a shared file system"
        )
    return failure
