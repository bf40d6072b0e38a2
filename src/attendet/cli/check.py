"""`attendet check`: what is wrong with a model file, and putting shifted row numbers right."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from attendet.cli.exits import DEFECTS
from attendet.cli.options import DialectName, Model
from attendet.cli.tables import console

if TYPE_CHECKING:
    from attendet.graph.findings import Finding


def check(
    model: Model,
    fix: Annotated[
        Path | None, typer.Option(help="Write the file with shifted row numbers re-pointed to this new file.")
    ] = None,
    dialect: DialectName = "auto",
) -> None:
    """Find rows that lead nowhere, numbers that an insertion shifted, and attention that is not what it seems.

    Exits with 1 where a fault is found, and left.
    """
    from attendet.graph.examine import examine
    from attendet.graph.files import load
    from attendet.graph.plan import plan
    from attendet.graph.readings import attention_readings

    planned = plan(load(model), dialect=dialect, tolerant=True)
    for reading in attention_readings(planned):
        console().print(escape(reading), style="cyan", soft_wrap=True)
    found = examine(planned)
    _print(found)
    faults = [finding for finding in found if finding.is_fault]
    if fix is not None:
        _fix(model, fix, dialect)
    elif faults:
        count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
        console().print(f"{count} in {escape(model)}")
        raise typer.Exit(DEFECTS)
    else:
        console().print(f"{escape(model)}: no fault")


def _fix(model: str, target: Path, dialect: str) -> None:
    from attendet.graph.check import correct
    from attendet.graph.files import write_new

    out = console()
    correction = correct(model, dialect=dialect)
    for change in correction.changes:
        out.print(escape(f"re-pointed {change}"), style="green")
    if correction.changes or not correction.left:
        write_new(target, correction.text)
        out.print(escape(f"wrote {target}"))
    if correction.left:
        count = "1 fault has" if len(correction.left) == 1 else f"{len(correction.left)} faults have"
        out.print(f"{count} to be mended by hand" + ("" if correction.changes else "; nothing was written"))
        raise typer.Exit(DEFECTS)


def _print(found: list[Finding]) -> None:
    for finding in found:
        mark, style = ("fault", "red") if finding.is_fault else ("remark", "yellow")
        console().print(escape(f"{mark}: {finding}"), style=style, soft_wrap=True)
