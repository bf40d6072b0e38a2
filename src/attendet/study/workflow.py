"""The steps of a study as functions: plan, run, report, and join."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, TypeAlias

from attendet.errors import OptionError
from attendet.study.design.design_file import read_design
from attendet.study.folder import StudyFolder
from attendet.study.forecast import StudyForecast, estimate_duration, forecast_study
from attendet.study.joining import JoinedReport, join_studies
from attendet.study.ledger import read_ledger, require_same_looks
from attendet.study.looking import require_planned_looks, run_until_settled
from attendet.study.reporting.publishing import Published, publish_report
from attendet.study.runs.dry_run import dry_run_arms
from attendet.study.runs.execution import Study, StudyRunResult, run_study
from attendet.study.runs.executors import Executor, LocalExecutor, SilentObserver, StudyObserver
from attendet.study.runs.latency_matching import LatencyMatch, match_arms

ExecutorName: TypeAlias = Literal["local", "processes", "ray"]
DEFAULT_ROOT = Path("runs/study")


def open_study(file: str | os.PathLike[str], out: str | os.PathLike[str] | None = None) -> Study:
    """Read study.yaml and locate the folder of its records.

    Args:
        file: The design of the study, usually `study.yaml`.
        out: Folder of the study's records and runs (default: `runs/study/NAME`, with the study's name).

    Raises:
        OptionError: If the file cannot be read or is not a valid design, with row and column.

    Example:
        >>> import tempfile
        >>> from attendet import study
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder, "study.yaml")
        ...     _ = file.write_text("{name: pears, model: yolov5n, data: d.yaml, seeds: 6, arms: {a: , b: cbam@neck}}")
        ...     opened = study.open_study(file)
        >>> list(opened.design.arms), opened.folder.path.as_posix()
        (['a', 'b'], 'runs/study/pears')
    """
    path = Path(file)
    design = read_design(path)
    return Study(design, path.parent, StudyFolder(DEFAULT_ROOT / design.name if out is None else Path(out)))


def plan(
    file: str | os.PathLike[str], *, out: str | os.PathLike[str] | None = None, measure: bool = True
) -> StudyForecast:
    r"""Forecast what a study costs and which differences it can detect. Nothing is written.

    Args:
        file: The design of the study, usually `study.yaml`.
        out: Folder of the study's records and runs (default: `runs/study/NAME`); finished runs in it are not counted
            as work.
        measure: Train a few steps of each arm to estimate the hours.

    Returns:
        Number of runs, hours, and the smallest detectable difference.

    Raises:
        OptionError: If the file is not a valid design, the data set cannot be read, or an arm cannot be built.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> from attendet import study
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Image.new("RGB", (64, 48)).save(Path(folder, "a.png"))
        ...     _ = Path(folder, "a.txt").write_text("0 0.5 0.5 0.25 0.5")
        ...     _ = Path(folder, "data.yaml").write_text("train: .\nval: .\nnames: [pear]")
        ...     file = Path(folder, "study.yaml")
        ...     _ = file.write_text(
        ...         "{name: pears, model: yolov5n, data: data.yaml, seeds: 6, arms: {plain: , cbam: cbam@neck}}"
        ...     )
        ...     forecast = study.plan(file, out=Path(folder, "pears"), measure=False)
        >>> forecast.runs, forecast.finished, round(forecast.detectable, 1)
        (12, 0, 1.8)
    """
    study = open_study(file, out)
    dry_run_arms(study, Path(file))
    _, cells = study.cells()
    seconds = estimate_duration(study) if measure else None
    return forecast_study(study.design, cells, seconds, study.ended(cells))


def match_latency(file: str | os.PathLike[str]) -> tuple[LatencyMatch, ...]:
    """Find a control that takes as long as the attention, for each arm with attention. Nothing is written.

    The control is `control-conv1x1` in the same places. Its number of parameters is chosen so that arm and control take
    equally long for one validation image on the device of the recipe. It takes seconds to minutes for each arm.

    Args:
        file: The design of the study, usually `study.yaml`.

    Returns:
        One control for each arm that has attention and is not itself a control, with lines to paste into `arms:`.

    Raises:
        OptionError: If the file is not a valid design, the data set cannot be read, an arm cannot be built, or no arm
            has attention.

    Example:
        >>> from attendet import study
        >>> study.match_latency("nowhere.yaml")
        Traceback (most recent call last):
            ...
        attendet.errors.OptionError: nowhere.yaml: the file cannot be read: No such file or directory
    """
    study = open_study(file)
    dry_run_arms(study, Path(file))
    return match_arms(study)


def run(
    file: str | os.PathLike[str],
    *,
    out: str | os.PathLike[str] | None = None,
    executor: ExecutorName | Executor = "local",
    workers: int | None = None,
    address: str | None = None,
    limit: int | None = None,
    until_settled: bool = False,
    new_question: bool = False,
    observer: StudyObserver | None = None,
) -> StudyRunResult:
    r"""Run what a study is missing. It can be interrupted at any time; the same call continues and repeats nothing.

    Args:
        file: The design of the study, usually `study.yaml`.
        out: Folder of the study's records and runs (default: `runs/study/NAME`).
        executor: `local` runs one after the other in this process, `processes` side by side on this machine, `ray` on a
            Ray cluster; or an executor object.
        workers: Number of simultaneous runs (default for `processes`: half the number of CPU cores).
        address: Address of the Ray cluster (default: a cluster on this machine).
        limit: Largest number of runs of this call.
        until_settled: Stop at the first of the design's looks at which every comparison is decided. The looks are
            recorded in the ledger, and the levels of the verdicts account for them.
        new_question: Ask a new question, so that looks may differ from earlier ones. The next look declares it: of this
            call with `until_settled`, otherwise of `report`, which then also needs `new_question`.
        observer: Receives progress and log lines.

    Returns:
        How many runs are finished, which failed, and how many are left.

    Raises:
        OptionError: If the file is not a valid design, the data set cannot be read, an arm cannot be built, an option
            does not fit the executor, `until_settled` is given without looks, the looks changed since the first one, or
            another process is working on the study.

    Example:
        Without `limit`, this call trains all 12 runs.

        >>> import tempfile
        >>> from PIL import Image
        >>> from attendet import study
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Image.new("RGB", (64, 48)).save(Path(folder, "a.png"))
        ...     _ = Path(folder, "a.txt").write_text("0 0.5 0.5 0.25 0.5")
        ...     _ = Path(folder, "data.yaml").write_text("train: .\nval: .\nnames: [pear]")
        ...     file = Path(folder, "study.yaml")
        ...     _ = file.write_text(
        ...         "{name: pears, model: yolov5n, data: data.yaml, seeds: 6, arms: {plain: , cbam: cbam@neck}}"
        ...     )
        ...     result = study.run(file, out=Path(folder, "pears"), limit=0)
        >>> result.finished, result.left
        (0, 12)
    """
    study = open_study(file, out)
    chosen = make_executor(executor, workers, address) if isinstance(executor, str) else executor
    if until_settled and not study.design.looks:
        raise OptionError(
            f"{file}: looks must be given to stop as soon as the study is settled, got none",
            remedy="add for example looks: [6, 8, 10, 12, 16, 20] and seeds: 20",
        )
    if not new_question:
        require_same_looks(study.design, read_ledger(study.folder.ledger))
        require_planned_looks(study)
    dry_run_arms(study, Path(file))
    if until_settled:
        return run_until_settled(study, chosen, observer or SilentObserver(), limit, new_question=new_question)
    return run_study(study, chosen, observer or SilentObserver(), limit)


def report(
    folder: str | os.PathLike[str], *, out: str | os.PathLike[str] | None = None, new_question: bool = False
) -> Published:
    r"""Write the report of a study from its records: Markdown, one HTML page, JSON, and figures.

    The look is recorded in the study's ledger, and the report lists all changes since the first look.

    Args:
        folder: Folder of the study's records, such as `runs/study/first`.
        out: Folder for the report (default: the folder of the records).
        new_question: Declare a new question: arms that were run but are not in the design stop counting for the
            adjustment of the p-values. The report states it.

    Returns:
        The report as an object, and the paths of its files.

    Raises:
        DataError: If the folder holds no study.
        OutputError: If the report cannot be written.

    Example:
        A report can be written at any time, here before the first run.

        >>> import tempfile
        >>> from PIL import Image
        >>> from attendet import study
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Image.new("RGB", (64, 48)).save(Path(folder, "a.png"))
        ...     _ = Path(folder, "a.txt").write_text("0 0.5 0.5 0.25 0.5")
        ...     _ = Path(folder, "data.yaml").write_text("train: .\nval: .\nnames: [pear]")
        ...     file = Path(folder, "study.yaml")
        ...     _ = file.write_text(
        ...         "{name: pears, model: yolov5n, data: data.yaml, seeds: 6, arms: {plain: , cbam: cbam@neck}}"
        ...     )
        ...     _ = study.run(file, out=Path(folder, "pears"), limit=0)
        ...     published = study.report(Path(folder, "pears"))
        ...     published.html.is_file()
        True
        >>> published.report.contrasts[0].explanation
        'cbam is not distinguishable from plain: no seed has both runs yet.'
    """
    return publish_report(StudyFolder(Path(folder)), None if out is None else Path(out), new_question=new_question)


def join(folders: Sequence[str | os.PathLike[str]]) -> JoinedReport:
    r"""Compare the arms of several studies, one for each data set, with the baseline.

    Args:
        folders: Folders of two or more studies with the same baseline, metric, and at least one common arm.

    Returns:
        Differences over all data sets, which count equally, with intervals and p-values.

    Raises:
        DataError: If a folder holds no study.
        OptionError: If there are fewer than two studies, or they do not fit together.

    Example:
        >>> from attendet import study
        >>> study.join(["runs/study/first"])
        Traceback (most recent call last):
            ...
        attendet.errors.OptionError: `folders` must name at least two studies, got 1
    """
    return join_studies([Path(folder) for folder in folders])


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
        from attendet.study.runs.process_executor import ProcessExecutor  # noqa: PLC0415

        return ProcessExecutor(workers or max(1, len(os.sched_getaffinity(0)) // 2))
    if workers not in (None, 1):
        raise OptionError(
            f"workers must be 1 with the executor 'local', got {workers}", remedy="use executor processes"
        )
    return LocalExecutor()
