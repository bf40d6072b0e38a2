"""Runs on a Ray cluster."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from typing import Any

from attendet.errors import OptionError
from attendet.study.runs.executors import POLL_SECONDS, RETRIES, ProgressFollower, StudyObserver, killed
from attendet.study.runs.job import Job, attempt
from attendet.training.reporter import NullReporter


class RayExecutor:
    """Carries out runs as tasks of a Ray cluster that exists; if a worker is killed, its run goes on in another one.

    The data set and the folder of the study have to be there under the same paths on all machines.

    Args:
        address: Of the cluster, such as `ray://head:10001`; None is the one that this machine belongs to.
        workers: Most runs at once; None is as many as the cluster takes.

    Raises:
        OptionError: If Ray is not installed.
    """

    def __init__(self, address: str | None = None, workers: int | None = None) -> None:
        if not find_spec("ray"):
            raise OptionError("Ray is not installed", remedy="pip install 'attendet[ray]'")
        self.address, self.workers = address, workers

    def run(self, jobs: Sequence[Job], observer: StudyObserver) -> Iterator[tuple[Job, str | None]]:
        """Yield each job when it has ended, with what went wrong, or None.

        Raises:
            OptionError: If there is no cluster.
        """
        import ray  # noqa: PLC0415 - an extra, and slow to import

        self._connect(ray)
        resources = ray.cluster_resources()
        at_once = self.workers or max(1, int(resources.get("CPU", 1)))
        task = ray.remote(
            num_cpus=max(1, int(resources.get("CPU", 1)) // at_once),
            num_gpus=1 if resources.get("GPU") else 0,
            max_retries=RETRIES,
        )(answer)
        waiting = list(reversed(jobs))
        working: dict[Any, Job] = {}
        follower = ProgressFollower(observer)
        try:
            while waiting or working:
                while waiting and len(working) < at_once:
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
            ray.init(address=self.address or "auto", log_to_driver=False, logging_level="ERROR")
        except (ConnectionError, ValueError, RuntimeError) as error:
            where = f"at {self.address}" if self.address else "that this machine belongs to"
            raise OptionError(
                f"there is no Ray cluster {where}", remedy="start one: ray start --head, or give --address"
            ) from error


def answer(job: str) -> str | None:
    """Carry out a job on a worker; return what went wrong, or None.

    Errors are returned and not raised: Ray would wrap them in its own.
    """
    return attempt(Job.from_json(job), NullReporter())


def _outcome(ray: Any, reference: Any, job: Job) -> str | None:
    try:
        error = ray.get(reference)
    except (ray.exceptions.WorkerCrashedError, ray.exceptions.OutOfMemoryError) as crash:
        return killed(RETRIES + 1, type(crash).__name__)
    except ray.exceptions.RayError as lost:
        return f"Ray lost it: {str(lost).strip().splitlines()[0]}"
    if error is None and not job.run.record.is_file():
        return f"{job.folder} is not shared with the machine that it ran on; give --project on a shared file system"
    return error
