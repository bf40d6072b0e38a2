"""Finding what is wrong with a model file, and putting shifted row numbers right."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from attendet.errors import Location, OutputError
from attendet.graph.build import load
from attendet.graph.findings import Finding, Kind
from attendet.graph.plan import Plan, plan
from attendet.graph.shifts import Reference, corrections, shifted_references
from attendet.graph.spec import ModelFile, read_model_file
from attendet.graph.structure import faults_of_structure

# Most community files are YOLOv5 with rows inserted; all sizes have the same rows.
ORIGINAL = "yolov5n"
# What no re-pointing can cure.
OTHER_FAULTS: frozenset[Kind] = frozenset(("bottleneck",))
MOST_TRIES = 16


@dataclass(frozen=True)
class Correction:
    """A model file with references re-pointed.

    Attributes:
        text: The file, otherwise as it was.
        changes: What was changed, in words.
    """

    text: str
    changes: tuple[str, ...]


def check(model: str | os.PathLike[str], *, dialect: str = "auto") -> list[Finding]:
    """Return everything there is to say about a model file; nothing about a right one.

    Args:
        model: Path of a model file, or a bundled name.
        dialect: How attention rows are read.

    Raises:
        ModelFileError: If it is no model file at all.

    Example:
        >>> check("yolov5s_CBAM")
        []
    """
    return _examine(load(model), dialect, plan(load(ORIGINAL)))[1]


def correct(model: str | os.PathLike[str], *, dialect: str = "auto") -> Correction | None:
    """Return a model file with its shifted references re-pointed so that no fault is left.

    Returns:
        None, if there is no such way; no changes, if there is no fault.

    Raises:
        ModelFileError: If it is no model file at all.
    """
    file, original = load(model), plan(load(ORIGINAL))
    planned, found = _examine(file, dialect, original)
    faults = [finding for finding in found if finding.is_fault]
    if not faults:
        return Correction(file.text, ())
    if any(finding.kind in OTHER_FAULTS for finding in faults):
        return None
    for pointing in islice(corrections(planned), MOST_TRIES):
        text = _rewrite(file.text, pointing)
        _, left = _examine(read_model_file(text, file.name), dialect, original)
        if not any(finding.is_fault for finding in left):
            return Correction(text, tuple(_describe(planned, pointing)))
    return None


def write_new(path: Path, text: str) -> None:
    """Write a text to a file that does not exist yet, whole or not at all.

    Raises:
        OutputError: If the file exists, or cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(text, encoding="utf-8")
        try:
            # A link, unlike a rename, never replaces a file that is there.
            os.link(temporary, path)
        finally:
            temporary.unlink()
    except FileExistsError as error:
        raise OutputError("it exists", where=Location(str(path)), remedy="name a new file") from error
    except OSError as error:
        raise OutputError(f"it cannot be written: {error.strerror}", where=Location(str(path))) from error


def _examine(file: ModelFile, dialect: str, original: Plan) -> tuple[Plan, list[Finding]]:
    planned = plan(file, dialect=dialect, tolerant=True)
    found = [*planned.findings, *faults_of_structure(planned), *shifted_references(planned, original)]
    return planned, sorted(found, key=lambda finding: (finding.row is None, finding.row or 0))


def _rewrite(text: str, pointing: Mapping[Reference, int]) -> str:
    for ref in sorted(pointing, key=lambda ref: ref.source.span, reverse=True):
        start, end = ref.source.span
        text = f"{text[:start]}{pointing[ref]}{text[end:]}"
    return text


def _describe(planned: Plan, pointing: Mapping[Reference, int]) -> list[str]:
    return [
        f"row {ref.row}, {planned.rows[ref.row].row.module}: reads {row} instead of {ref.source.written}"
        for ref, row in pointing.items()
    ]
