"""The steps of a study as functions: plan, run, report."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal, TypeAlias

from attendet.errors import OptionError
from attendet.study.design.design_file import read_design
from attendet.study.folder import StudyFolder
from attendet.study.forecast import StudyForecast, estimate_duration, forecast_study
from attendet.study.reporting.publishing import Published, publish_report
from attendet.study.runs.dry_run import dry_run_arms
from attendet.study.runs.execution import Study, StudyRunResult, run_study
from attendet.study.runs.executors import Executor, LocalExecutor, SilentObserver, StudyObserver

ExecutorName: TypeAlias = Literal["local", "processes", "ray"]
DEFAULT_ROOT = Path("runs/study")


def open_study(file: str | os.PathLike[str], out: str | os.PathLike[str] | None = None) -> Study:
    """Read study.yaml and locate the folder of its records.

    Args:
        file: The design of the study, usually `study.yaml`.
        out: Folder of the study's records and runs (default: `runs/study/NAME`, with the study's name).

    Raises:
        DataError: If the file cannot be read or is not a valid design, with row and column.
    """
    path = Path(file)
    design = read_design(path)
    return Study(design, path.parent, StudyFolder(DEFAULT_ROOT / design.name if out is None else Path(out)))


def plan(
    file: str | os.PathLike[str], *, out: str | os.PathLike[str] | None = None, measure: bool = True
) -> StudyForecast:
    """Forecast what a study costs and which differences it can detect. Nothing is written.

    Args:
        file: The design of the study, usually `study.yaml`.
        out: Folder of the study's records and runs (default: `runs/study/NAME`); finished runs in it are not counted
            as work.
        measure: Train a few steps of each arm to estimate the hours.

    Returns:
        Number of runs, hours, and the smallest detectable difference.

    Raises:
        DataError: If the file is not a valid design, or the data set cannot be read.
        OptionError: If an arm cannot be built.
    """
    study = open_study(file, out)
    dry_run_arms(study, Path(file))
    _, cells = study.cells()
    seconds = estimate_duration(study) if measure else None
    return forecast_study(study.design, cells, seconds, study.finished(cells))


def run(
    file: str | os.PathLike[str],
    *,
    out: str | os.PathLike[str] | None = None,
    executor: ExecutorName | Executor = "local",
    workers: int | None = None,
    address: str | None = None,
    limit: int | None = None,
    observer: StudyObserver | None = None,
) -> StudyRunResult:
    """Run what a study is missing. It can be interrupted at any time; the same call continues and repeats nothing.

    Args:
        file: The design of the study, usually `study.yaml`.
        out: Folder of the study's records and runs (default: `runs/study/NAME`).
        executor: `local` runs one after the other in this process, `processes` side by side on this machine, `ray` on a
            Ray cluster; or an executor object.
        workers: Number of simultaneous runs (default for `processes`: half the number of CPU cores).
        address: Address of the Ray cluster (default: a cluster on this machine).
        limit: Largest number of runs of this call.
        observer: Receives progress and log lines.

    Returns:
        How many runs are finished, which failed, and how many are left.

    Raises:
        DataError: If the file is not a valid design, or the data set cannot be read.
        OptionError: If an arm cannot be built, an option does not fit the executor, or another process is working on
            the study.
    """
    study = open_study(file, out)
    chosen = make_executor(executor, workers, address) if isinstance(executor, str) else executor
    dry_run_arms(study, Path(file))
    return run_study(study, chosen, observer or SilentObserver(), limit)


def report(folder: str | os.PathLike[str], *, out: str | os.PathLike[str] | None = None) -> Published:
    """Write the report of a study from its records: Markdown, one HTML page, JSON, and figures.

    Args:
        folder: Folder of the study's records, such as `runs/study/first`.
        out: Folder for the report (default: the folder of the records).

    Returns:
        The report as an object, and the paths of its files.

    Raises:
        DataError: If the folder holds no study.
        OutputError: If the report cannot be written.
    """
    return publish_report(StudyFolder(Path(folder)), None if out is None else Path(out))


def make_executor(name: ExecutorName, workers: int | None = None, address: str | None = None) -> Executor:
    """Return an executor by name.

    Args:
        name: `local`, `processes`, or `ray`.
        workers: Number of simultaneous runs.
        address: Address of a Ray cluster.

    Raises:
        OptionError: If an option does not fit the executor, or Ray is not installed.

    Example:
        >>> type(make_executor("local")).__name__
        'LocalExecutor'
    """
    if address is not None and name != "ray":
        raise OptionError(f"`address` needs the executor 'ray', got {name!r}", remedy="use the executor 'ray'")
    if name == "ray":
        # Imported late: Ray is an optional dependency.
        from attendet.study.runs.cluster import RayExecutor  # noqa: PLC0415

        return RayExecutor(address, workers)
    if name == "processes":
        from attendet.study.runs.processes import ProcessExecutor  # noqa: PLC0415

        return ProcessExecutor(workers or max(1, len(os.sched_getaffinity(0)) // 2))
    if workers not in (None, 1):
        raise OptionError(
            f"workers must be 1 with the executor 'local', got {workers}", remedy="use executor processes"
        )
    return LocalExecutor()
