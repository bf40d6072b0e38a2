"""`attendet summary`: the rows of a model and their costs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from attendet.cli.inputs import require_model
from attendet.cli.options import AsJson, Dialect, Model
from attendet.cli.ui.console import console
from attendet.cli.ui.tables import table
from attendet.utils.json_text import to_json
from attendet.utils.text import memory

if TYPE_CHECKING:
    from attendet.models.summary import ModelSummary, SummaryRow


def summary_command(
    model: Model,
    imgsz: Annotated[
        int, typer.Option("--imgsz", "--img", "--img-size", metavar="PIXELS", help="Side of the square image.")
    ] = 640,
    num_classes: Annotated[
        int | None,
        typer.Option("--num-classes", "--nc", metavar="N", help="Number of classes. [default: as in the file]", min=1),
    ] = None,
    dialect: Dialect = "auto",
    as_json: AsJson = False,
) -> None:
    """Show the rows of a model: modules, outputs, parameters, FLOPs, and memory.

    Attention rows are marked with *, and described below the table.
    """
    require_model(model)
    from attendet.models.summary import summarize

    summary = summarize(model, imgsz=imgsz, num_classes=num_classes, dialect=dialect)
    if as_json:
        typer.echo(to_json(summary.to_dict()))
    else:
        print_summary(summary)


def print_summary(summary: ModelSummary) -> None:
    """Print the table of a model, its totals, its attention rows, and its problems."""
    out = console()
    title = f"{escape(summary.model)}, {summary.num_classes} classes, {summary.imgsz} px"
    headings = ["row", "", "from", "n", "parameters", "module", "arguments", "output", "stride", "FLOPs", "memory"]
    rows = table(title, [(heading, heading in ("row", "n", "parameters", "FLOPs", "memory")) for heading in headings])
    for row in summary.rows:
        rows.add_row(*map(escape, _cells(row)), style="bold cyan" if row.attention else None)
    out.print(rows)
    out.print(
        f"\n{len(summary.rows)} rows, {summary.parameters:,} parameters, {summary.gflops:.2f} GFLOPs, "
        f"{memory(summary.activation_bytes)} of memory for the backward pass per image"
    )
    for row in summary.rows:
        if row.attention:
            out.print(escape(f"* row {row.row} {row.module}: {row.attention}"), style="cyan", soft_wrap=True)
    for finding in summary.findings:
        out.print(escape(f"! {finding}"), style="yellow", soft_wrap=True)


def _cells(row: SummaryRow) -> list[str]:
    arguments = [_argument(argument) for argument in row.arguments]
    sources = str(row.sources[0]) if len(row.sources) == 1 else str(row.sources).replace(" ", "")
    strides = row.stride if isinstance(row.stride, list) else [row.stride]
    return [
        str(row.row),
        "*" if row.attention else "",
        sources,
        str(row.repeats),
        f"{row.parameters:,}",
        row.module,
        ", ".join(arguments),
        _shape(row.shape),
        ", ".join(f"{stride:g}" for stride in strides),
        f"{row.flops_share:.2%}" if row.flops_share >= 5e-5 or not row.flops else "<0.01%",
        memory(row.activation_bytes),
    ]


def _argument(argument: object) -> str:
    if isinstance(argument, list) and argument and isinstance(argument[0], list):
        return f"{len(argument)}×{len(argument[0]) // 2} anchors"
    return str(argument)


def _shape(shape: list[int] | list[list[int]]) -> str:
    """Return a shape as 64×80×80; for the head, height and width of each level."""
    sides = [level[1:3] if isinstance(level, list) else level for level in shape]
    if isinstance(sides[0], list):
        return ", ".join("×".join(map(str, level)) for level in sides if isinstance(level, list))
    return "×".join(map(str, sides))
