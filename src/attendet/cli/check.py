"""`attendet check`: find faults in a model file, and repair row numbers that an insertion shifted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from attendet.cli.command import DEFECTS
from attendet.cli.inputs import require_like, require_model
from attendet.cli.options import AsJson, Dialect, Like, Model, NumClasses
from attendet.cli.ui.console import console
from attendet.utils.io import refuse_existing, write_text
from attendet.utils.json_text import to_json
from attendet.utils.text import plural

if TYPE_CHECKING:
    from attendet.models.findings import Finding
    from attendet.models.lint.checker import Correction
    from attendet.models.readings import AttentionReading
    from attendet.models.resolution import Resolution
    from attendet.models.yaml.model_file import ModelFile


def check_command(
    model: Model,
    fix: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a repaired copy of the model file to this new file.")
    ] = None,
    dialect: Dialect = "auto",
    like: Like = None,
    num_classes: NumClasses = None,
    as_json: AsJson = False,
) -> None:
    """Find faults in a model file: dead rows, shifted row numbers, and attention with other arguments than it seems.

    With --like, the parameter counts of a fork decide how attention rows are read; --fix then writes the file with the
    options by name. Exits with code 1 if faults are found and not repaired.
    """
    if fix is not None:
        refuse_existing(fix)
    require_model(model)
    require_like(like)
    from attendet.models.yaml.lookup import load_model_file

    # Loaded once, because a pipe cannot be read twice, and before torch is imported, because that takes seconds.
    file = load_model_file(model)
    from attendet.models.lint.checker import correct_plan
    from attendet.models.lint.examination import examine
    from attendet.models.planning import plan_model
    from attendet.models.readings import attention_readings

    resolution = _resolve(file, like, num_classes, dialect)
    file, classes = resolution.file, num_classes or resolution.num_classes
    plan = plan_model(file, num_classes=classes, dialect=dialect, tolerant=True)
    findings = [*examine(plan), *resolution.findings]
    faults = [finding for finding in findings if finding.is_fault]
    attention = attention_readings(plan)
    if not as_json:
        _print_findings(resolution.choices, attention, findings)
    correction = None if fix is None else correct_plan(plan)
    if correction is not None:
        unexplained = tuple(finding for finding in resolution.findings if finding.is_fault)
        correction = replace(correction, remaining=(*correction.remaining, *unexplained))
    is_written = correction is not None and bool(resolution.choices or correction.changes or not correction.remaining)
    if correction is not None and is_written and fix is not None:
        write_text(fix, correction.text)
    if as_json:
        report = _report(model, resolution, attention, findings, correction, fix if is_written else None)
        typer.echo(to_json(report))
    elif correction is not None:
        _print_correction(correction, fix if is_written else None)
        if is_written and fix is not None:
            _print_size(file, str(fix))
    else:
        subject = f"{model}, size {file.size}" if file.size else model
        console().print(f"{plural(len(faults), 'fault')} in {subject}" if faults else f"{subject}: no faults")
    if correction.remaining if correction is not None else faults:
        raise typer.Exit(DEFECTS)


def _resolve(file: ModelFile, like: str | None, num_classes: int | None, dialect: str) -> Resolution:
    """Return the model file, with the readings that `--like` decides."""
    from attendet.models.resolution import Resolution, resolve_readings

    if like is None:
        return Resolution(file)
    from attendet.weights.io.parameter_counts import read_like

    return resolve_readings(file, read_like(like), num_classes=num_classes, dialect=dialect)


def _report(
    model: str,
    resolution: Resolution,
    attention: Sequence[AttentionReading],
    findings: Sequence[Finding],
    correction: Correction | None,
    written: Path | None,
) -> dict[str, Any]:
    """Return the readings, the findings, and the repair for JSON."""
    report: dict[str, Any] = {
        "model": model,
        "size": resolution.file.size,
        "choices": list(resolution.choices),
        "attention": [reading.to_dict() for reading in attention],
        "findings": [finding.to_dict() | {"text": str(finding)} for finding in findings],
    }
    if correction is not None:
        report["changes"] = list(correction.changes)
        report["remaining"] = [str(each) for each in correction.remaining]
        report["written"] = None if written is None else str(written)
    return report


def _print_findings(choices: Sequence[str], attention: Sequence[AttentionReading], findings: Sequence[Finding]) -> None:
    out = console()
    for choice in choices:
        out.print(choice, style="green", soft_wrap=True)
    for reading in attention:
        own, differs, others = str(reading).partition("; forks differ: ")
        out.print(own, style="cyan", soft_wrap=True)
        if differs:
            out.print(f"  forks differ: {others}", style="dim", soft_wrap=True)
    for finding in findings:
        label, style = ("fault", "red") if finding.is_fault else ("remark", "yellow")
        out.print(f"{label}: {finding}", style=style, soft_wrap=True)


def _print_correction(correction: Correction, written: Path | None) -> None:
    out = console()
    for change in correction.changes:
        out.print(f"repaired {change}", style="green")
    if written is not None:
        out.print(f"wrote {written}")
    if correction.remaining:
        left = plural(len(correction.remaining), "fault has", "faults have")
        out.print(f"{left} to be repaired by hand" + ("" if written is not None else "; nothing was written"))


def _print_size(file: ModelFile, written: str) -> None:
    """Print a remark if the name of the written file selects another size than that of the original."""
    from attendet.models.yaml.model_file import read_model_file

    size = read_model_file(file.text, written).size
    if size != file.size:
        console().print(
            f"remark: by its name, {written} is size {size}, and {file.name} is size {file.size}; "
            f"rename it, or add the line `scale: {file.size}`",
            style="yellow",
            soft_wrap=True,
        )
