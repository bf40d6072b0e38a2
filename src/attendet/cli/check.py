"""`attendet check`: what is wrong with a model file, and putting shifted row numbers right."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from attendet.cli.exit_codes import DEFECTS
from attendet.cli.options import DialectName, Model
from attendet.cli.ui.tables import console
from attendet.utils.text import plural

if TYPE_CHECKING:
    from attendet.models.findings import Finding
    from attendet.models.yaml.model_file import ModelFile


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
    from attendet.models.lint.checker import check_model_file as check_file
    from attendet.models.lint.checker import readings
    from attendet.models.yaml.lookup import load_model_file
    from attendet.utils.io import refuse_existing

    if fix is not None:
        refuse_existing(fix)
    # Read once: a pipe cannot be read again.
    file = load_model_file(model)
    for reading in readings(file, dialect=dialect):
        console().print(escape(reading), style="cyan", soft_wrap=True)
    found = check_file(file, dialect=dialect)
    _print(found)
    faults = [finding for finding in found if finding.is_fault]
    if fix is not None:
        _fix(file, fix, dialect)
    elif faults:
        console().print(f"{plural(len(faults), 'fault')} in {escape(model)}")
        raise typer.Exit(DEFECTS)
    else:
        console().print(f"{escape(model)}: no fault")


def _fix(file: ModelFile, target: Path, dialect: str) -> None:
    from attendet.models.lint.checker import fix_model_file
    from attendet.utils.io import write_atomically

    out = console()
    correction = fix_model_file(file, dialect=dialect)
    for change in correction.changes:
        out.print(escape(f"re-pointed {change}"), style="green")
    if correction.changes or not correction.left:
        with write_atomically(target) as temporary:
            temporary.write_text(correction.text, encoding="utf-8")
        out.print(escape(f"wrote {target}"))
    if correction.left:
        count = plural(len(correction.left), "fault has", "faults have")
        out.print(f"{count} to be mended by hand" + ("" if correction.changes else "; nothing was written"))
        raise typer.Exit(DEFECTS)


def _print(found: list[Finding]) -> None:
    for finding in found:
        mark, style = ("fault", "red") if finding.is_fault else ("remark", "yellow")
        console().print(escape(f"{mark}: {finding}"), style=style, soft_wrap=True)
