"""`attendet summary`: the table of a model."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from attendet.cli.options import AsJson, DialectName, Model
from attendet.cli.ui.tables import console, memory, table

if TYPE_CHECKING:
    from attendet.models.summary import ModelSummary, SummaryRow


def summary(
    model: Model,
    imgsz: Annotated[int, typer.Option(help="Side of the image in pixels.")] = 640,
    classes: Annotated[int | None, typer.Option(help="Number of classes, instead of the file's.", min=1)] = None,
    dialect: DialectName = "auto",
    as_json: AsJson = False,
) -> None:
    """Show what each row of a model is, gives and costs.

    Attention rows are marked with *, and how they were understood is told below the table.
    """
    from attendet.models.summary import summarize

    result = summarize(model, imgsz=imgsz, num_classes=classes, dialect=dialect)
    if as_json:
        typer.echo(json.dumps(result.to_dict(), indent=2))
        return
    _print(result)


def _print(result: ModelSummary) -> None:
    out = console()
    title = f"{escape(result.model)}, {result.num_classes} classes, {result.imgsz} px"
    headings = ["row", "", "from", "n", "parameters", "module", "arguments", "output", "stride", "FLOPs", "kept"]
    rows = table(title, [(heading, heading in ("row", "n", "parameters", "FLOPs", "kept")) for heading in headings])
    for row in result.rows:
        rows.add_row(*map(escape, _cells(row)), style="bold cyan" if row.attention else None)
    out.print(rows)
    out.print(
        f"\n{len(result.rows)} rows, {result.parameters:,} parameters, {result.gflops:.2f} GFLOPs, "
        f"{memory(result.activation_bytes)} kept for backward per image"
    )
    for row in result.rows:
        if row.attention:
            out.print(escape(f"* row {row.row} {row.module}: {row.attention}"), style="cyan", soft_wrap=True)
    for finding in result.findings:
        out.print(escape(f"! {finding}"), style="yellow", soft_wrap=True)


def _cells(row: SummaryRow) -> list[str]:
    arguments = [_short(argument) for argument in row.arguments]
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


def _short(argument: object) -> str:
    if isinstance(argument, list) and argument and isinstance(argument[0], list):
        return f"{len(argument)}×{len(argument[0]) // 2} anchors"
    return str(argument)


def _shape(shape: list[int] | list[list[int]]) -> str:
    """Return one shape as 64×80×80; of the head's levels only the sides, which tell them apart."""
    sides = [level[1:3] if isinstance(level, list) else level for level in shape]
    if isinstance(sides[0], list):
        return ", ".join("×".join(map(str, level)) for level in sides if isinstance(level, list))
    return "×".join(map(str, sides))
