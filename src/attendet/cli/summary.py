"""`attendet summary`: the rows of a model and their costs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from attendet.cli.inputs import require_like, require_model
from attendet.cli.options import AsJson, Dialect, Like, Model, NumClasses
from attendet.cli.ui.console import console
from attendet.cli.ui.tables import table
from attendet.utils.json_text import to_json

if TYPE_CHECKING:
    from attendet.models.summary import ModelSummary


def summary_command(
    model: Model,
    imgsz: Annotated[
        int, typer.Option("--imgsz", "--img", "--img-size", metavar="PIXELS", help="Side of the square image.")
    ] = 640,
    num_classes: NumClasses = None,
    dialect: Dialect = "auto",
    like: Like = None,
    as_json: AsJson = False,
) -> None:
    """Show the rows of a model: modules, outputs, parameters, FLOPs, and memory.

    Attention rows are marked with *, and described below the table.
    """
    require_model(model)
    require_like(like)
    from attendet.models.summary import summarize
    from attendet.weights.io.parameter_counts import read_like

    counts = None if like is None else read_like(like)
    summary = summarize(model, imgsz=imgsz, num_classes=num_classes, dialect=dialect, like=counts)
    if as_json:
        typer.echo(to_json(summary.to_dict()))
    else:
        print_summary(summary)


def print_summary(summary: ModelSummary) -> None:
    """Print the table of a model, its totals, its attention rows, and its problems."""
    from attendet.models.summary import NUMBER_COLUMNS, SUMMARY_COLUMNS

    out = console()
    rows = table(summary.title, [(name, name in NUMBER_COLUMNS) for name in SUMMARY_COLUMNS])
    for row in summary.rows:
        rows.add_row(*row.cells(), style="bold cyan" if row.attention else None)
    out.print(rows)
    out.print(f"\n{summary.totals}")
    for choice in summary.choices:
        out.print(choice, style="green", soft_wrap=True)
    for line in summary.attention_lines():
        out.print(f"* {line}", style="cyan", soft_wrap=True)
    for finding in summary.findings:
        out.print(f"! {finding}", style="yellow", soft_wrap=True)
