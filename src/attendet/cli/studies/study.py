"""`attendet study`: measure whether attention helps, with runs that are paired by seed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

import typer

from attendet.cli.command import DEFECTS, Verb, VerbGroup, show_help_without_verb
from attendet.cli.inputs import require_file
from attendet.cli.options import COMPUTING, OUTPUT, AsJson
from attendet.cli.studies.study_join import join_command
from attendet.cli.studies.study_search import search_command
from attendet.cli.ui.console import console
from attendet.cli.ui.tables import styled
from attendet.errors import OptionError
from attendet.utils.io import refuse_existing, write_text
from attendet.utils.json_text import to_json
from attendet.utils.text import plural

if TYPE_CHECKING:
    from attendet.study.reporting.publishing import Published
    from attendet.study.runs.execution import StudyRunResult

app = typer.Typer(
    cls=VerbGroup,
    invoke_without_command=True,
    help="Measure whether attention helps: train arms that differ in one thing, paired by seed.",
)
app.callback()(show_help_without_verb)

DESIGN_REMEDY = "attendet study init writes a design to start from"

File: TypeAlias = Annotated[
    Path,
    typer.Argument(metavar="FILE", help="Design of the study; attendet study init writes one.", show_default=False),
]
Out: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR", help="Folder of the study's records and runs. [default: runs/study/NAME]", rich_help_panel=OUTPUT
    ),
]


NewQuestion: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--new-question",
        help="Arms that were run but are not in the design stop counting for the adjustment, which the report states.",
        rich_help_panel=OUTPUT,
    ),
]


@app.command("init", cls=Verb)
def init_command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="New file to write.")] = Path("study.yaml"),
) -> None:
    """Write a commented study.yaml to start from."""
    from attendet.study.design.template import STUDY

    refuse_existing(file)
    write_text(file, STUDY)
    console().print(f"wrote {file}; edit it, then run attendet study plan {file}")


@app.command("plan", cls=Verb)
def plan_command(
    file: File,
    no_measure: Annotated[
        bool,
        typer.Option(
            "--no-measure", help="Do not measure training steps to estimate hours.", rich_help_panel=COMPUTING
        ),
    ] = False,
    picture: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Draw the power of numbers of seeds, as PNG.", rich_help_panel=OUTPUT),
    ] = None,
    match: Annotated[
        Literal["latency"] | None,
        typer.Option(
            help="Find a control for each arm with attention that takes as long, without attention.",
            show_default=False,
            rich_help_panel=COMPUTING,
        ),
    ] = None,
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Forecast the cost of a study and the differences that it can detect.

    Nothing is written, except the picture.
    """
    require_file(file, DESIGN_REMEDY)
    from dataclasses import asdict

    from attendet.cli.ui.study_table import arms_table, matches_table, power_table
    from attendet.study.forecast import describe_forecast, difference_unit, estimate_duration, forecast_study
    from attendet.study.power_curves import draw_power
    from attendet.study.runs.dry_run import dry_run_arms
    from attendet.study.runs.latency_matching import match_arms
    from attendet.study.workflow import open_study

    study = open_study(file, out)
    dry_run_arms(study, file)
    _, cells = study.cells()
    ended = study.ended(cells)
    seconds = None if no_measure else estimate_duration(study)
    forecast = forecast_study(study.design, cells, seconds, ended)
    unit = difference_unit(study.design)
    if picture is not None:
        draw_power(
            forecast.curve,
            len(study.design.seeds),
            picture,
            unit=unit,
            matters=study.design.matters if study.design.spread else None,
        )
    matches = match_arms(study) if match else ()
    if as_json:
        runs = [{"name": cell.name, **asdict(cell)} for cell in cells]
        controls = {"controls": [each.to_dict() for each in matches]} if match else {}
        typer.echo(to_json({**asdict(forecast), "cells": runs, **controls}))
        return
    terminal = console()
    terminal.print(arms_table(study.design, seconds))
    terminal.print()
    for line in describe_forecast(forecast, study.design):
        terminal.print(line, soft_wrap=True)
    terminal.print()
    terminal.print(power_table(forecast, unit))
    if picture is not None:
        terminal.print(f"picture: {picture}", soft_wrap=True)
    if matches:
        terminal.print()
        terminal.print(matches_table(matches))
        terminal.print("\nlines for `arms:` in study.yaml:", soft_wrap=True)
        typer.echo("".join(each.yaml for each in matches), nl=False)


@app.command("run", cls=Verb)
def run_command(
    file: File,
    executor: Annotated[
        Literal["local", "processes", "ray"],
        typer.Option(
            help="Train the runs one after the other, in several processes, or on a Ray cluster.",
            rich_help_panel=COMPUTING,
        ),
    ] = "local",
    workers: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Runs at the same time. [default: half the number of processors]",
            min=1,
            rich_help_panel=COMPUTING,
        ),
    ] = None,
    address: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="Address of the Ray cluster. [default: this machine]", rich_help_panel=COMPUTING
        ),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(metavar="N", help="Start at most N runs.", min=0, rich_help_panel=COMPUTING),
    ] = None,
    until_settled: Annotated[
        bool,
        typer.Option(
            "--until-settled",
            help="Stop at the first of the design's looks at which every comparison is decided.",
            rich_help_panel=COMPUTING,
        ),
    ] = False,
    new_question: NewQuestion = False,
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Train the missing runs of a study, and write its report.

    It can be interrupted at any time: the same command continues, and repeats nothing.
    """
    require_file(file, DESIGN_REMEDY)
    _check_executor(executor, workers, address)
    from attendet.cli.ui.study_table import StudyTable
    from attendet.study import workflow

    try:
        with StudyTable() as observer:
            result = workflow.run(
                file,
                out=out,
                executor=executor,
                workers=workers,
                address=address,
                limit=limit,
                until_settled=until_settled,
                new_question=new_question,
                observer=observer,
            )
    except KeyboardInterrupt as interrupt:
        interrupt.add_note("the same command continues")
        raise
    published = (
        workflow.report(result.folder.path, new_question=new_question) if result.finished or result.diverged else None
    )
    if as_json:
        typer.echo(published.json.read_text(encoding="utf-8") if published else "{}")
    else:
        _print_result(result)
        if published is not None:
            _print_report(published)
    if result.failed:
        raise typer.Exit(DEFECTS)


@app.command("report", cls=Verb)
def report_command(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Folder of a study, such as runs/study/first.", show_default=False)
    ],
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder for the report. [default: FOLDER]", rich_help_panel=OUTPUT),
    ] = None,
    new_question: NewQuestion = False,
    as_json: AsJson = False,
) -> None:
    """Write the report of a study from its records: Markdown, one HTML page, JSON, and figures.

    The look is recorded in the study's ledger, and the report lists all changes since the first look.
    """
    require_file(folder, "name the folder of a study, such as runs/study/first")
    from attendet.study import workflow

    published = workflow.report(folder, out=out, new_question=new_question)
    if as_json:
        typer.echo(published.json.read_text(encoding="utf-8"))
    else:
        _print_report(published)


# After the steps of a study, as help lists them.
app.command("join", cls=Verb)(join_command)
app.command("search", cls=Verb)(search_command)


def _check_executor(executor: str, workers: int | None, address: str | None) -> None:
    """Raise an error if an option does not apply to the executor.

    Raises:
        OptionError: If `--address` or `--workers` has no effect.
    """
    if address is not None and executor != "ray":
        raise OptionError("--address has no effect without --executor ray", remedy="give both")
    if executor == "local" and workers not in (None, 1):
        raise OptionError(
            f"--workers {workers} has no effect with --executor local", remedy="give --executor processes"
        )


def _print_result(result: StudyRunResult) -> None:
    out = console()
    for name, error in result.failed:
        out.print(styled(f"{name} failed:", "red"), error, soft_wrap=True)
    if result.diverged:
        out.print(f"{plural(result.diverged, 'run has', 'runs have')} diverged: the loss or weights are not finite")
    if result.left:
        out.print(f"{plural(result.left, 'run is', 'runs are')} left: the same command continues")


def _print_report(published: Published) -> None:
    out = console()
    out.print(styled(published.report.answer, "bold"), soft_wrap=True)
    for contrast in published.report.contrasts:
        out.print(contrast.explanation, soft_wrap=True)
    for remark in (*published.report.history, *published.report.remarks):
        out.print(f"note: {remark}", soft_wrap=True)
    out.print(f"report: {published.markdown}, {published.html}", soft_wrap=True)
