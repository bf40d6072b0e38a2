"""`attendet study`: does it help? Runs that are pairs, and what their differences can and cannot say."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer
from rich.markup import escape

from attendet.cli.exit_codes import DEFECTS, INTERRUPTED
from attendet.cli.options import AsJson
from attendet.cli.study_search import search
from attendet.cli.ui.tables import console
from attendet.errors import OptionError
from attendet.utils.text import plural

if TYPE_CHECKING:
    from attendet.study.runs.execution import Outcome, Study
    from attendet.study.runs.executors import Executor

PROJECT = Path("runs/study")

app = typer.Typer(no_args_is_help=True, help="Does it help? Arms that differ in one thing, paired by seed.")

File: TypeAlias = Annotated[
    Path, typer.Argument(metavar="STUDY.YAML", help="What is compared; see attendet study init.")
]
Project: TypeAlias = Annotated[Path, typer.Option(help="Folder of studies; this one's is named after it.")]


class ExecutorChoice(StrEnum):
    """Where runs are carried out."""

    LOCAL = "local"
    PROCESSES = "processes"
    RAY = "ray"


@app.command("init")
def init(
    file: Annotated[Path, typer.Argument(metavar="STUDY.YAML", help="What to write; it must not exist.")] = Path(
        "study.yaml"
    ),
) -> None:
    """Write a commented study.yaml to begin with."""
    from attendet.study.design.template import STUDY
    from attendet.utils.io import refuse_existing, write_atomically

    refuse_existing(file)
    with write_atomically(file) as temporary:
        temporary.write_text(STUDY, encoding="utf-8")
    console().print(f"{escape(str(file))} is written: change it, then attendet study plan {escape(str(file))}")


@app.command("plan")
def plan(
    file: File,
    project: Project = PROJECT,
    no_measure: Annotated[
        bool, typer.Option("--no-measure", help="Take no steps: leave out how long it takes.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Say what a study takes and what it can find, before anything is spent. Nothing is written."""
    import json
    from dataclasses import asdict

    from attendet.cli.ui.study_table import grid_table
    from attendet.study.forecast import describe_forecast, estimate_duration, forecast_study
    from attendet.study.runs.dry_run import dry_run_arms

    study = _study(file, project)
    dry_run_arms(study, file)
    _, cells = study.cells()
    finished = study.finished(cells)
    seconds = None if no_measure else estimate_duration(study)
    planned = forecast_study(study.design, cells, seconds, finished)
    if as_json:
        runs = [{"name": cell.name, **asdict(cell)} for cell in cells]
        typer.echo(json.dumps({**asdict(planned), "cells": runs}, indent=2))
        return
    out = console()
    out.print(grid_table(study.design, seconds))
    out.print()
    for line in describe_forecast(planned, study.design):
        out.print(escape(line), soft_wrap=True)


@app.command("run")
def run(
    file: File,
    executor: Annotated[
        ExecutorChoice, typer.Option(help="Carry runs out here, in several processes, or on Ray.")
    ] = ExecutorChoice.LOCAL,
    workers: Annotated[
        int | None, typer.Option(help="Runs at once; unless given, half as many as processors.", min=1)
    ] = None,
    address: Annotated[str | None, typer.Option(help="Of the Ray cluster; unless given, this machine's.")] = None,
    limit: Annotated[int | None, typer.Option(help="Most runs of this call.", min=0)] = None,
    project: Project = PROJECT,
    as_json: AsJson = False,
) -> None:
    """Run what a study lacks. Stop it at any time: the same command goes on, and repeats nothing."""
    from attendet.cli.ui.study_table import StudyTable
    from attendet.study.reporting.publishing import publish_report
    from attendet.study.runs.dry_run import dry_run_arms
    from attendet.study.runs.execution import run_study

    study = _study(file, project)
    with_whom = _executor(executor, workers, address)
    dry_run_arms(study, file)
    try:
        with StudyTable() as watcher:
            outcome = run_study(study, with_whom, watcher, limit)
    except KeyboardInterrupt:
        typer.echo("interrupted: the same command goes on", err=True)
        raise typer.Exit(INTERRUPTED) from None
    published = publish_report(study.folder) if outcome.finished else None
    if as_json:
        typer.echo(published.json.read_text(encoding="utf-8") if published else "{}")
    else:
        _tell(outcome, published)
    if outcome.failed:
        raise typer.Exit(DEFECTS)


@app.command("report")
def report(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A study's folder, such as runs/study/first.")],
    out: Annotated[Path | None, typer.Option(help="Where it goes, instead of that folder.")] = None,
    as_json: AsJson = False,
) -> None:
    """Write the report again, from the records alone: Markdown, one HTML page, JSON and figures."""
    from attendet.study.folder import StudyFolder
    from attendet.study.reporting.publishing import publish_report

    published = publish_report(StudyFolder(folder), out)
    if as_json:
        typer.echo(published.json.read_text(encoding="utf-8"))
    else:
        _verdicts(published)


app.command("search")(search)


def _study(file: Path, project: Path) -> Study:
    from attendet.study.design.design_file import read_design
    from attendet.study.folder import StudyFolder
    from attendet.study.runs.execution import Study

    design = read_design(file)
    return Study(design, file.parent, StudyFolder(project / design.name))


def _executor(place: ExecutorChoice, workers: int | None, address: str | None) -> Executor:
    import os

    from attendet.study.runs.cluster import RayExecutor
    from attendet.study.runs.executors import LocalExecutor
    from attendet.study.runs.processes import ProcessExecutor

    if address is not None and place is not ExecutorChoice.RAY:
        raise OptionError(f"--address beside --executor {place.value}", remedy="give --executor ray")
    if place is ExecutorChoice.RAY:
        return RayExecutor(address, workers)
    if place is ExecutorChoice.PROCESSES:
        return ProcessExecutor(workers or max(1, len(os.sched_getaffinity(0)) // 2))
    if workers not in (None, 1):
        raise OptionError(f"--workers {workers} in one process", remedy="give --executor processes")
    return LocalExecutor()


def _tell(outcome: Outcome, published: Any) -> None:
    out = console()
    for name, error in outcome.failed:
        out.print(f"[red]{escape(name)} failed:[/red] {escape(error)}", soft_wrap=True)
    if outcome.left:
        out.print(f"{plural(outcome.left, 'run is', 'runs are')} left: the same command goes on")
    if published is not None:
        _verdicts(published)


def _verdicts(published: Any) -> None:
    out = console()
    for contrast in published.report.contrasts:
        out.print(escape(contrast.explanation), soft_wrap=True)
    for remark in published.report.remarks:
        out.print(f"note: {escape(remark)}", soft_wrap=True)
    out.print(f"report: {escape(str(published.markdown))}, {escape(str(published.html))}", soft_wrap=True)
