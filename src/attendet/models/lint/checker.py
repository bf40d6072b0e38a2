"""Finding what is wrong with a model file, and putting shifted row numbers right."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice

from attendet.models.findings import Finding, LintKind
from attendet.models.lint.examination import examine, original_plan
from attendet.models.lint.shifts import Reference, corrections
from attendet.models.planning import ModelPlan, plan_model
from attendet.models.readings import attention_readings
from attendet.models.yaml.lookup import load_model_file
from attendet.models.yaml.model_file import ModelFile, read_model_file

# What no re-pointing can cure.
OTHER_FAULTS: frozenset[LintKind] = frozenset(("bottleneck", "width", "detect-order", "unbuildable"))
MOST_TRIES = 4


@dataclass(frozen=True)
class Correction:
    """A model file with references re-pointed.

    Attributes:
        text: The file, otherwise as it was.
        changes: What was changed, in words.
        left: Faults that no re-pointing cures.
    """

    text: str
    changes: tuple[str, ...]
    left: tuple[Finding, ...]


def check_model_file(model: str | os.PathLike[str] | ModelFile, *, dialect: str = "auto") -> list[Finding]:
    """Return everything there is to say about a model file; nothing about a right one.

    Args:
        model: Path of a model file, a bundled name, or what `load_model_file` gave.
        dialect: How attention rows are read.

    Raises:
        ModelFileError: If it is no model file at all.
        UnknownNameError: If there is no such dialect.

    Example:
        >>> check_model_file("yolov5s_CBAM")
        []
    """
    return examine(plan_model(_file(model), dialect=dialect, tolerant=True))


def readings(model: str | os.PathLike[str] | ModelFile, *, dialect: str = "auto") -> list[str]:
    """Return how every row with attention is understood, in words.

    Args:
        model: Path of a model file, a bundled name, or what `load_model_file` gave.
        dialect: How attention rows are read.

    Raises:
        ModelFileError: If it is no model file at all.
        UnknownNameError: If there is no such dialect.

    Example:
        >>> readings("yolov5s_CBAM", dialect="width-list")[0][:40]
        'row 9 CBAM: 512 channels (declared: 512)'
    """
    return attention_readings(plan_model(_file(model), dialect=dialect, tolerant=True))


def fix_model_file(model: str | os.PathLike[str] | ModelFile, *, dialect: str = "auto") -> Correction:
    """Return a model file with its shifted references re-pointed.

    It is left as it is where no re-pointing cures all faults that a shift can cause.

    Args:
        model: Path of a model file, a bundled name, or what `load_model_file` gave.
        dialect: How attention rows are read.

    Raises:
        ModelFileError: If it is no model file at all.
        UnknownNameError: If there is no such dialect.

    Example:
        >>> fix_model_file("yolov5s_CBAM").changes
        ()
    """
    file = _file(model)
    planned, faults = _faults(file, dialect)
    if any(fault.kind not in OTHER_FAULTS for fault in faults):
        for pointing in islice(corrections(planned, original_plan()), MOST_TRIES):
            text = _rewrite(file.text, pointing)
            _, left = _faults(read_model_file(text, file.name), dialect)
            if all(fault.kind in OTHER_FAULTS for fault in left):
                return Correction(text, tuple(_describe(planned, pointing)), tuple(left))
    return Correction(file.text, (), tuple(faults))


def _file(model: str | os.PathLike[str] | ModelFile) -> ModelFile:
    return load_model_file(model) if isinstance(model, str | os.PathLike) else model


def _faults(file: ModelFile, dialect: str) -> tuple[ModelPlan, list[Finding]]:
    planned = plan_model(file, dialect=dialect, tolerant=True)
    return planned, [finding for finding in examine(planned) if finding.is_fault]


def _rewrite(text: str, pointing: Mapping[Reference, int]) -> str:
    for ref in sorted(pointing, key=lambda ref: ref.source.span, reverse=True):
        start, end = ref.source.span
        text = f"{text[:start]}{pointing[ref]}{text[end:]}"
    return text


def _describe(planned: ModelPlan, pointing: Mapping[Reference, int]) -> list[str]:
    return [
        f"row {ref.row}, {planned.rows[ref.row].row.module}: reads {row} instead of {ref.source.written}"
        for ref, row in pointing.items()
    ]
